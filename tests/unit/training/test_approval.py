"""The question that a person is asked: what it says, and what nobody can smuggle into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evergreen.evaluation.verdict import Check, Outcome, Verdict
from evergreen.pipeline import Pipeline
from evergreen.spec import Spec
from evergreen.storage import Storage
from evergreen.training.approval import Question, ask
from evergreen.training.version_files import to_json

VERSION, BEFORE = "2024-02-01-aaaaaaaaaaaa", "2024-01-01-bbbbbbbbbbbb"
VERDICT = Verdict(
    Outcome.INCONCLUSIVE, (Check("champion", False, "mae 3 may be worse than 2.9", inconclusive=True),), True
)


@pytest.fixture
def question(make_spec: Callable[..., Spec], storage: Storage) -> Callable[..., Question]:
    """The question about a version of this lineage, with or without a champion before it."""

    def make(champion: bool = False, **lineage: Any) -> Question:
        pipeline = Pipeline(make_spec(), storage)
        content = {
            "as_of": "2024-02-01",
            "reason": {"sentence": "drift"},
            "candidate": {"estimator": "sklearn.linear_model.Ridge"},
            **lineage,
        }
        pipeline.registry.commit(VERSION, {"lineage.json": to_json(content)})
        if champion:
            pipeline.registry.commit(BEFORE, {"lineage.json": b"{}"})
            pipeline.registry.promote(BEFORE, "2024-01-01", {})
        return ask(pipeline, VERSION, VERDICT)

    return make


def test_it_says_what_there_is_to_decide_by(question: Callable[..., Question], storage: Storage) -> None:
    asked = question()
    assert (asked.version, asked.subject) == (VERSION, f"sales: promote {VERSION} to champion?")
    for line in (
        f"- **Version**: `{VERSION}`",
        "- **In place of**: no champion: it would be the first",
        "- **Trained because**: `drift`",
        "- **Model**: `sklearn.linear_model.Ridge`",
        f"- **Card**: `s3://{storage.bucket}/sales/models/{VERSION}/card.html`",
        f"- **In a shell**: `evergreen models show sales {VERSION}`",
    ):
        assert line in asked.text.splitlines()
    assert "| champion | inconclusive | mae 3 may be worse than 2.9 |" in asked.text


def test_it_names_the_champion_that_would_go(question: Callable[..., Question]) -> None:
    assert f"- **In place of**: `{BEFORE}`" in question(champion=True).text


def test_a_reason_can_neither_place_a_link_nor_a_line(question: Callable[..., Question]) -> None:
    sentence = "drift` [approve here](https://example.org)\n\n# All is well"
    line = "- **Trained because**: `drift' [approve here](https://example.org) # All is well`"
    assert line in question(reason={"sentence": sentence}).text.splitlines()


def test_a_training_without_a_reason(question: Callable[..., Question]) -> None:
    assert "- **Trained because**: `nobody said`" in question(reason={}).text
