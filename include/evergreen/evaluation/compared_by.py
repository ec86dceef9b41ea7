"""By what challenger and champion are compared, said before anything is trained. Pure."""

from __future__ import annotations

from evergreen.calendar import Length
from evergreen.evaluation.bootstrap import FEWEST_PARTITIONS, STRETCH_ROWS
from evergreen.spec import Spec


def held_partitions(spec: Spec) -> int | None:
    """How many partitions `training.holdout` holds out; None without time, or where it is a share."""
    holdout, calendar = spec.training.holdout, spec.calendar
    if not calendar.has_time or not isinstance(holdout, Length):
        return None
    return calendar.count(holdout, before=calendar.shift(spec.first_partition, calendar.a_year))


def in_words(spec: Spec) -> str:
    """By what challenger and champion are compared, and what to do where that is too little."""
    held, calendar, block = held_partitions(spec), spec.calendar, spec.champion_rule.block.count
    if held is None:
        by = "partitions" if calendar.has_time else "rows"
        return f"compared by the {by} of a hold-out of {spec.training.holdout:.0%}"
    unit = calendar.grain.facts.unit
    units, sizes = -(-held // unit), (block, 2 * block, FEWEST_PARTITIONS)
    blocks, two, few = (calendar.counted(size * unit) for size in sizes)
    said = f"compared by {calendar.counted(held)} held out"
    if block > 1 and units < 2 * block:
        return (
            f"{said}, too few for an interval in blocks of {blocks}: each challenger goes on trial; "
            f"hold out {two} or lower gate.champion.block"
        )
    if block == 1 and units < FEWEST_PARTITIONS:
        return f"{said}, which is few: {_of_few(units)}; hold out {few} or more"
    return f"{said}, as blocks of {blocks}"


def _of_few(units: int) -> str:
    if units == 1:
        return "no interval, so each challenger goes on trial"
    return f"by stretches of {STRETCH_ROWS} or more of their rows if they are alike, else by nearly nothing"
