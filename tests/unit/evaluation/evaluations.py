"""Descriptions and evaluations that the tests of the gate judge."""

from __future__ import annotations

import math
from pathlib import Path

from evergreen.evaluation.compare import Comparison
from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.gate import judge
from evergreen.spec import Spec


def spec_of(metric: str = "mae", gate: dict | None = None) -> Spec:
    task = "regression" if metric in ("mae", "r2") else "classification"
    return Spec.model_validate(
        {
            "name": "sales",
            "description": "Sales",
            "owner": "team",
            "schedule": "0 2 * * *",
            "start": "2024-01-01",
            "partition": "daily",
            "sources": {"sales": {"file": {"path": "sales.csv", "time_column": "at"}}},
            "task": task,
            "target": "sold",
            "training": {"metric": metric, "candidates": [{"estimator": "sklearn.linear_model.Ridge"}]},
            "gate": gate or {},
            "serving": {"shadow": "newest"} if "shadow" in (gate or {}) else {},
            "folder": Path("sales"),
        }
    )


def compared(own, other, reach=0.0, metric: str = "mae", rows: int = 40, blocks: int = 8) -> Comparison:
    """A comparison whose interval of the loss reaches so far to both sides."""
    own, other = (math.nan if value is None else value for value in (own, other))
    loss = other - own if metric in ("accuracy", "r2") else own - other
    return Comparison(metric, rows, blocks, own, other, loss, loss - reach, loss + reach, 0.95, 1_000)


def evaluation_of(
    challenger, baseline=100.0, champion=None, own=None, metric: str = "mae", problem=None, reach=0.0, **more
) -> Evaluation:
    def metrics(value):
        return {} if value is None else {metric: value}

    entry = {"version": "old", "as_of": "2024-02-01", "metrics": metrics(champion), "problem": problem}
    against = champion is not None or problem
    own = challenger if own is None else own
    more.setdefault("against_baseline", compared(challenger, baseline, 0.0, metric))
    more.setdefault("comparison", None if champion is None else compared(own, champion, reach, metric))
    return Evaluation(
        metric=metric,
        challenger=metrics(challenger),
        baseline=metrics(baseline),
        champion=entry if against else None,
        challenger_on_champion_rows=metrics(own) if against else None,
        rows=70,
        compared_rows=40 if against else 0,
        **more,
    )


def outcome(spec: Spec, evaluation: Evaluation) -> dict[str, bool]:
    return {check.name: check.passed for check in judge(spec, evaluation).checks}


def details(spec: Spec, evaluation: Evaluation) -> dict[str, str]:
    return {check.name: check.detail for check in judge(spec, evaluation).checks}
