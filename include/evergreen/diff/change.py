"""A change, with what it touches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evergreen.diff.effects import Effect


@dataclass(frozen=True)
class Change:
    """What differs between two states of a pipeline's folder: a key, an expectation or a file.

    `before` and `after` are None where it was not there; both are None where only its content differs.
    """

    what: str
    effect: Effect
    before: str | None = None
    after: str | None = None

    def document(self) -> dict[str, Any]:
        """The change for programs."""
        return {
            "what": self.what,
            "before": self.before,
            "after": self.after,
            "touches": self.effect.words,
            "stages": [stage.name for stage in self.effect.stages],
            "version": self.effect.version,
            "partitions": self.effect.partitions,
        }
