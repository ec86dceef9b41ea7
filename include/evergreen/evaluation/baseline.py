"""The gate's check of a challenger against the baseline, which does not look at the features. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evergreen.evaluation.compare import Comparison
from evergreen.evaluation.verdict import Check
from evergreen.evaluation.words import counted, figure, in_percent, loss_in_words, valued
from evergreen.spec import Spec, Task

if TYPE_CHECKING:
    from evergreen.evaluation.evaluate import Evaluation

NAME = "baseline"


def baseline_check(spec: Spec, evaluation: Evaluation) -> Check:
    """A first champion must beat the baseline beyond chance; else the baseline or the champion is enough."""
    name, found = evaluation.metric, evaluation.against_baseline
    if found is None or not math.isfinite(found.loss):
        return Check(NAME, False, f"{name} of challenger or baseline is missing: they cannot be compared")
    if evaluation.champion is None:
        return _beats(spec, evaluation, found)
    return _keeps_up(evaluation, found)


def _beats(spec: Spec, evaluation: Evaluation, found: Comparison) -> Check:
    """Either of two tests is enough: that of the predictions' order, or of a regression the interval.

    A constant is the best that can be said of a number by chance, but says nothing of most metrics of
    classes.
    """
    level, by_chance = spec.champion_rule.one_sided, evaluation.chance
    if found.loss >= 0:
        return Check(NAME, False, _values(found, "is not better than"))
    by_interval = spec.task is not Task.CLASSIFICATION and found.high < 0
    if by_chance is None or by_interval or by_chance.probability <= level:
        return Check(NAME, True, _values(found, "is better than"))
    detail = (
        f"{_values(found, 'is better than')}, but perhaps by chance: so are its own predictions in "
        f"{by_chance.as_good:,} of {counted(by_chance.orders, 'random order')} "
        f"({in_percent(level)} of them at most for a first champion)"
    )
    return Check(NAME, False, detail, inconclusive=True)


def _keeps_up(evaluation: Evaluation, found: Comparison) -> Check:
    """A constant may do well on few days, better than any model: then the one in force is what counts."""
    if found.loss < 0:
        return Check(NAME, True, _values(found, "is better than"))
    worse = found.low > 0
    detail = f"{_values(found, 'is worse than' if worse else 'against')}: its loss is {loss_in_words(found)}"
    if evaluation.comparison is not None and evaluation.comparison.loss < 0:
        return Check(NAME, True, f"{detail}, but the champion is worse still")
    return Check(NAME, False, detail, inconclusive=not worse)


def _values(found: Comparison, words: str) -> str:
    return f"{valued(found.metric, found.challenger)} {words} the dummy baseline's {figure(found.champion)}"
