"""The error of a file that is not there."""

from __future__ import annotations

from evergreen.errors import SourceError


class AbsentError(SourceError):
    """There is no file of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} does not exist: put it there or change the source's path")
