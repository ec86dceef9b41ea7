"""What the limits of the policy come to, in words for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from evergreen.calendar import Calendar, Length
from evergreen.spec import Spec
from evergreen.units import Budget, HalfLife


def policy_in_words(spec: Spec) -> str:
    """How often a training may start, over what performance is judged, and how long a breaker waits."""
    refusals = spec.monitoring.retrain.refusals
    challengers = "a challenger was" if refusals == 1 else f"{refusals} challengers in a row were"
    if not spec.calendar.has_time:
        return f"no training after {challengers} worse, until a person promotes one"
    lengths, words = spec.lengths, spec.calendar.in_words
    return (
        f"a training at most every {words(spec.cooldown)}, at most {lengths.budget.times} in "
        f"{words(lengths.budget.per)}; performance is judged over {words(lengths.over)}; after {challengers} "
        f"worse, none for {words(lengths.half_open)}"
    )


def lengths_in_words(spec: Spec) -> str:
    """What the lengths that a description writes in another unit than the partitions' come to.

    Empty if there are none: `28 days` of a daily pipeline need no words. Of months the number of days is an
    average, and others are rounded up to whole partitions.
    """
    if not spec.calendar.has_time:
        return ""
    found = ((path, length, _comes_to(spec.calendar, length)) for path, length in _written(spec, ""))
    return "; ".join(f"{path} {length}: {words}" for path, length, words in found if words != str(length))


def _comes_to(calendar: Calendar, length: Length) -> str:
    if length.in_partitions:
        return str(length)
    said, exact = calendar.counted(calendar.about(length)), calendar.days(length) / calendar.mean_days
    if abs(exact - round(exact)) < 1e-6:
        return said
    return f"about {said}" if length.months else f"{said}, rounded up"


def _written(described: BaseModel, path: str) -> Iterator[tuple[str, Length]]:
    """The lengths that a part of a description writes, by their key paths."""
    for name in (*type(described).model_fields, *(described.model_extra or {})):
        if name not in described.model_fields_set:
            continue
        value, where = getattr(described, name), f"{path}.{name}".removeprefix(".")
        if isinstance(value, Budget):
            yield f"{where} {value.times} per", value.per
        elif isinstance(value, HalfLife):
            yield f"{where} half-life", value.length
        elif isinstance(value, Length):
            yield where, value
        elif isinstance(value, BaseModel):
            yield from _written(value, where)
