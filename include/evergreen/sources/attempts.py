"""The one rule of retries: how often a request to a source is repeated, and after which pauses."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential
from tenacity.nap import sleep_using_event
from tenacity.wait import wait_base

from evergreen.errors import UnavailableError

ATTEMPTS = 5
BACKOFF = wait_random_exponential(multiplier=0.25, max=20)
RETRY_AFTER_LIMIT = 300.0  # seconds; longer is a matter for the scheduler's own retries

T = TypeVar("T")


class StumbleError(Exception):
    """A request failed temporarily, and a retry may succeed; `wait` is how many seconds it asks to wait."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


class Attempts:
    """Repeats a request that stumbles, at most `most` times in all, and never after the deadline.

    `where` is the prefix of every message and `what` is what the user should look at. `deadline` is a moment
    of `time.monotonic`. The pauses are those of `backoff`, or longer if the answer asks for that.
    """

    def __init__(
        self, where: str, what: str, most: int, backoff: wait_base, deadline: float = math.inf
    ) -> None:
        self._where, self._what, self._most = where, what, most
        self._backoff, self._deadline = backoff, deadline
        self._stopped = threading.Event()

    @property
    def left(self) -> float:
        """The seconds until the deadline."""
        return self._deadline - time.monotonic()

    def stop(self) -> None:
        """Let the deadline be now; a running pause ends. May be called by another thread."""
        self._deadline = -math.inf
        self._stopped.set()

    def run(self, once: Callable[[], T]) -> T:
        """The result of `once`, which is called again after a `StumbleError`.

        Raises `UnavailableError` after the last attempt, or if there is no time for another one.
        """
        attempts = Retrying(
            retry=retry_if_exception_type(StumbleError),
            wait=self._pause,
            stop=self._give_up,
            sleep=sleep_using_event(self._stopped),
            reraise=True,
        )
        try:
            return attempts(once)
        except StumbleError as stumble:
            raise UnavailableError(
                f"{self._where}: {stumble}{self._why_no_more(attempts, stumble)}"
            ) from None

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, StumbleError) else None
        return max(self._backoff(state), asked or 0.0)

    def _give_up(self, state: RetryCallState) -> bool:
        return (
            state.attempt_number >= self._most
            or state.upcoming_sleep > RETRY_AFTER_LIMIT
            or state.upcoming_sleep >= self.left
        )

    def _why_no_more(self, attempts: Retrying, stumble: StumbleError) -> str:
        tried = int(attempts.statistics["attempt_number"])
        times = f", {tried} times" if tried > 1 else ""
        if stumble.wait is not None and stumble.wait > min(RETRY_AFTER_LIMIT, self.left):
            return f"{times}, and asks to wait {stumble.wait:.0f} seconds: run again then"
        if tried < self._most:
            return f"{times}, and the source's timeout leaves no time to retry: raise it, or run again"
        return f"{times}: check {self._what}, then run again"
