"""The comparisons of a card: metrics, champion, slices, groups, resources. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evergreen.evaluation.bootstrap import Interval
from evergreen.evaluation.compare import Comparison, allowed_loss
from evergreen.evaluation.coverage import PartResult
from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.fairness import FairnessResult
from evergreen.evaluation.power import in_words
from evergreen.evaluation.slices import SliceResult
from evergreen.metrics import metric_named
from evergreen.numbers import number, percent, signed
from evergreen.pages.plots.choice import Loss
from evergreen.spec import FairnessRule, Spec

_MOST_SLICES = 60
_MOST_LOSSES = 16

_PARTS = 20
"""How many sizes of the prediction, or classes, have a line of their own."""


@dataclass(frozen=True)
class SliceLine:
    """A slice's line in the card; `outcome` is held, worse, small or unknown, `said` the reason."""

    name: str
    rows: int
    challenger: str
    champion: str
    loss: str
    interval: str
    allowed: str
    outcome: str
    said: str


def metric_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The metrics, the training metric first: challenger with its interval, baseline, and champion."""
    champion = (evaluation.champion or {}).get("metrics") or {}
    compared = evaluation.challenger_on_champion_rows or {}
    names = [evaluation.metric, *(name for name in evaluation.challenger if name != evaluation.metric)]
    return [
        {
            "name": name,
            "decides": name == evaluation.metric,
            "words": metric_named(name).words,
            "better": metric_named(name).better,
            "challenger": number(evaluation.challenger.get(name)),
            "interval": interval_text(evaluation, name),
            "baseline": number(evaluation.baseline.get(name)),
            "compared": number(compared.get(name)),
            "champion": number(champion.get(name)),
            "difference": _difference(name, compared.get(name), champion.get(name)),
        }
        for name in names
    ]


def interval_text(evaluation: Evaluation, name: str) -> str:
    """The interval of the challenger's metric; empty if there is none."""
    found = evaluation.intervals.get(name)
    if found is None or not (math.isfinite(found.low) and math.isfinite(found.high)):
        return ""
    return f"{number(found.low)} to {number(found.high)}"


def against_champion(spec: Spec, comparison: Comparison) -> list[str]:
    """The comparison in sentences: difference, interval, the gate's rule, and what the rows can show."""
    if not math.isfinite(comparison.loss):
        return [f"{comparison.metric} could not be compared on the {comparison.rows:,} shared rows."]
    name, loss = comparison.metric, comparison.loss
    metric = metric_named(name)
    whole = metric.allowance(comparison.champion, 1)
    share = f" ({metric.told_share(abs(loss) / whole)})" if whole else ""
    direction = "better" if loss < 0 else "worse"
    verdict = f"{number(abs(loss))}{share} {direction} than" if loss else "as good as"
    said = [
        f"In {metric.with_unit} the challenger is {verdict} the champion: "
        f"{number(comparison.challenger)} against {number(comparison.champion)}."
    ]
    if math.isfinite(comparison.low) and math.isfinite(comparison.high):
        said.append(
            f"With {percent(comparison.confidence)} confidence its true loss is between "
            f"{signed(comparison.low)} and {signed(comparison.high)} (below 0 is better), from "
            f"{comparison.rounds:,} resamples of {_units(spec, comparison)}."
        )
    else:
        said.append(
            "There is too little data for an interval: a difference cannot be distinguished from chance."
        )
    power = in_words(spec, comparison)
    shows = [f"{power[0].upper()}{power[1:]}."] if power else []
    return [*said, _asked(spec, comparison), *shows]


def champion_losses(spec: Spec, evaluation: Evaluation) -> list[Loss]:
    """The losses in the figure of intervals: all rows first, then the compared slices."""
    comparison = evaluation.comparison
    if comparison is None or not math.isfinite(comparison.loss):
        return []
    whole = _loss("all rows", comparison, allowed_loss(comparison, spec.gate.champion))
    margins = {rule.column: rule.margin for rule in spec.gate.slices}
    slices = [
        _loss(f"{part.column} = {part.value}", part.comparison, _slice_margin(part.comparison, margins, part))
        for part in evaluation.slices
        if part.comparison is not None and math.isfinite(part.comparison.loss)
    ]
    return [whole, *slices][:_MOST_LOSSES]


def slice_lines(spec: Spec, evaluation: Evaluation) -> list[SliceLine]:
    """A line for each slice, those that did worse first."""
    margins = {rule.column: rule.margin for rule in spec.gate.slices}
    lines = [_slice_line(part, margins, evaluation) for part in evaluation.slices]
    order = ("worse", "unknown", "small", "held")
    return sorted(lines, key=lambda line: order.index(line.outcome))[:_MOST_SLICES]


def fairness_lines(spec: Spec, evaluation: Evaluation) -> list[dict[str, Any]]:
    """A line for each rule: its groups, their largest difference, and whether that is allowed."""
    return [_fairness_line(_rule(spec, result), result) for result in evaluation.fairness]


def coverage_lines(evaluation: Evaluation) -> list[dict[str, Any]]:
    """A line for all rows, and for each size of the prediction or true class, with what each level covers."""
    if not evaluation.coverage:
        return []
    main = evaluation.coverage[0]
    whole = {
        "name": "all",
        "rows": evaluation.rows,
        "levels": [
            {
                "covered": percent(one.covered),
                "interval": _share_interval(one.interval),
                "width": number(one.width),
            }
            for one in evaluation.coverage
        ],
    }
    named = [
        *((f"{number(size.low)} to {number(size.high)}", size) for size in main.by_size),
        *((str(one.name), one) for one in main.by_class),
    ]
    # Of many classes those that are covered least.
    least = sorted(range(len(named)), key=lambda place: named[place][1].covered)[:_PARTS]
    parts = [
        {
            "name": named[place][0],
            "rows": named[place][1].rows,
            "levels": [_part((*one.by_size, *one.by_class)[place]) for one in evaluation.coverage],
        }
        for place in sorted(least)
    ]
    return [whole, *parts]


def resource_lines(spec: Spec, evaluation: Evaluation) -> list[dict[str, Any]]:
    """The measured resources of the model, with the limits of the description."""
    return list(_resources(spec, evaluation))


def _part(part: PartResult) -> dict[str, str]:
    return {"covered": percent(part.covered), "interval": "", "width": number(part.width)}


def _share_interval(found: Interval) -> str:
    known = math.isfinite(found.low) and math.isfinite(found.high)
    return f"{percent(found.low)} to {percent(found.high)}" if known else ""


def _difference(name: str, own: float | None, other: float | None) -> dict[str, str] | None:
    if own is None or other is None or not math.isfinite(own - other):
        return None
    metric = metric_named(name)
    loss = metric.loss(own, other)
    # A share of a value that counts upwards would be another kind of share than a margin.
    share = f" ({100 * (own - other) / abs(other):+.3g}%)" if other and metric.best == 0 else ""
    kind = "better" if loss < 0 else "worse" if loss > 0 else "same"
    return {"text": f"{signed(own - other)}{share}", "kind": kind}


def _units(spec: Spec, comparison: Comparison) -> str:
    if not spec.calendar.has_time:
        return f"{comparison.blocks:,} groups of rows"
    unit = "partitions" if spec.calendar.grain.facts.unit == 1 else "days"
    if comparison.parts_of:
        return f"{comparison.blocks:,} stretches of rows of {comparison.parts_of} {unit}"
    return f"{comparison.blocks:,} blocks of {unit}"


def _asked(spec: Spec, comparison: Comparison) -> str:
    rule = spec.gate.champion
    bound = abs(allowed_loss(comparison, rule))
    whose = metric_named(comparison.metric).share_of("the champion's")
    share = f" ({percent(rule.margin)} of {whose})" if rule.margin else ""
    if rule.test == "superiority" and not bound:
        return "The gate requires the whole interval to be a gain."
    if rule.test == "superiority":
        return f"The gate requires the whole interval to be a gain of more than {number(bound)}{share}."
    if not bound:
        return "The gate requires the whole interval to be no loss."
    return f"The gate requires the whole interval to be a loss of {number(bound)}{share} or less."


def _loss(label: str, comparison: Comparison, allowed: float) -> Loss:
    ends = (value if math.isfinite(value) else None for value in (comparison.low, comparison.high))
    low, high = ends
    return Loss(label, comparison.loss, low, high, allowed if math.isfinite(allowed) else None)


def _slice_margin(comparison: Comparison, margins: Mapping[str, float], part: SliceResult) -> float:
    margin = margins.get(part.column, math.nan)
    return metric_named(comparison.metric).allowance(comparison.champion, margin)


def _slice_line(part: SliceResult, margins: Mapping[str, float], evaluation: Evaluation) -> SliceLine:
    found, name = part.comparison, f"{part.column} = {part.value}"
    must = ", and it is required" if part.required else ""
    if found is None:
        compared = evaluation.comparison is not None
        said = f"too few rows to judge{must}" if compared else "nothing to compare it with"
        outcome = "small" if compared else "unknown"
        return SliceLine(name, part.rows, "-", "-", "-", "-", "-", outcome, said)
    allowed = _slice_margin(found, margins, part)
    numbers = (number(found.challenger), number(found.champion), signed(found.loss))
    known = math.isfinite(found.low) and math.isfinite(found.high)
    between = f"{signed(found.low)} to {signed(found.high)}" if known else "-"
    outcome, said = _slice_outcome(found, allowed)
    said += must if outcome == "unknown" else ""
    return SliceLine(name, part.rows, *numbers, between, signed(allowed), outcome, said)


def _slice_outcome(found: Comparison, allowed: float) -> tuple[str, str]:
    if not math.isfinite(found.loss):
        return "unknown", f"{found.metric} cannot be computed"
    if found.loss <= allowed:
        return "held", "better" if found.loss < 0 else "within its margin"
    if found.low <= 0:
        return "held", "above its margin, perhaps by chance"
    return "worse", "worse than its margin allows"


def _rule(spec: Spec, result: FairnessResult) -> FairnessRule | None:
    named = (rule for rule in spec.gate.fairness if rule.column == result.column)
    return next((rule for rule in named if rule.measure == result.metric), None)


def _fairness_line(rule: FairnessRule | None, result: FairnessResult) -> dict[str, Any]:
    held = rule is not None and result.holds(rule)
    known = math.isfinite(result.difference)
    return {
        "column": result.column,
        "metric": result.metric,
        "groups": [
            {
                "value": group.value,
                "rows": group.rows,
                "metric": number(group.metric) if group.judged else "too few rows",
            }
            for group in result.groups
        ],
        "difference": number(result.difference),
        "most": number(rule.max_difference) if rule and rule.max_difference is not None else "",
        "ratio": number(result.ratio),
        "least": number(rule.min_ratio) if rule and rule.min_ratio is not None else "",
        "outcome": "held" if held else "worse" if known else "unknown",
    }


def _resources(spec: Spec, evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    used, limits = evaluation.resources, spec.gate.resources
    if used is None:
        return
    for name, value, limit, words in (
        ("one row, 95th percentile", used.row, limits.latency.row, _milliseconds),
        ("1,000 rows, 95th percentile", used.thousand_rows, limits.latency.thousand_rows, _milliseconds),
        ("size of the model's file", used.size, limits.size, _bytes),
        ("memory once loaded", used.memory, limits.memory, _bytes),
    ):
        if value is not None:
            held = limit is None or value <= limit
            asked = "" if limit is None else f"at most {words(float(limit))}"
            yield {"name": name, "value": words(value), "limit": asked, "held": held}


def _milliseconds(value: float) -> str:
    return f"{number(value)} ms"


def _bytes(value: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if not abs(value) >= 1_024:
            return f"{value:.4g} {unit}" if math.isfinite(value) else number(value)
        value /= 1_024
    return f"{value:.4g} GB"
