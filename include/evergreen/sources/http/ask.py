"""A field of an API's answer that tells whether a partition is complete."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

from tenacity import wait_random_exponential

from evergreen.shown import shown
from evergreen.sources.attempts import StumbleError
from evergreen.sources.http.address import with_params
from evergreen.sources.http.client import Answer, Session, api_of
from evergreen.sources.http.description import FieldQuestion, HttpSource
from evergreen.sources.http.document import at
from evergreen.sources.http.progress import Request
from evergreen.sources.http.requests import common_headers
from evergreen.sources.kind import Wanted
from evergreen.sources.placeholders import Window, filled, filled_texts

TIMEOUT = timedelta(minutes=1)
ATTEMPTS = 3  # where the API stumbles
ANSWER_BYTES = 2**20
_BACKOFF = wait_random_exponential(multiplier=0.25, max=5)


def ask_field(source: HttpSource, question: FieldQuestion, wanted: Wanted) -> str | None:
    """What is missing according to an API's answer; None if the field is true, or equal to `equals`.

    Raises `SourceError` if the API refuses, `UnavailableError` if it fails three times or for longer than a
    minute.
    """

    window = Window(wanted.partition, wanted.start, wanted.end).within(source.zone)
    headers = filled_texts(common_headers(source), window)
    api = api_of(wanted.connect(source.conn_id), {"Accept": "application/json", **headers})
    path = filled(question.path, window)
    address = with_params(api.address(path), filled_texts(question.params, window))
    deadline = time.monotonic() + TIMEOUT.total_seconds()
    with Session(api, path, deadline, ATTEMPTS, _BACKOFF) as session:
        # What is named after its partition need not be there before it.
        request = Request(address, probe=path != question.path)
        document = session.ask(request, ANSWER_BYTES, _document)
    if document is None:
        return f"{path} is not there"
    found, right = at(document[0], question.field), True if question.equals is None else question.equals
    # To Python, 1 is equal to True.
    if found == right and isinstance(found, bool) == isinstance(right, bool):
        return None
    return f"'{question.field}' of {path} is {_in_json(found)}, not {_in_json(right)}"


def _document(answer: Answer) -> tuple[Any]:
    try:
        return (json.loads(answer.body),)
    except ValueError:
        raise StumbleError("the answer is not a complete JSON document") from None


def _in_json(value: Any) -> str:
    return shown(json.dumps(value))
