"""The drill as a command: how the policy reacts to a shift that is made on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from evergreen.cli.command import Answer, PipelineName, open_pipeline, progress, register, table
from evergreen.errors import SpecError
from evergreen.numbers import number

if TYPE_CHECKING:
    from rich.console import RenderableType

    from evergreen.backtest.drill import Alarm, Drill, Side
    from evergreen.backtest.shifts import Shift

Shifts = Annotated[
    list[str],
    typer.Option("--shift", metavar="COLUMN=CHANGE", help="a shift; may be repeated, applied in order"),
]
At = Annotated[str, typer.Option("--at", metavar="KEY", help="the first partition that is shifted")]
First = Annotated[
    str | None,
    typer.Option("--from", metavar="KEY", help="the first partition replayed; default: the first published"),
]
Last = Annotated[
    str | None,
    typer.Option("--to", metavar="KEY", help="the last partition replayed; default: the newest published"),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="the seed of random draws of rows")]


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(app, "drill", "drill bike_demand --at 2011-06-01 --shift temperature=+2sd")(drill)


def drill(
    pipeline: PipelineName,
    *,
    shift: Shifts,
    at: At,
    first: First = None,
    last: Last = None,
    seed: Seed = 0,
) -> Answer:
    """Let a copy of the history drift, and see whether, when and why the policy reacts.

    The published history is replayed under the configured policy, once with the shifts from --at on and once
    unchanged, to see which trainings would have happened anyway. Nothing is published.

    A shift is a raw column and a change:

    \b
    temperature=+0.5sd       the mean moves, by standard deviations of the history before
    temperature=-3           the mean moves, by this much in the column's unit
    temperature=x1.5         the spread around the mean of the history before is multiplied
    temperature='*1.8+32'    another unit: every value is multiplied, then added to
    temperature='creep +0.5sd per 30 partitions'
                             the mean keeps moving, by this much every 30 partitions
    temperature='missing 5%' this share of the rows lose their value
    condition='new 2%'       this share of the rows get a category never seen before
    kind='flip 10%'          this share of the rows get the label of another class

    The target may be shifted too, which changes its relation to the features.
    """
    from evergreen.backtest import drill as stage

    shifts = _parsed(shift)
    opened = open_pipeline(pipeline)
    first, last, nights = stage.stretch(opened, at, first, last)
    with progress(f"drill {pipeline}", 2 * nights) as done:
        found = stage.drill(opened, shifts, at, first, last, seed=seed, progress=done)
    return Answer(found.to_dict(), shown(found))


def _parsed(texts: list[str]) -> list[Shift]:
    from evergreen.backtest.shifts import parse_shift

    try:
        return [parse_shift(text) for text in texts]
    except SpecError as error:
        raise typer.BadParameter(str(error)) from None


def shown(found: Drill) -> RenderableType:
    """The result of a drill, for people."""
    from rich.console import Group
    from rich.text import Text

    sides = table(
        [f"{found.metric}, trainings", "shifted", "untouched"],
        ((name, of(found.shifted), of(found.untouched)) for name, of in _figures(found)),
    )
    features = table(
        ["feature, called drifted", "shifted", "untouched", "only shifted", "after", "for"],
        (
            (
                name,
                *(key or "never" for key in (seen.shifted, seen.untouched, seen.alone)),
                _after(seen.delay),
                ", ".join(seen.why),
            )
            for name, seen in found.features.items()
        ),
    )
    return Group(*(Text(line) for line in _sentences(found)), sides, features)


def _sentences(found: Drill) -> list[str]:
    """What was done, and whether, when and why the policy reacted."""
    lines = [
        f"{found.pipeline}: {', '.join(found.shifts)} from {found.at} on, replayed from {found.first} to "
        f"{found.last}"
    ]
    if not found.series:
        lines.append("no champion was ever in force, so nothing was scored: see why the gate refuses")
    elif found.reaction is not None:
        lines.append(f"the policy reacted {_when(found.reaction)}")
    else:
        lines.append("the policy did not react to the shift: no training that the untouched history lacks")
    if found.noticed is not None and found.noticed != found.reaction:
        lines.append(f"a signal fired first {_when(found.noticed)}")
    return lines


def _when(alarm: Alarm) -> str:
    return f"{_after(alarm.delay)}, on {alarm.partition} ({', '.join(alarm.signals)}): {alarm.sentence}"


def _after(delay: int | None) -> str:
    if delay is None:
        return ""
    if not delay:
        return "at once"
    return f"after {delay} partition{'' if delay == 1 else 's'}"


def _figures(found: Drill) -> Iterator[tuple[str, Callable[[Side], str]]]:
    """The rows of the table: a name, and what it is on one side."""
    yield f"{found.metric} before {found.at}", lambda side: number(side.error.before)
    yield f"{found.metric} from then on", lambda side: number(side.error.after)
    if found.reaction is not None:
        yield "- until the reaction", lambda side: number(side.error.unanswered)
        yield "- after it", lambda side: number(side.error.answered)
    yield f"trainings asked for before {found.at}", lambda side: _count(side, lambda delay: delay < 0)
    yield "trainings asked for from then on", lambda side: _count(side, lambda delay: delay >= 0)
    yield "promoted, of all trainings", lambda side: f"{side.promotions} of {side.trainings}"
    yield f"false alarms before {found.at}", lambda side: str(len(found.false_alarms))


def _count(side: Side, counts: Callable[[int], bool]) -> str:
    return str(sum(counts(alarm.delay) for alarm in side.retrainings))
