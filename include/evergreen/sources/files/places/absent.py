"""The error of a file that is not there."""

from __future__ import annotations

from typing import Self

from evergreen.errors import SourceError


class AbsentError(SourceError):
    """There is no file of this name."""

    @classmethod
    def of(cls, name: str) -> Self:
        """The error for a file's name."""
        return cls(f"{name} does not exist: put it there or change the source's path")
