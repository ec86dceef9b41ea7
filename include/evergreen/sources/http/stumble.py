"""The ways to fail at a page: temporarily, because it is too large, or with all pages before it."""

from __future__ import annotations

from evergreen.errors import SourceError


class StumbleError(Exception):
    """The API failed temporarily, so that a retry may succeed; `wait` is how many seconds it asks to wait."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


class TooMuchError(SourceError):
    """The answer exceeds a limit of the source; a retry would exceed it again."""


class SpoiltError(SourceError):
    """The pages that were read are not what the API has; a later read must begin at the first one."""
