"""The part of a card on how probabilities become decisions, and what comes of it. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from evergreen.metrics import Costs, metric_named
from evergreen.numbers import number
from evergreen.pages import plots
from evergreen.spec import Spec


def decision_in_words(candidate: Mapping[str, Any]) -> str:
    """From which probability on a row is of the positive class; empty where the likeliest class is said.

    `candidate` is what the version's lineage has of the candidate that was chosen.
    """
    rule = candidate.get("decision")
    return f"'{rule['positive']}' from a probability of {number(rule['threshold'])} on" if rule else ""


def threshold_figures(
    spec: Spec, candidate: Mapping[str, Any], explanation: Mapping[str, Any], rows: int
) -> Iterator[tuple[str, Markup]]:
    """The curve that the threshold was chosen from, and the confusion of the `rows` held out."""
    curve, confusion = explanation.get("decision"), explanation.get("confusion")
    if curve:
        measure, positive = metric_named(curve["metric"]).with_unit, str(candidate["decision"]["positive"])
        yield _on_curve(curve, measure), plots.threshold_curve(curve, measure, positive)
    if confusion:
        said = [f"All {rows:,} rows."] if rows != explanation["rows"] else []
        if decided := decision_in_words(candidate):
            said.append(f"Predicted to be {decided}.")
        said.append("Off the diagonal: what it confuses; in brackets the share of the true class.")
        if spec.training.costs and spec.training.weight is None:
            said.append(_priced(confusion, str(candidate["decision"]["positive"]), spec.training.costs))
        yield " ".join(said), plots.confusion_matrix(confusion)


def _on_curve(curve: Mapping[str, Any], measure: str) -> str:
    chosen, best = curve["thresholds"][curve["best"]], curve["values"][curve["best"]]
    even = min(range(len(curve["thresholds"])), key=lambda place: abs(curve["thresholds"][place] - 0.5))
    return (
        f"Chosen in the folds, by rows that the models were not fit on: {measure} {number(best)} from "
        f"{number(chosen)} on, about {number(curve['values'][even])} from 0.5 on."
    )


def _priced(confusion: Mapping[str, Any], positive: str, costs: Costs) -> str:
    """What the wrong decisions cost in all, and a row."""
    labels, counts = confusion["labels"], confusion["counts"]
    total, right = sum(map(sum, counts)), sum(counts[place][place] for place in range(len(labels)))
    missed = sum(
        count
        for name, row in zip(labels, counts, strict=True)
        for said, count in zip(labels, row, strict=True)
        if name == positive != said
    )
    false = total - right - missed
    cost = missed * costs.false_negative + false * costs.false_positive
    return (
        f"{missed:,} missed at {number(costs.false_negative)} each and {false:,} false alarms at "
        f"{number(costs.false_positive)} cost {number(cost)}, {number(cost / total)} a row."
    )
