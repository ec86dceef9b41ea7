"""How the read of a page may fail: so that another attempt may mend it, or by being too much."""

from __future__ import annotations

from evergreen.errors import SourceError


class StumbleError(Exception):
    """The API failed in a way that another attempt may mend; `wait` is how many seconds it asks to wait."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


class TooMuchError(SourceError):
    """The answer passes a limit of the source; asking again would only pass it again."""
