"""A skew for people, a line each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evergreen.numbers import percent
from evergreen.shown import shown
from evergreen.skew.compare import Cause, Changed, Skew
from evergreen.spec import Spec

_WHY: Mapping[Cause, str] = {
    Cause.INPUTS: "because their inputs changed",
    Cause.LOOK_BACK: "because what they look back to was published again",
    Cause.TOGETHER: "because inputs of rows that were sent with them changed",
    Cause.UNEXPLAINED: "though all that is known of their inputs is equal: look at features and lookups",
}


def in_words(spec: Spec, partition: str, found: Skew) -> Iterator[str]:
    """What was compared, then what changed, with an example each."""
    where = f"{spec.name} {partition}"
    if not found.rows:
        log = spec.serving.log
        why = f"the share of serving.log is {percent(log.share)}" if log else "describe serving.log first"
        yield f"{where}: no rows are logged ({why})"
        return
    missing = f"; {found.unpublished:,} are not published" if found.unpublished else ""
    yield f"{where}: {found.rows:,} rows are logged{missing}"
    yield f"inputs: {found.inputs:,} of {found.compared:,} published rows have other values"
    for name, changed in sorted(found.columns.items(), key=lambda one: (-one[1].rows, one[0])):
        yield f"  {name}: {_counted(changed)}"
    same = found.predicted - sum(one.rows for one in found.predictions.values())
    yield f"predictions: {same:,} of {found.predicted:,} are equal"
    for cause, changed in found.predictions.items():
        yield f"  {_counted(changed)}: changed {_WHY[cause]}"
    for version, why in found.unusable.items():
        yield f"  not predicted again by {version}: {why}"


def _counted(changed: Changed) -> str:
    one = changed.example
    said = f"as {_value(one.key)}: served {_value(one.served)}, now {_value(one.published)}"
    return f"{changed.rows:,} ({percent(changed.share)}), {said}"


def _value(value: Any) -> str:
    named = isinstance(value, Mapping)
    return shown(", ".join(f"{name} {said}" for name, said in value.items()) if named else str(value))
