"""`serving` in a description."""

from __future__ import annotations

import pytest

from evergreen.calendar import Length
from evergreen.errors import SpecError
from evergreen.training_set.digest import spec_digest


def test_all_of_it_is_optional(make_spec):
    assert make_spec().serving.look_back is None
    assert make_spec(changes=_described("{}")).serving.look_back is not None
    look_back = make_spec(
        changes=_described("{conn_id: db, max_age: 2 days, stale: allow}")
    ).serving.look_back
    assert (look_back.conn_id, look_back.max_age, look_back.stale) == ("db", Length(2, "day"), "allow")


def test_it_may_change_without_a_new_version_of_the_model(make_spec):
    assert spec_digest(make_spec(changes=_described("{conn_id: db}"))) == spec_digest(make_spec())


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{max_age: old}", r"serving\.look_back\.max_age: write"),
        ("{stale: maybe}", r"serving\.look_back\.stale: must be 'refuse' or 'allow'"),
        ("{table: t}", r"serving\.look_back\.table: no such key"),
    ],
)
def test_what_is_wrong_is_named(make_spec, written, message):
    with pytest.raises(SpecError, match=message):
        make_spec(changes=_described(written))


def test_a_snapshot_looks_back_to_nothing(make_spec, snapshot):
    with pytest.raises(SpecError, match=r"serving\.look_back: a snapshot has no partitions before it"):
        make_spec(snapshot, _described("{}", "classification"))


def _described(look_back: str, task: str = "regression") -> dict[str, str]:
    return {f"task: {task}": f"serving: {{look_back: {look_back}}}\ntask: {task}"}
