"""What a description's hold-out can tell of a challenger, said before anything is trained. Pure."""

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
    said = f"compared by {calendar.counted(held)} held out"
    if block > 1 and held < 2 * block:
        return (
            f"{said}, too few for an interval in blocks of {calendar.counted(block)}: no challenger passes; "
            f"hold out {calendar.counted(2 * block)} or lower gate.champion.block"
        )
    if block == 1 and held < FEWEST_PARTITIONS:
        one = calendar.counted(1).removeprefix("1 ")
        seen = "not" if held == 1 else "hardly"
        return (
            f"{said}, too few: by stretches of {STRETCH_ROWS} or more of their rows, and what varies from "
            f"{one} to {one} is {seen} seen; hold out {calendar.counted(FEWEST_PARTITIONS)} or more"
        )
    return f"{said}, as blocks of {calendar.counted(block)}"
