"""The parts of a card on the data, and on what was not tested. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evergreen.evaluation.champion import on_card
from evergreen.evaluation.evaluate import Evaluation
from evergreen.numbers import ABSENT, number, percent
from evergreen.signals import words_of
from evergreen.spec import Spec

_NAMED = 5
_FEW_ROWS = 30  # of a class


def feature_rows(window: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The features as rows of a table: values in training, nulls, and new values in the hold-out."""
    return [
        {
            "name": entry["name"],
            "range": _range(entry),
            "nulls": percent(entry["nulls"]) if entry["nulls"] else "",
            "nulls_held": percent(entry["nulls_held"]) if entry["nulls_held"] else "",
            "beyond": percent(entry["beyond"]) if entry["beyond"] else "",
        }
        for entry in window["features"]
    ]


def limits(
    spec: Spec,
    lineage: Mapping[str, Any],
    evaluation: Evaluation,
    explanation: Mapping[str, Any] | None,
    unvaried: Sequence[str] = (),
) -> list[str]:
    """What was not tested, or not on enough rows; one sentence each.

    `unvaried` are the sentences on features that hardly vary in the training window, and on classes that are
    too rare to judge.
    """
    said = [*_of_time(spec, lineage), *_of_champion(evaluation), *_of_slices(spec, evaluation), *unvaried]
    window = (explanation or {}).get("window")
    if window:
        said += [*_of_partitions(window), *_of_features(window["features"]), *_of_classes(window["target"])]
    return said


def _of_time(spec: Spec, lineage: Mapping[str, Any]) -> Iterator[str]:
    window = lineage["window"]
    if spec.calendar.has_time:
        yield (
            f"The model was trained on {window['first']} to {window['last']} only: other times of the year "
            "and later changes are unknown to it."
        )
    if change := window.get("change"):
        yield (
            f"Rows before {window['first']} are left out: {words_of(change['signal'])} found in the night of "
            f"{change['partition']} that the data changed with {change['since']}."
        )


def _of_champion(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.champion and (sentence := on_card(evaluation.champion)):
        yield sentence


def _of_slices(spec: Spec, evaluation: Evaluation) -> Iterator[str]:
    minimum = {rule.column: rule.minimum for rule in spec.gate.slices}
    small = [
        f"{part.column} = {part.value} ({part.rows})"
        for part in evaluation.slices
        if part.rows < minimum.get(part.column, 0)
    ]
    if small:
        yield f"Too few rows to judge these slices: {_named(small)}."
    groups = [
        f"{result.column} = {group.value} ({group.rows})"
        for result in evaluation.fairness
        for group in result.groups
        if not group.judged
    ]
    if groups:
        yield f"Too few rows to judge these groups: {_named(groups)}."


def _of_partitions(window: Mapping[str, Any]) -> Iterator[str]:
    missing = window["missing"]
    if missing and missing["count"]:
        count = missing["count"]
        yield f"{count:,} partitions of the window have no rows: {_named(missing['first'], count)}."


def _of_features(features: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    beyond = sorted((entry for entry in features if entry["beyond"]), key=lambda entry: -entry["beyond"])
    if beyond:
        told = [f"{entry['name']} ({percent(entry['beyond'])} of the rows)" for entry in beyond]
        yield f"The hold-out has values that are new since training, in {_named(told)}."
    more = [
        f"{entry['name']} ({percent(entry['nulls'])}, then {percent(entry['nulls_held'])})"
        for entry in features
        if entry["nulls_held"] is not None
        and entry["nulls"] is not None
        and entry["nulls_held"] > entry["nulls"] + 0.05
    ]
    if more:
        yield f"More values are missing in the hold-out than in training of {_named(more)}."


def _of_classes(target: Mapping[str, Any] | None) -> Iterator[str]:
    classes = (target or {}).get("classes", ())
    few = [f"{entry['name']} ({entry['held']})" for entry in classes if entry["held"] < _FEW_ROWS]
    if few:
        yield f"Little is known about classes with fewer than {_FEW_ROWS} held-out rows: {_named(few)}."


def _range(entry: Mapping[str, Any]) -> str:
    if "distinct" in entry:
        more = ", …" if entry["distinct"] > len(entry["values"]) else ""
        return f"{entry['distinct']:,} values: {', '.join(entry['values'])}{more}"
    low, high = entry["low"], entry["high"]
    if low is None:
        return ABSENT
    if isinstance(low, str):
        return f"{low} to {high}"
    return f"always {number(low)}" if low == high else f"{number(low)} to {number(high)}"


def _named(names: Sequence[str], count: int | None = None) -> str:
    count = len(names) if count is None else count
    more = f" and {count - min(_NAMED, len(names)):,} more" if count > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
