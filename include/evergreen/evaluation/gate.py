"""The gate: whether a challenger may become the champion. Pure, and closed when in doubt.

A value that is missing or not finite is a refusal, never a pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from evergreen.evaluation.baseline import baseline_check
from evergreen.evaluation.champion import in_verdict
from evergreen.evaluation.compare import Comparison, allowed_loss, clearly_worse, clears
from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.fairness import FairnessResult
from evergreen.evaluation.power import in_words as power_in_words
from evergreen.evaluation.resources import ResourceUse
from evergreen.evaluation.slices import SliceResult
from evergreen.evaluation.verdict import Check, Outcome, Verdict
from evergreen.evaluation.words import counted, figure, in_percent, loss_in_words, valued
from evergreen.metrics import metric_named
from evergreen.metrics.measured import is_usable
from evergreen.spec import ChampionRule, FairnessRule, Limit, SliceRule, Spec

_NAMED = 10  # values that a sentence names; the rest are counted
_LONGEST = 60  # characters; longer values from the data are truncated


def judge(spec: Spec, evaluation: Evaluation) -> Verdict:
    """Check the evaluation against all of the description's rules, whether or not others fail.

    Every challenger must have finite metrics (but for those that the rows have no value of), keep
    `gate.limits`, hold its own against the dummy baseline in `training.metric` (a first champion: be better
    beyond chance), and clear the margin of `gate.champion` with the interval of its loss. Then come
    `gate.slices`, `fairness`, `calibration` and `resources` where the description has them. One check that
    fails or cannot be made means `worse`; where none fails but a comparison is not decided or impossible, the
    verdict is `inconclusive`. A person decides where `gate.approval` asks for it and no check failed. Beside
    a champion, what would be promoted or asked about waits for its shadow where `gate.shadow` wants one.
    """
    checks = (
        _finite(evaluation),
        *(limit_check(name, limit, evaluation.challenger) for name, limit in spec.gate.limits.items()),
        baseline_check(spec, evaluation),
        _champion(spec, evaluation),
        *(check for rule in spec.gate.slices for check in _slices(rule, evaluation)),
        *(_fairness(rule, evaluation) for rule in spec.gate.fairness),
        *_calibration(spec, evaluation),
        *_resources(spec, evaluation),
    )
    outcome, approval = _outcome(checks), spec.gate.approval
    asked = {Outcome.PROMOTED: ("always",), Outcome.INCONCLUSIVE: ("always", "inconclusive")}
    by_person = approval is not None and approval.when in asked.get(outcome, ())
    shadow = spec.gate.shadow if evaluation.champion and (by_person or outcome is Outcome.PROMOTED) else None
    return Verdict(outcome, checks, by_person, shadow or 0)


def _outcome(checks: Sequence[Check]) -> Outcome:
    if all(check.passed for check in checks):
        return Outcome.PROMOTED
    undecided = all(check.passed or check.inconclusive for check in checks)
    return Outcome.INCONCLUSIVE if undecided else Outcome.WORSE


def _finite(evaluation: Evaluation) -> Check:
    own, baseline, metric = evaluation.challenger, evaluation.baseline, evaluation.metric
    missing = sorted(name for name in {metric, *own} if not is_usable(own, name))
    # Where the dummy has no value either, the rows have none: one class alone, a target of 0 in mape.
    undefined = [name for name in missing if name != metric and math.isnan(baseline.get(name, 0.0))]
    if bad := [name for name in missing if name not in undefined]:
        return Check(
            "finite", False, f"the challenger has no finite value of {', '.join(bad)} on the hold-out"
        )
    found = ", ".join(name for name in own if name not in undefined)
    but = f"; {', '.join(undefined)} cannot be computed on these rows, of the baseline neither"
    detail = f"the challenger's metrics are finite numbers: {found}{but if undefined else ''}"
    return Check("finite", True, detail)


def limit_check(name: str, limit: Limit, measured: Mapping[str, float], on: str = "the hold-out") -> Check:
    """Whether a metric that was measured on some rows keeps its limit."""
    check = f"limit {name}"
    if not is_usable(measured, name):
        return Check(check, False, f"{name} is missing on {on}, so its limit cannot be checked")
    value = measured[name]
    said = valued(name, value)
    if limit.max is not None and value > limit.max:
        return Check(check, False, f"{said} is above its limit of {figure(limit.max)}")
    if limit.min is not None and value < limit.min:
        return Check(check, False, f"{said} is below its limit of {figure(limit.min)}")
    bounds = [f"at least {figure(limit.min)}"] if limit.min is not None else []
    bounds += [f"at most {figure(limit.max)}"] if limit.max is not None else []
    return Check(check, True, f"{said} is within its limit ({' and '.join(bounds)})")


def _champion(spec: Spec, evaluation: Evaluation) -> Check:
    if evaluation.champion is None:
        return Check("champion", True, "there is no champion yet to compare with")
    version, found, rule = evaluation.champion["version"], evaluation.comparison, spec.gate.champion
    if found is None:
        why = evaluation.champion.get("problem") or f"{evaluation.metric} was not compared"
        return _not_comparable(version, why)
    if not math.isfinite(found.loss):
        why = f"{found.metric} cannot be computed of both on the {found.rows:,} rows they share"
        # Where the champion has no value either, the rows are to blame; else the challenger is.
        return _not_comparable(version, why, inconclusive=not math.isfinite(found.champion))
    if clears(found, rule) is None:
        values = f"{valued(found.metric, found.challenger)} against {figure(found.champion)}"
        why = f"{values}, but {_evidence(found)} are too little for an interval: lengthen training.holdout"
        return _not_comparable(version, why)
    passed, is_open, detail = compared_in_words(found, rule, version, in_verdict(evaluation.champion))
    if is_open and (power := power_in_words(spec, found)):
        detail += f"; {power}"
    return Check("champion", passed, detail, inconclusive=is_open)


def _not_comparable(version: str, why: str, inconclusive: bool = True) -> Check:
    return Check(
        "champion",
        False,
        f"the challenger cannot be compared with champion {version} ({why}); "
        "if it is the better one, promote it by hand",
        inconclusive,
    )


def compared_in_words(
    found: Comparison, rule: ChampionRule, version: str, more: str = ""
) -> tuple[bool, bool, str]:
    """Whether a comparison with champion `version` clears the rule, whether that is open, and a sentence.

    The comparison must have an interval; `more` is said of its rows.
    """
    passed, is_open, words = _compared(found, rule)
    detail = (
        f"{valued(found.metric, found.challenger)} {words} champion {version}'s {figure(found.champion)}: "
        f"its loss is {loss_in_words(found)}, {_asked_loss(found, rule)} "
        f"({found.rounds:,} rounds, {_evidence(found)}{more})"
    )
    return passed, is_open, detail


def _compared(found: Comparison, rule: ChampionRule) -> tuple[bool, bool, str]:
    """Whether the check passes, whether the question stays open, and the word between the two values."""
    if clears(found, rule):
        return True, False, "is better than" if found.high < 0 else "is not worse than"
    if clearly_worse(found, rule):
        return False, False, "is worse than" if found.low > 0 else "does not gain enough on"
    return False, True, "against"


def _asked_loss(found: Comparison, rule: ChampionRule) -> str:
    words = "all of it to be below" if rule.test == "superiority" else "all of it to be at most"
    whose = metric_named(found.metric).share_of("the champion's")
    share = f" ({in_percent(rule.margin)} of {whose})" if rule.margin else ""
    return f"{words} {figure(allowed_loss(found, rule) + 0.0)}{share}"


def _evidence(found: Comparison) -> str:
    said = f"{counted(found.rows, 'row')} in {counted(found.blocks, 'block')}"
    return f"{said} of {counted(found.parts_of, 'partition')} that are alike" if found.parts_of else said


def _slices(rule: SliceRule, evaluation: Evaluation) -> Iterator[Check]:
    results = [result for result in evaluation.slices if result.column == rule.column]
    if not results:
        yield Check(f"slice {rule.column}", False, f"{rule.column} was not measured on any rows")
    few = [result for result in results if result.rows < rule.minimum]
    for result in few:
        if result.required:
            detail = f"{_shown(result)} is required, and {counted(result.rows, 'row')} are too few to judge"
            yield Check(f"slice {_shown(result)}", False, f"{detail} ({rule.minimum} are asked for)")
    if spared := [_cut(result.value) for result in few if not result.required]:
        detail = f"fewer than {rule.minimum} rows to judge by: {_named(spared)}"
        yield Check(f"slice {rule.column}, few rows", True, detail)
    for result in results:
        if result.rows >= rule.minimum:
            yield _slice(rule, result, evaluation)


def _slice(rule: SliceRule, result: SliceResult, evaluation: Evaluation) -> Check:
    name, where = f"slice {_shown(result)}", f"on {_shown(result)} ({counted(result.rows, 'row')})"
    found = result.comparison
    if evaluation.champion is None:
        return Check(name, True, f"there is no champion yet to compare with {where}")
    if found is None:
        # Open only where the champion itself cannot be compared: then a person is asked about all of it.
        return Check(name, False, f"nothing could be compared {where}", evaluation.comparison is None)
    if not math.isfinite(found.loss):
        return Check(name, False, f"{found.metric} cannot be computed of both {where}")
    metric = metric_named(found.metric)
    allowed = metric.allowance(found.champion, rule.margin)
    values = f"{figure(found.challenger)} against the champion's {figure(found.champion)}"
    said = f"{metric.with_unit} {values} {where}: its loss is {loss_in_words(found)}"
    whose = metric.share_of("the champion's")
    at_most = f"at most {figure(allowed)} is allowed ({in_percent(rule.margin)} of {whose})"
    if found.loss <= allowed:
        return Check(name, True, f"{said}, and {at_most}")
    # Beyond the margin, yet perhaps by chance: one small slice must not refuse every challenger.
    if found.low <= 0:
        return Check(name, True, f"{said}, perhaps by chance, and {at_most}")
    return Check(name, False, f"{said}, hardly by chance, and {at_most}")


def _fairness(rule: FairnessRule, evaluation: Evaluation) -> Check:
    name = f"fairness {rule.measure} by {rule.column}"
    wanted = (rule.column, rule.measure)
    found = next((one for one in evaluation.fairness if (one.column, one.metric) == wanted), None)
    if found is None or len(found.judged) < 2:
        detail = f"{rule.measure} cannot be compared between groups of {rule.column}: fewer than two of them"
        return Check(name, False, f"{detail} have {rule.minimum} rows")
    if missing := [_cut(group.value) for group in found.judged if not math.isfinite(group.metric)]:
        return Check(name, False, f"{rule.measure} cannot be computed of {rule.column} {_named(missing)}")
    passed = found.holds(rule)
    words = "differs by no more than allowed" if passed else "differs by more than allowed"
    spared = [_cut(group.value) for group in found.groups if not group.judged]
    but = f"; fewer than {rule.minimum} rows to judge by: {_named(spared)}" if spared else ""
    return Check(
        name,
        passed,
        f"{rule.measure} {words}: {_extremes(found)}, {_apart(rule, found)}{but}",
    )


def _apart(rule: FairnessRule, found: FairnessResult) -> str:
    said = []
    if rule.max_difference is not None:
        most = figure(rule.max_difference)
        said.append(f"a difference of {figure(found.difference)}, at most {most}")
    if rule.min_ratio is not None:
        said.append(f"a ratio of {figure(found.ratio)}, at least {figure(rule.min_ratio)}")
    return " and ".join(said)


def _extremes(found: FairnessResult) -> str:
    ordered = sorted(found.judged, key=lambda group: group.metric)
    ends = (ordered[0], ordered[-1])
    return " and ".join(
        f"{figure(group.metric)} of {found.column}={_cut(group.value)} ({counted(group.rows, 'row')})"
        for group in ends
    )


def _calibration(spec: Spec, evaluation: Evaluation) -> Iterator[Check]:
    limit, value = spec.gate.calibration, evaluation.calibration
    if limit is None:
        return
    if value is None or not math.isfinite(value):
        yield Check(
            "calibration", False, "the challenger gives no probabilities whose calibration can be measured"
        )
        return
    words = "is within its limit of" if value <= limit else "is above its limit of"
    detail = f"expected calibration error {figure(value)} {words} {figure(limit)}"
    yield Check("calibration", value <= limit, detail)


def _resources(spec: Spec, evaluation: Evaluation) -> Iterator[Check]:
    limits, use = spec.gate.resources, evaluation.resources or ResourceUse()
    for name, limit, value, words in (
        ("latency of a row", limits.latency.row, use.row, _milliseconds),
        ("latency of 1,000 rows", limits.latency.thousand_rows, use.thousand_rows, _milliseconds),
        ("size", limits.size, use.size, _bytes),
        ("memory", limits.memory, use.memory, _bytes),
    ):
        if limit is None:
            continue
        if value is None or not math.isfinite(value):
            yield Check(name, False, f"{name} could not be measured, so its limit cannot be checked")
        else:
            relation = "is within its limit of" if value <= limit else "is above its limit of"
            yield Check(name, value <= limit, f"{name}: {words(value)} {relation} {words(limit)}")


def _milliseconds(value: float) -> str:
    return f"{value:.4g} ms"


def _bytes(value: float) -> str:
    return f"{value / 2**20:.4g} MB" if value >= 2**20 else f"{value / 2**10:.4g} kB"


def _shown(result: SliceResult) -> str:
    return f"{result.column}={_cut(result.value)}"


def _cut(value: str) -> str:
    value = " ".join(value.split())
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"


def _named(values: Sequence[str]) -> str:
    rest = len(values) - _NAMED
    return ", ".join(values[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
