"""A request that is not answered: its HTTP status, and one line that says why and what to send instead."""

from __future__ import annotations


class RequestRefusedError(Exception):
    """A request that gets no prediction, with its status (4xx or 503) and why, in one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
