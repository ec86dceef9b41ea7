"""What was measured of two versions, each on its own hold-out, or by a gate on the same rows. Pure.

The documents are read as they are stored, without the modules that measured them: those need the libraries of
models, which a page must not wait for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evergreen.metrics import METRICS
from evergreen.numbers import number, percent, signed
from evergreen.side_by_side.lines import Line, Part, known

if TYPE_CHECKING:
    from evergreen.side_by_side.read import Side

_MOST = 30  # features, and slices


def metrics(first: Side, second: Side) -> Part:
    """The metrics of both hold-outs, the deciding one first, with their intervals."""
    measured = [_numbers(side.metrics) for side in (first, second)]
    deciding = second.evaluation.get("metric") or first.evaluation.get("metric")
    names = dict.fromkeys((deciding, *(name for one in measured for name in one)))
    found = [
        _with_intervals(
            _line(name, *(one.get(name) for one in measured)), first.evaluation, second.evaluation
        )
        for name in names
        if name
    ]
    dummies = [side.evaluation.get("baseline") or {} for side in (first, second)]
    if deciding:
        found.append(
            replace(_line(deciding, *(one.get(deciding) for one in dummies)), name=f"{deciding} of the dummy")
        )
    found += _coverage(first.evaluation, second.evaluation)
    return Part("Metrics", known(found), _own_rows(first, second))


def on_the_same_rows(first: Side, second: Side) -> Part:
    """The metrics on the rows that the gate of one compared both on; no lines where neither gate did."""
    found = _compared(first, second)
    if found is None:
        return Part("Metrics on the same rows")
    challenger, evaluation = found
    own = evaluation.get("challenger_on_champion_rows") or {}
    theirs = (evaluation.get("champion") or {}).get("metrics") or {}
    sides = (theirs, own) if challenger is second else (own, theirs)
    lines = known(_line(name, sides[0].get(name), sides[1].get(name)) for name in own)
    return Part("Metrics on the same rows", lines, _verdict(challenger, evaluation))


def slices(first: Side, second: Side) -> Part:
    """The deciding metric by slice: on the same rows where a gate compared both, else each on its own."""
    metric = str(second.evaluation.get("metric") or first.evaluation.get("metric") or "")
    if (found := _compared(first, second)) is not None:
        challenger, evaluation = found
        lines = list(
            _paired(metric, evaluation.get("slices") or (), second_is_challenger=challenger is second)
        )
        note = f"In {metric}, on the rows on which the gate of {challenger.version} compared both."
    else:
        each = [_by_slice(side.evaluation.get("slices") or ()) for side in (first, second)]
        lines = [
            _line_of(metric, name, *(one.get(name) for one in each))
            for name in dict.fromkeys((*each[0], *each[1]))
        ]
        note = f"In {metric}, of each version on the rows of its own gate."
    return _cut(Part("Slices", known(lines), note))


def importance(first: Side, second: Side) -> Part:
    """How important each feature is on each hold-out, the most important first.

    By contributions, where both versions have them in the same unit, else by the loss of shuffled values.
    """
    contributed = [side.explanation.get("contributions") or {} for side in (first, second)]
    unit = contributed[0].get("unit")
    if unit and unit == contributed[1].get("unit"):
        values = [{one["name"]: one["size"] for one in found["features"]} for found in contributed]
        note = f"Mean absolute contribution in {unit}, on rows of each hold-out."
    else:
        shuffled = [side.explanation.get("importance") or {} for side in (first, second)]
        values = [{one["name"]: one["loss"] for one in found.get("features", ())} for found in shuffled]
        metric = second.explanation.get("metric") or first.explanation.get("metric")
        note = f"How much worse {metric} gets on each hold-out when the values of a feature are shuffled."
    names = sorted(
        dict.fromkeys((*values[0], *values[1])),
        key=lambda name: -max(one.get(name) or 0.0 for one in values),
    )
    lines = [_plain_line(name, *(one.get(name) for one in values)) for name in names]
    return _cut(Part("Importance of features", known(lines), note))


def _compared(first: Side, second: Side) -> tuple[Side, Mapping[str, Any]] | None:
    """The version whose gate compared it with the other, and what was measured then."""
    for challenger, champion in ((second, first), (first, second)):
        found = challenger.evaluation.get("champion") or {}
        if found.get("version") == champion.version and found.get("metrics"):
            return challenger, challenger.evaluation
    return None


def _verdict(challenger: Side, evaluation: Mapping[str, Any]) -> str:
    rows = f"{number(evaluation.get('compared_rows'))} rows"
    said = f"The gate of {challenger.version} compared both on the same {rows}"
    found = evaluation.get("comparison") or {}
    if found.get("loss") is None:
        return f"{said}."
    between = ""
    if found.get("low") is not None and found.get("high") is not None:
        low, high, sure = signed(found["low"]), signed(found["high"]), percent(found["confidence"])
        between = f", {low} to {high} at {sure} confidence"
    loss = f"its loss in {found['metric']} is {signed(found['loss'])}{between}"
    return f"{said}: {loss}; below 0 {challenger.version} is the better one."


def _own_rows(first: Side, second: Side) -> str:
    rows = [side.evaluation.get("rows") for side in (first, second)]
    if None in rows:
        return "Each version is measured on its own hold-out."
    each = f"of {number(rows[0])} and {number(rows[1])} rows"
    return f"Each version is measured on its own hold-out, {each}: what differs may come from the rows."


def _paired(metric: str, found: Iterable[Mapping[str, Any]], *, second_is_challenger: bool) -> Iterator[Line]:
    for one in found:
        both = one.get("comparison") or {}
        values = (both.get("champion"), both.get("challenger"))
        name = f"{_slice(one)} ({number(one['rows'])} rows)"
        yield _line_of(metric, name, *(values if second_is_challenger else reversed(values)))


def _by_slice(found: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {_slice(one): (one.get("comparison") or {}).get("challenger") for one in found}


def _slice(one: Mapping[str, Any]) -> str:
    return f"{one['column']} = {one['value']}"


def _coverage(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Line]:
    each = [{one["level"]: one for one in side.get("coverage") or ()} for side in (first, second)]
    for level in dict.fromkeys((*each[0], *each[1])):
        shares = [(one.get(level) or {}).get("covered") for one in each]
        words = [percent(share) for share in shares]
        yield Line(f"covered, of {percent(level)} promised", words[0], words[1], shares[0] == shares[1])


def _numbers(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if value is None or isinstance(value, int | float)}


def _with_intervals(found: Line, one: Mapping[str, Any], other: Mapping[str, Any]) -> Line:
    first, second = (
        _with_interval(found.first, one, found.name),
        _with_interval(found.second, other, found.name),
    )
    return replace(found, first=first, second=second)


def _with_interval(said: str, evaluation: Mapping[str, Any], name: str) -> str:
    found = (evaluation.get("intervals") or {}).get(name)
    return f"{said} ({number(found['low'])} to {number(found['high'])})" if found else said


def _line(metric: str, first: Any, second: Any) -> Line:
    return _line_of(metric, metric, first, second)


def _line_of(metric: str, name: str, first: Any, second: Any) -> Line:
    """A line of two values of a metric, which knows which one is better."""
    found = _plain_line(name, first, second)
    if found.same or not found.change or metric not in METRICS:
        return found
    loss = METRICS[metric].loss(second, first)
    return replace(found, better=loss < 0 if loss and math.isfinite(loss) else None)


def _plain_line(name: str, first: Any, second: Any) -> Line:
    differ = first is not None and second is not None and first != second
    change = signed(second - first) if differ else ""
    return Line(name, number(first), number(second), first == second, change)


def _cut(part: Part) -> Part:
    """The part with the first lines; the note says how many there are more."""
    more = len(part.lines) - _MOST
    if more <= 0:
        return part
    return replace(
        part, lines=part.lines[:_MOST], note=f"{part.note} The other {number(more)} are not shown."
    )
