"""What is served of a pipeline, as probes see it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from evergreen.serving.follow import State
from evergreen.serving.served import Served

ANSWERS = cast("Served", object())


@pytest.mark.parametrize(
    ("state", "is_ready"),
    [
        (State(), False),  # nobody has looked yet
        (State(problem="the storage is out of reach"), False),
        (State(seen=1.0), True),  # there is no champion that could answer
        (State(seen=1.0, champion="2024-05-01-a"), False),
        (State(seen=1.0, champion="2024-05-01-a", served=ANSWERS), True),
        (State(champion="2024-05-02-b", served=ANSWERS, problem="a damaged file"), True),
    ],
)
def test_a_pipeline_is_ready_once_its_champion_answers_or_it_has_none(state: Any, is_ready: bool):
    assert state.is_ready is is_ready
