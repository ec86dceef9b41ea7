"""The outcome of one check of `evergreen check`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Checked:
    """One check; `detail` says what is wrong, or what was found, and `warns` that a person should read it."""

    pipeline: str | None
    check: str
    ok: bool
    detail: str
    warns: bool = False

    @property
    def word(self) -> str:
        """The outcome in one word."""
        if not self.ok:
            return "FAILED"
        return "warning" if self.warns else "ok"
