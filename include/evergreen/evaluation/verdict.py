"""What the gate says: each check with its reason, and what follows from all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_SPECIAL = re.compile(r"([\\|<>`*\[\]])")


class Outcome(StrEnum):
    """What follows from the checks: `inconclusive` and `approval` leave the decision to a person."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"
    APPROVAL = "approval"


_DECISIONS = {
    Outcome.ACCEPTED: "Accepted: the challenger is promoted.",
    Outcome.REFUSED: "Refused: the champion stays.",
    Outcome.INCONCLUSIVE: "Inconclusive: without a person's approval the champion stays.",
    Outcome.APPROVAL: "Accepted, and approval is asked for: without it the champion stays.",
}


@dataclass(frozen=True)
class Check:
    """One condition, whether it holds, and why in a plain sentence with the numbers."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verdict:
    """All checks of a challenger, and what follows from them."""

    outcome: Outcome
    checks: tuple[Check, ...]

    @property
    def promote(self) -> bool:
        """Whether it is promoted without asking a person: all checks passed and no approval is needed."""
        return self.outcome is Outcome.ACCEPTED

    @property
    def needs_approval(self) -> bool:
        """Whether a person decides."""
        return self.outcome in (Outcome.INCONCLUSIVE, Outcome.APPROVAL)

    @property
    def sentence(self) -> str:
        """The verdict in plain words."""
        if self.outcome is Outcome.ACCEPTED:
            return f"accepted: all {len(self.checks)} checks passed"
        if self.outcome is Outcome.APPROVAL:
            return f"a person is asked for approval: all {len(self.checks)} checks passed"
        failed = "; ".join(check.detail for check in self.checks if not check.passed)
        if self.outcome is Outcome.INCONCLUSIVE:
            return f"a person is asked for approval: {failed}"
        return f"refused: {failed}"

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        return {
            "outcome": self.outcome.value,
            "promote": self.promote,
            "sentence": self.sentence,
            "checks": [{"name": c.name, "passed": c.passed, "detail": c.detail} for c in self.checks],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Verdict:
        """The verdict that `to_dict` wrote, or an older one, which was either accepted or refused."""
        before = Outcome.ACCEPTED if content["promote"] else Outcome.REFUSED
        outcome = Outcome(content.get("outcome", before))
        return cls(outcome, tuple(Check(**check) for check in content["checks"]))


def in_words(verdict: Verdict) -> str:
    """The verdict as markdown, for the person who decides: the decision, and a table of the checks.

    Failed checks come first. Text from the data is escaped: it can neither break the table nor add a link.
    """
    failed = "undecided" if verdict.outcome is Outcome.INCONCLUSIVE else "**FAILED**"
    kept = sum(check.passed for check in verdict.checks)
    rows = [
        f"| {_escaped(check.name)} | {'passed' if check.passed else failed} | {_escaped(check.detail)} |"
        for check in sorted(verdict.checks, key=lambda check: check.passed)
    ]
    return "\n".join(
        [
            f"**{_DECISIONS[verdict.outcome]}** {kept} of {len(verdict.checks)} checks passed.",
            "",
            "| check | result | what was found |",
            "|---|---|---|",
            *rows,
        ]
    )


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
