"""Settings chosen on all histories but one, and what they are worth on the one left out. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from statistics import fmean
from typing import Any

from benchmarks.histories.outcome import Outcome
from benchmarks.histories.verdict import broken

Setting = tuple[tuple[str, str], ...]
"""A value for each knob: pairs of its key path in the description, and how it is written there."""


@dataclass(frozen=True)
class Score:
    """A setting on one history: how many of the lines that must hold it breaks, and how far it lies above the
    curve of fixed schedules, as a share (below 0 it is better)."""

    broken: int
    above: float


Scores = Mapping[Setting, Mapping[str, Score]]
"""By setting and history; every setting has the same histories."""


@dataclass(frozen=True)
class LeftOut:
    """What was chosen without a history, and its score there."""

    history: str
    chosen: Setting
    score: Score


def grid(knobs: Mapping[str, Iterable[str]]) -> list[Setting]:
    """Every combination of the knobs' values; the first values of all come first."""
    names = list(knobs)
    return [tuple(zip(names, values, strict=True)) for values in product(*knobs.values())]


def as_changes(setting: Setting) -> dict[str, Any]:
    """The setting as nested keys of a description."""
    changes: dict[str, Any] = {}
    for path, value in setting:
        *parents, last = path.split(".")
        place = changes
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
    return changes


def score_of(outcome: Outcome) -> Score:
    """The score of the default policy; where the curve cannot be told, against the best schedule."""
    above = outcome.above_curve
    if above is None:
        above = outcome.above(outcome.default.value, outcome.best.value)
    return Score(broken(outcome), above)


def choose(scores: Scores, histories: Collection[str]) -> Setting:
    """The setting that breaks the fewest lines on these histories; of several, the lowest mean distance.

    Where that is the same too, the one that comes first.
    """
    return min(scores, key=lambda setting: _total(scores[setting], histories))


def leave_one_out(scores: Scores) -> list[LeftOut]:
    """For each history the setting that is chosen on all others, and its score on this one."""
    histories = list(next(iter(scores.values())))
    found = []
    for history in histories:
        chosen = choose(scores, [other for other in histories if other != history])
        found.append(LeftOut(history, chosen, scores[chosen][history]))
    return found


def sensitivity(scores: Scores, around: Setting) -> dict[str, dict[str, tuple[int, float]]]:
    """By knob and value: lines broken in all and mean distance, with all other knobs as in `around`."""
    found: dict[str, dict[str, tuple[int, float]]] = {}
    for setting, by_history in scores.items():
        differing = [pair for pair, own in zip(setting, around, strict=True) if pair != own]
        if len(differing) > 1:
            continue
        for knob, value in differing or setting:
            found.setdefault(knob, {})[value] = _total(by_history, by_history)
    return found


def _total(scores: Mapping[str, Score], histories: Collection[str]) -> tuple[int, float]:
    taken = [scores[history] for history in histories]
    return sum(score.broken for score in taken), fmean(score.above for score in taken)
