"""The gate: whether a challenger may become the champion. Pure, and closed when in doubt.

A metric that is missing or not finite is a refusal, never a pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.metrics import is_usable
from evergreen.spec import Limit, Spec


@dataclass(frozen=True)
class Check:
    """One condition, whether it holds, and why in a plain sentence with the numbers."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verdict:
    """All checks of a challenger; it is promoted if each of them passed."""

    promote: bool
    checks: tuple[Check, ...]

    @property
    def sentence(self) -> str:
        """The verdict in plain words."""
        if self.promote:
            return f"accepted: all {len(self.checks)} checks passed"
        return "refused: " + "; ".join(check.detail for check in self.checks if not check.passed)

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        checks = [{"name": c.name, "passed": c.passed, "detail": c.detail} for c in self.checks]
        return {"promote": self.promote, "sentence": self.sentence, "checks": checks}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Verdict:
        """The verdict that `to_dict` wrote."""
        return cls(bool(content["promote"]), tuple(Check(**check) for check in content["checks"]))


def judge(spec: Spec, evaluation: Evaluation) -> Verdict:
    """Hold the evaluation against the description's rules.

    Asked of every challenger: all its metrics are finite; it keeps the absolute limits of `gate.limits`; it
    is strictly better than the dummy baseline in `training.metric`; and on the rows that neither was trained
    on it is not worse than the champion by more than `gate.champion.margin` of the champion's own metric.
    """
    checks = (
        _finite(evaluation),
        *(_limit(name, limit, evaluation) for name, limit in spec.gate.limits.items()),
        _baseline(spec, evaluation),
        _champion(spec, evaluation),
    )
    return Verdict(all(check.passed for check in checks), checks)


def _finite(evaluation: Evaluation) -> Check:
    wanted = {evaluation.metric, *evaluation.challenger}
    bad = sorted(name for name in wanted if not is_usable(evaluation.challenger, name))
    if bad:
        return Check(
            "finite", False, f"the challenger has no finite value of {', '.join(bad)} on the hold-out"
        )
    return Check("finite", True, f"all {len(wanted)} metrics of the challenger are finite numbers")


def _limit(name: str, limit: Limit, evaluation: Evaluation) -> Check:
    check = f"limit {name}"
    if not is_usable(evaluation.challenger, name):
        return Check(check, False, f"{name} is missing on the hold-out, so its limit cannot be held")
    value = evaluation.challenger[name]
    if limit.max is not None and value > limit.max:
        return Check(check, False, f"{name} {_number(value)} is above its limit of {_number(limit.max)}")
    if limit.min is not None and value < limit.min:
        return Check(check, False, f"{name} {_number(value)} is below its limit of {_number(limit.min)}")
    bounds = [f"at least {_number(limit.min)}"] if limit.min is not None else []
    bounds += [f"at most {_number(limit.max)}"] if limit.max is not None else []
    return Check(check, True, f"{name} {_number(value)} is within its limit ({' and '.join(bounds)})")


def _baseline(spec: Spec, evaluation: Evaluation) -> Check:
    name = evaluation.metric
    if not is_usable(evaluation.challenger, name) or not is_usable(evaluation.baseline, name):
        return Check(
            "baseline", False, f"{name} of challenger or baseline is missing: they cannot be compared"
        )
    own, other = evaluation.challenger[name], evaluation.baseline[name]
    better = own > other if spec.higher_is_better else own < other
    words = "is better than" if better else "is not better than"
    return Check("baseline", better, f"{name} {_number(own)} {words} the dummy baseline's {_number(other)}")


def _champion(spec: Spec, evaluation: Evaluation) -> Check:
    if evaluation.champion is None:
        return Check("champion", True, "there is no champion yet to be held against")
    name, version = evaluation.metric, evaluation.champion["version"]
    theirs = evaluation.champion.get("metrics")
    own_metrics = evaluation.challenger_on_champion_rows
    if not is_usable(theirs, name) or own_metrics is None or not is_usable(own_metrics, name):
        why = evaluation.champion.get("problem") or f"{name} is missing"
        return Check(
            "champion",
            False,
            f"the challenger cannot be held against champion {version} ({why}); "
            "if it is the better one, promote it by hand",
        )
    assert theirs is not None
    own, other, margin = own_metrics[name], theirs[name], spec.gate.champion.margin
    slack = margin * abs(other)
    passed = own >= other - slack if spec.higher_is_better else own <= other + slack
    words = "is not worse than" if passed else "is worse than"
    allowed = f" (margin {margin:.3g} of it)" if margin else ""
    return Check(
        "champion",
        passed,
        f"{name} {_number(own)} {words} champion {version}'s {_number(other)}{allowed} "
        f"on the same {evaluation.compared_rows} rows",
    )


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else str(value)
