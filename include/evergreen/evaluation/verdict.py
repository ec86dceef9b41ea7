"""What the gate says: each check with its reason, and what follows from all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from evergreen.shown import in_markdown

_MARKS = {"failed": "**FAILED**"}


class Outcome(StrEnum):
    """What follows from the checks. Policy, tables, alerts and cards use the same three words.

    `promoted`: all passed. `worse`: a check failed, of the rules or against the champion. `inconclusive`:
    none failed, but what is known does not suffice to say whether the challenger is good enough.
    """

    PROMOTED = "promoted"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"


DECLINED = "declined"
"""What became of a challenger that no check failed and a person did not approve."""

_OLDER = {"accepted": "promoted", "refused": "worse", "approval": "promoted"}
"""Outcomes as earlier releases stored them."""


@dataclass(frozen=True)
class Check:
    """One condition, whether it holds, and why in a plain sentence with the numbers.

    `inconclusive`: it did not pass, and neither did it fail: too little is known.
    """

    name: str
    passed: bool
    detail: str
    inconclusive: bool = False

    @property
    def word(self) -> str:
        """What a table says of it: `passed`, `inconclusive` or `failed`."""
        return "passed" if self.passed else "inconclusive" if self.inconclusive else "failed"


@dataclass(frozen=True)
class Verdict:
    """All checks of a challenger, and what follows from them; `needs_approval`: whether a person decides.

    `shadow` is how many rows of requests it must have been asked beside the champion first; 0: none.
    """

    outcome: Outcome
    checks: tuple[Check, ...]
    needs_approval: bool = False
    shadow: int = 0

    @property
    def promote(self) -> bool:
        """Whether it is promoted at once: all checks passed, nobody is asked and no shadow is waited for."""
        return self.outcome is Outcome.PROMOTED and not self.needs_approval and not self.shadow

    @property
    def waits(self) -> bool:
        """Whether it is not decided yet: a person is asked, or its shadow comes first."""
        return self.needs_approval or bool(self.shadow)

    @property
    def sentence(self) -> str:
        """The verdict in plain words, from the first on its outcome."""
        if self.shadow:
            return f"{waits_for_shadow(0, self.shadow)}; {replace(self, shadow=0).sentence}"
        if self.outcome is Outcome.PROMOTED:
            said = "a person is asked for approval" if self.needs_approval else "promoted"
            return f"{said}: all {len(self.checks)} checks passed"
        failed = "; ".join(check.detail for check in self.checks if not check.passed)
        if self.needs_approval:
            return f"a person is asked for approval: {self.outcome}: {failed}"
        return f"{self.outcome}: {failed}"

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        return {
            "outcome": self.outcome.value,
            "needs_approval": self.needs_approval,
            "shadow": self.shadow,
            "promote": self.promote,
            "sentence": self.sentence,
            "checks": [vars(check) for check in self.checks],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Verdict:
        """The verdict that `to_dict` wrote, or that an earlier release did."""
        found = content.get("outcome", "accepted" if content["promote"] else "refused")
        asked = content.get("needs_approval", found in ("approval", "inconclusive"))
        checks = tuple(Check(**check) for check in content["checks"])
        return cls(Outcome(_OLDER.get(found, found)), checks, asked, content.get("shadow", 0))


def waits_for_shadow(seen: int, wanted: int) -> str:
    """How far the shadow of a challenger has come, as a clause."""
    return f"waits for its shadow: {seen:,} of {wanted:,} rows"


def _decision(verdict: Verdict) -> str:
    if verdict.shadow:
        return f"It {waits_for_shadow(0, verdict.shadow)}; until then the champion stays."
    match verdict.outcome:
        case Outcome.PROMOTED if verdict.needs_approval:
            return "All checks passed, and approval is asked for: without it the champion stays."
        case Outcome.PROMOTED:
            return "Promoted: all checks passed."
        case Outcome.WORSE:
            return "Worse: the champion stays."
    unless = "without a person's approval " if verdict.needs_approval else ""
    return f"Inconclusive: {unless}the champion stays."


def in_words(verdict: Verdict) -> str:
    """The verdict as markdown, for the person who decides: the decision, and a table of the checks.

    Failed checks come first. Text from the data is escaped: it can neither break the table nor add a link.
    """
    kept = sum(check.passed for check in verdict.checks)
    rows = [
        f"| {in_markdown(check.name)} | {_MARKS.get(check.word, check.word)} | {in_markdown(check.detail)} |"
        for check in sorted(verdict.checks, key=lambda check: check.passed)
    ]
    return "\n".join(
        [
            f"**{_decision(verdict)}** {kept} of {len(verdict.checks)} checks passed.",
            "",
            "| check | result | what was found |",
            "|---|---|---|",
            *rows,
        ]
    )
