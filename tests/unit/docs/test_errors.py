"""Each message of the library says what to do, and the reference of errors has them."""

from __future__ import annotations

import pytest

from docs.errors import Message, messages, page

PARTS = {
    "features/lookups.py": "no version of its table is named",
    "ingestion/outcomes.py": "partitions were not published",
    "look_back/blob.py": "its rows are not those of its digest",
    "registry/manifest.py": "its manifest says",
    "backup/place.py": "does not exist",
    "storage.py": "does not exist",
    "storage_errors.py": "does not exist",
    "training_set/read.py": "no version of them is named",
    "sources/text/declared.py": "no offset",
}
"""What others put into messages of their own, which say what to do."""


def is_part(message: Message) -> bool:
    return PARTS.get(message.place.partition(":")[0], "\n") in message.text


def test_every_message_says_what_to_do() -> None:
    """A wrong request is answered with what is wrong in it: what to do is to send it right."""
    without = [one for one in messages() if not (one.helps or is_part(one) or one.kind == "422")]
    assert [(one.place, one.text) for one in without] == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "no table 't' (there: <there>): create it or change it",
            ("no table 't' (there: <there>)", "create it or change it"),
        ),
        (
            "<name>: nothing is there: if it should be, write it",
            ("<name>: nothing is there", "if it should be, write it"),
        ),
        ("the text is not Unicode, fix the source", ("the text is not Unicode", "fix the source")),
        ("<name>: no champion", ("<name>: no champion", "")),
    ],
)
def test_what_is_wrong_and_what_to_do(text: str, parts: tuple[str, str]) -> None:
    assert Message("x", text, "SpecError").parts == parts


def test_a_message_without_a_remedy_is_found() -> None:
    assert not Message("x", "the file is broken", "SourceError").helps
    assert Message("x", "the file is broken: mend it", "SourceError").helps
    assert Message("x", "no partition is due", "NothingToDoError").helps


def test_the_page_has_messages_of_every_kind() -> None:
    lines = page().splitlines()
    for line in (
        "| `ConflictError` | 1 | A conditional write failed: somebody else wrote first. |",
        "| SourceError | `connection '<conn_id>' is not defined` | set `<variable>` or add it in Airflow |",
        "| 413 | `<rows> rows are more than <most>` | send several requests |",
    ):
        assert line in lines
