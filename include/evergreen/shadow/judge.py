"""Whether what a shadow was asked speaks for its promotion. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from evergreen.evaluation.compare import Comparison, clearly_worse, clears
from evergreen.evaluation.gate import compared_in_words, limit_check
from evergreen.evaluation.verdict import Check, Outcome, Verdict, waits_for_shadow
from evergreen.evaluation.words import counted
from evergreen.json_values import json_values
from evergreen.shadow.agreement import Agreement
from evergreen.spec import Spec

_ON = "the rows that its shadow was asked"


@dataclass(frozen=True)
class Evidence:
    """What is known of a challenger that was asked `rows` beside a champion, both by their versions.

    Of `failed` rows it had no prediction though the champion had, as `problem` says of one of them. The
    `agreement` is that of the others. The truth of `labelled` of these is known by now: `metrics` are the
    challenger's on them, and `comparison` that of both; None where there is no truth or they cannot be
    compared.
    """

    version: str
    champion: str
    rows: int
    failed: int
    problem: str
    agreement: Agreement
    labelled: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    comparison: Comparison | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values: a number that is not finite becomes null."""
        compared = self.comparison and self.comparison.to_dict()
        content: dict[str, Any] = json_values({**asdict(self), "comparison": compared})
        return content


def lacking(wanted: int, evidence: Evidence) -> str:
    """How far the shadow has come, as a clause; empty once it was asked enough rows."""
    return waits_for_shadow(evidence.rows, wanted) if evidence.rows < wanted else ""


def judge(spec: Spec, evidence: Evidence, by_person: bool = False) -> Verdict:
    """What follows from the evidence, once it is enough, for a challenger that the gate let wait.

    `by_person` says whether a person decides about one that passes.

    It must have predicted every row that the champion has. `gate.limits` are held where as many rows as
    `gate.shadow` asks for have their truth, and where there is an interval of the loss it must not lie beyond
    the margin of `gate.champion` as a whole: that it clears it was shown on the hold-out, which is larger.
    """
    checks = (_answered(evidence), _agrees(evidence), *_limits(spec, evidence), *_compared(spec, evidence))
    good = all(check.passed for check in checks)
    return Verdict(Outcome.PROMOTED if good else Outcome.WORSE, checks, good and by_person)


def _answered(evidence: Evidence) -> Check:
    asked = counted(evidence.rows, "row")
    if evidence.failed:
        detail = f"the challenger could not predict {evidence.failed:,} of {asked} that the champion has"
        return Check("shadow rows", False, f"{detail}: {evidence.problem}")
    return Check("shadow rows", True, f"the challenger predicted all of {asked} that the champion has")


def _agrees(evidence: Evidence) -> Check:
    return Check("shadow agreement", evidence.agreement.rows > 0, evidence.agreement.words)


def _limits(spec: Spec, evidence: Evidence) -> Iterator[Check]:
    if evidence.labelled < (spec.gate.shadow or 1):
        return
    for name, limit in spec.gate.limits.items():
        yield limit_check(name, limit, evidence.metrics, _ON)


def _compared(spec: Spec, evidence: Evidence) -> Iterator[Check]:
    found, rule = evidence.comparison, spec.gate.champion
    if found is None or not math.isfinite(found.loss) or clears(found, rule) is None:
        return
    _, is_open, detail = compared_in_words(found, rule, evidence.champion)
    if is_open:
        detail += "; the hold-out has decided"
    yield Check("shadow champion", not clearly_worse(found, rule), detail)
