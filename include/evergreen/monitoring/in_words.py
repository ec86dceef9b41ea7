"""What the policy of a description will do, in words for people. Pure.

Everything here is known before a single row is read.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from evergreen.calendar import Calendar, Length
from evergreen.evaluation.power import tried_at_all
from evergreen.signals import SIGNALS, Terms
from evergreen.signals.performance import PERFORMANCE
from evergreen.spec import Spec
from evergreen.units import Budget, HalfLife, SinceChange


def policy_in_words(spec: Spec) -> list[str]:
    """What starts a training, how often at most, when the breaker stops it, and what a trial is.

    A sentence each.
    """
    return [*_starts(spec), *_at_most(spec), _breaker(spec), _undecided(spec)]


def _starts(spec: Spec) -> Iterator[str]:
    calendar, monitoring = spec.calendar, spec.monitoring
    window = calendar.about(spec.training.window)
    terms = Terms(monitoring, calendar, spec.metric, monitoring.retrain.when, window)
    signals = [SIGNALS[name] for name in spec.signals]
    clauses = [f"{one.name}: {one.asks_when(terms)}" for one in signals if terms.lets(one)]
    match clauses:
        case []:
            yield "No signal starts a training."
        case [only]:
            yield f"One signal starts a training. {only}."
        case _:
            yield f"Any of {len(clauses)} signals starts a training. {'. '.join(clauses)}."
    if spec.training.schedule:
        yield f"Its schedule starts trainings as well: {spec.training.schedule}."


def _at_most(spec: Spec) -> Iterator[str]:
    calendar = spec.calendar
    if not calendar.has_time:
        return
    times, per = spec.lengths.budget
    every = f"at most every {calendar.in_words(spec.cooldown)}" if spec.cooldown else ""
    budget = f"{times} in {calendar.in_words(per)}"
    if spec.cooldown and calendar.about(spec.cooldown) * times >= calendar.about(per):
        yield f"A training starts {every}, so the budget of {budget} is never spent."
    else:
        yield f"A training starts {' and '.join(filter(None, (every, f'at most {budget}')))}."


def _breaker(spec: Spec) -> str:
    refusals, calendar = spec.monitoring.retrain.refusals, spec.calendar
    challengers = "a challenger was" if refusals == 1 else f"{refusals} challengers in a row were"
    stops = f"After {challengers} worse the breaker opens, and no training starts"
    if not calendar.has_time:
        return f"{stops} until a person promotes one."
    lengths = spec.lengths
    tolerance = spec.metric.told_share(PERFORMANCE.of(spec.monitoring).tolerance)
    return (
        f"{stops} for {calendar.in_words(lengths.half_open)}, or until the {spec.metric.words} over "
        f"{calendar.in_words(lengths.over)} is worse than before by {tolerance}: then one may start."
    )


def _undecided(spec: Spec) -> str:
    said = "A challenger that the gate cannot decide on (inconclusive) does not count as worse"
    if spec.gate.approval is not None:
        return f"{said}: a person is asked."
    if not tried_at_all(spec):
        return f"{said}, and is not promoted."
    late = f" (labels come {spec.calendar.in_words(spec.label_delay)} later)" if spec.label_delay else ""
    return (
        f"{said}. It goes on trial: night by night it predicts beside the champion{late}, and is promoted "
        "once it is clearly better."
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
        elif isinstance(value, SinceChange):
            yield f"{where} since change, at most", Length(value.count, value.unit)
        elif isinstance(value, Length):
            yield where, value
        elif isinstance(value, BaseModel):
            yield from _written(value, where)
