from __future__ import annotations

from evergreen.evaluation.verdict import Check, Outcome, Verdict
from evergreen.explain.version import sentence
from evergreen.registry.history import State
from evergreen.registry.overview import Overview

AT, BY = "2024-02-01T02:00:00+00:00", "lab@host"
WORSE = Verdict(Outcome.WORSE, (Check("champion", False, "mae 3.2 is worse than 3.1"),))


def overview(state: State, at: str | None = AT, **reason: str) -> Overview:
    return Overview("2024-01-20-aaaa", "2024-01-20", state, {}, at, BY if at else None, dict(reason))


def test_a_refused_version_says_by_which_comparison():
    assert sentence(overview(State.REFUSED), WORSE) == (
        f"2024-01-20-aaaa was refused, since {AT} by {BY}. The gate: worse: mae 3.2 is worse than 3.1"
    )


def test_what_a_person_said_is_told():
    assert "(overshoots on holidays)" in sentence(
        overview(State.WITHDRAWN, why="overshoots on holidays"), None
    )


def test_one_that_nobody_has_decided_on_says_so():
    said = sentence(overview(State.COMMITTED, at=None), None)
    assert said == "2024-01-20-aaaa was neither promoted nor refused yet"
