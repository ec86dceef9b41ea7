"""The power of a comparison: the smallest gain that a hold-out shows, and how many nights of trial one needs.

Pure. A challenger of the true gain g is promoted in four of five cases if g is as large as the reach of the
interval plus z(0.8) standard errors of the loss (the minimum detectable effect: Bloom 1995, "Minimum
detectable effects", Evaluation Review 19; a normal approximation). The standard error is that of a comparison
that was made. It is estimated itself, and another challenger has another one, so the figures are about right
and no more.

A gain is a share of the champion's distance from a perfect model, like a margin (`Metric.allowance`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from scipy import special

from evergreen.evaluation.compare import Comparison, clearly_worse, clears
from evergreen.evaluation.confidence import FEWEST, reach
from evergreen.evaluation.trial import Trial
from evergreen.metrics import metric_named
from evergreen.numbers import percent
from evergreen.spec import ChampionRule, Spec, Task

POWER = 0.8
"""How often a gain is to be seen."""

GAIN = 0.05
"""The gain whose trial is told."""

MOST_UNITS = 1_000
"""Trials that take longer are not told apart."""

_Z = float(special.ndtri(POWER))


def standard_error(comparison: Comparison) -> float:
    """The standard error of the loss, in the metric's unit, taken from the interval; NaN without one.

    The interval is Student's t times it (`evergreen.evaluation.bootstrap.interval`).
    """
    if comparison.blocks < 2:
        return math.nan
    half = (comparison.high - comparison.low) / 2
    return half / _quantile(comparison.blocks, comparison.confidence)


def smallest_gain(comparison: Comparison, rule: ChampionRule) -> float | None:
    """The smallest gain that the gate promotes in four of five cases, on such a hold-out by this rule.

    Below 0 it is a loss, which a margin may allow. None without an interval, where nothing varied, and where
    the champion is perfect.
    """
    error, whole = standard_error(comparison), _distance(comparison)
    if not (0 < error < math.inf and 0 < whole < math.inf):
        return None
    return (_quantile(comparison.blocks, rule.confidence) + _Z) * error / whole + _asked(rule)


def trial_units(
    variance: float, rule: ChampionRule, tightest: int = 90, gain: float = GAIN, most: int = MOST_UNITS
) -> int | None:
    """After how many units a trial promotes a challenger of this gain in four of five cases.

    `variance` is that of a single unit's loss, as a share of the champion's distance from perfect, squared;
    `tightest` as of `evergreen.evaluation.confidence.reach`. It may be decided earlier, because it is looked
    at after every unit. None where `most` do not suffice, or no number would.
    """

    def suffices(units: int) -> bool:
        bound = reach(variance / units, units, rule.one_sided, tightest)
        return bound + _Z * math.sqrt(variance / units) <= gain - _asked(rule)

    if not 0 < variance < math.inf or not suffices(most):
        return None
    low, high = FEWEST - 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def nights_needed(spec: Spec, comparison: Comparison, gain: float = GAIN) -> int | None:
    """About how many units of trial a gain needs; None as of `trial_units`.

    A unit is a partition, or a day of hourly ones. Its loss is taken to vary as those of the hold-out do,
    which the standard error of all of them tells.
    """
    error, whole = standard_error(comparison), _distance(comparison)
    if not comparison.units or not 0 < whole < math.inf:
        return None
    tightest = spec.calendar.grain.facts.trial_units
    return trial_units((error / whole) ** 2 * comparison.units, spec.gate.champion, tightest, gain)


def in_words(spec: Spec, comparison: Comparison) -> str:
    """What a hold-out shows, and what a gain of 5 % needs; empty where neither can be said.

    `this hold-out shows a gain of 7.2% or more in 4 of 5 cases; a gain of 5% needs about 108 days of trial`
    """
    rule = spec.gate.champion
    smallest = smallest_gain(comparison, rule)
    if smallest is None:
        return ""
    said = _shown(comparison, smallest)
    if smallest <= GAIN or not tried_at_all(spec) or not comparison.units:
        return said
    return f"{said}; {_needed(spec, nights_needed(spec, comparison))}"


def trial_in_words(spec: Spec, found: Trial) -> str:
    """What a gain of 5 % needs in all, by what a trial has shown so far; empty where that is not known."""
    rule, facts = spec.gate.champion, spec.calendar.grain.facts
    whole = spec.metric.allowance(found.champion, 1)
    if not (0 < whole < math.inf and 0 < found.reach < math.inf):
        return ""
    error = found.reach / reach(1.0, found.units, rule.one_sided, facts.trial_units)
    return _needed(spec, trial_units((error / whole) ** 2 * found.units, rule, facts.trial_units))


def compared_in_words(spec: Spec, comparisons: Mapping[str, Comparison]) -> str:
    """What such a hold-out shows, by the newest of some comparisons, and how many are inconclusive today.

    `comparisons` are by version, newest first, of the gate as it was then. Each is judged by the rule of now.
    """
    of_now = {name: found for name, found in comparisons.items() if found.metric == spec.training.metric}
    if not of_now:
        return "how large a gain can be seen is known after the first comparison with a champion"
    version, newest = next(iter(of_now.items()))
    rule = spec.gate.champion
    opened = sum(not (clears(one, rule) or clearly_worse(one, rule)) for one in of_now.values())
    said = in_words(spec, newest) or "this hold-out shows nothing: no interval could be computed"
    margin, count = f"a margin of {percent(rule.margin)}", len(of_now)
    if count == 1:
        return f"{version}: {said}. At {margin} it would {'' if opened else 'not '}be inconclusive"
    return f"{version}: {said}. At {margin} {opened} of the last {count} comparisons would be inconclusive"


def tried_at_all(spec: Spec) -> bool:
    """Whether an inconclusive challenger goes on trial: in time, with labels, if no person is asked."""
    return spec.calendar.has_time and spec.task is not Task.CLUSTERING and spec.gate.approval is None


def _shown(comparison: Comparison, smallest: float) -> str:
    metric = metric_named(comparison.metric)
    if smallest <= 0:
        return "this hold-out lets a challenger pass that is as good as the champion in 4 of 5 cases"
    if smallest >= 1 and math.isfinite(metric.best):
        return "this hold-out is too small to show any gain"
    return f"this hold-out shows a gain of {metric.told_share(_rounded(smallest))} or more in 4 of 5 cases"


def _needed(spec: Spec, units: int | None) -> str:
    """What a gain of 5 % needs, in words, where a trial takes so many units."""
    asked, words = _asked(spec.gate.champion), spec.calendar.units
    if asked >= GAIN:
        return f"a gain of {percent(GAIN)} is never enough, because more than {percent(asked)} is asked for"
    needed = f"about {words(units)}" if units else f"more than {words(MOST_UNITS)}"
    return f"a gain of {percent(GAIN)} needs {needed} of trial"


def _rounded(share: float) -> float:
    """To the two digits that are known of it."""
    return float(f"{share:.2g}")


def _quantile(blocks: int, confidence: float) -> float:
    """Student's t of the two-sided interval."""
    return float(special.stdtrit(blocks - 1, (1 + confidence) / 2))


def _distance(comparison: Comparison) -> float:
    """How far the champion is from a perfect model, in the metric's unit."""
    return metric_named(comparison.metric).allowance(comparison.champion, 1)


def _asked(rule: ChampionRule) -> float:
    """The gain that the rule asks for; below 0 a loss that it allows."""
    return rule.margin if rule.test == "superiority" else -rule.margin
