"""A version's card: one page for the person who decides on it. Self-contained HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.gate import Verdict
from evergreen.spec import LOWER_IS_BETTER, Spec

_ABSENT = "-"


def render_card(spec: Spec, lineage: Mapping[str, Any], evaluation: Evaluation, verdict: Verdict) -> str:
    """The card of a version: what it is, why it was trained, how it did, and what the gate said.

    `lineage` is the content of the version's `lineage.json`, with `candidate` and `trials`. All text is
    escaped.
    """
    return _template().render(
        spec=spec,
        lineage=lineage,
        evaluation=evaluation,
        verdict=verdict,
        reason=reason_sentence(lineage["reason"]),
        metrics=_metric_rows(spec, evaluation),
        trials=_best_trials(spec, lineage["trials"]),
        number=_number,
    )


def reason_sentence(reason: Mapping[str, Any]) -> str:
    """Why a training was started, in words."""
    if "sentence" in reason:
        return str(reason["sentence"])
    said = ", ".join(f"{name}: {value}" for name, value in reason.items())
    return said or "no reason was given"


def _metric_rows(spec: Spec, evaluation: Evaluation) -> list[dict[str, Any]]:
    champion = (evaluation.champion or {}).get("metrics") or {}
    compared = evaluation.challenger_on_champion_rows or {}
    names = [evaluation.metric, *(name for name in evaluation.challenger if name != evaluation.metric)]
    return [
        {
            "name": name,
            "decides": name == evaluation.metric,
            "better": "lower" if name in LOWER_IS_BETTER else "higher",
            "challenger": _number(evaluation.challenger.get(name)),
            "baseline": _number(evaluation.baseline.get(name)),
            "compared": _number(compared.get(name)),
            "champion": _number(champion.get(name)),
        }
        for name in names
    ]


def _best_trials(spec: Spec, trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    scored = [trial for trial in trials if trial["score"] is not None]
    return sorted(scored, key=lambda trial: trial["score"], reverse=spec.higher_is_better)[:5]


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return _ABSENT
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


@lru_cache(maxsize=1)
def _template() -> Template:
    folder = Path(__file__).resolve().parent
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("card.html.jinja")
