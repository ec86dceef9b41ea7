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


def _logged(log: str, task: str = "regression") -> dict[str, str]:
    return {f"task: {task}": f"serving: {{log: {log}}}\ntask: {task}"}


def test_the_log_is_optional_and_has_defaults(make_spec):
    assert make_spec().serving.log is None
    log = make_spec(changes=_logged("{}")).serving.log
    assert (log.share, log.keep, log.drop) == (0.05, Length(30, "day"), ())
    log = make_spec(changes=_logged("{share: 20%, keep: 5 partitions, drop: [price]}")).serving.log
    assert (log.share, log.keep, log.drop) == (0.2, Length(5), ("price",))


def test_a_key_is_not_dropped_from_the_log(make_spec):
    key = make_spec().keys[0]
    with pytest.raises(SpecError, match=f"serving.log.drop: '{key}' is of the key") as raised:
        make_spec(changes=_logged(f"{{drop: [{key}]}}"))
    assert "leave out serving.log" in str(raised.value)


def test_a_snapshots_log_is_kept_for_a_time(make_spec, snapshot):
    assert make_spec(snapshot, _logged("{keep: 2 weeks}", "classification")).serving.log.keep.time
    with pytest.raises(SpecError, match=r"serving\.log\.keep: a snapshot's log is kept for a time"):
        make_spec(snapshot, _logged("{keep: 5 partitions}", "classification"))
