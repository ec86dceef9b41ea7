"""The progress of an API's read, stored so that a retry can resume."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from evergreen.errors import EvergreenError

SAVE_BYTES = 16 * 2**20
SAVE_SECONDS = 30.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Saved:
    """A stored state (a JSON value) and the parts of the rows that belong to it, in order."""

    state: Mapping[str, Any]
    parts: Iterable[bytes]


class Checkpoint(Protocol):
    """Stores the progress of a read. A state is stored with all parts before it, or not at all."""

    def load(self) -> Saved | None:
        """The last checkpoint, or None; parts that are saved later are appended to it."""

    def save(self, part: bytes, state: Mapping[str, Any]) -> None:
        """Store another part of the rows, and the state after it."""

    def clear(self) -> None:
        """Keep nothing any more."""


class Keeper:
    """Decides when to save a read, and saves it if possible.

    A checkpoint saves work but is not required: if the storage fails, a warning is logged and the read
    continues. A checkpoint of another description (`identity`) is not used. Without a checkpoint nothing is
    stored.
    """

    def __init__(self, checkpoint: Checkpoint | None, identity: str) -> None:
        self._checkpoint, self._identity = checkpoint, identity
        self._saved = time.monotonic()
        self._holds = False

    @property
    def keeps(self) -> bool:
        """Whether anything would be stored."""
        return self._checkpoint is not None

    def load(self) -> tuple[list[bytes], Mapping[str, Any]] | None:
        """The parts and the state of an interrupted read of the same kind, or None."""
        if self._checkpoint is None:
            return None
        try:
            saved = self._checkpoint.load()
            if saved is not None and saved.state.get("of") == self._identity:
                self._holds = True
                return list(saved.parts), saved.state
            if saved is not None:
                self._checkpoint.clear()
        except EvergreenError as error:
            _log.warning("The checkpoint cannot be read, reading from the first page: %s", error)
        return None

    def due(self, unsaved: int) -> bool:
        """Whether enough bytes or time have passed since the last save."""
        if self._checkpoint is None:
            return False
        return unsaved >= SAVE_BYTES or (unsaved > 0 and time.monotonic() - self._saved >= SAVE_SECONDS)

    def save(self, snapshot: Callable[[], tuple[bytes, Mapping[str, Any]]]) -> None:
        """Save the part of the rows and the state that `snapshot` gives."""
        # A later part without this one would be rows with a hole: after a save that did not come to its end,
        # what was kept before stays as it is.
        checkpoint, self._checkpoint = self._checkpoint, None
        if checkpoint is None:
            return
        try:
            part, state = snapshot()
            checkpoint.save(part, {**state, "of": self._identity})
            self._holds = True
            self._checkpoint = checkpoint
        except EvergreenError as error:
            _log.warning("The checkpoint cannot be written, a retry begins at an earlier one: %s", error)
        self._saved = time.monotonic()

    def clear(self) -> None:
        """Keep nothing any more."""
        if self._checkpoint is None or not self._holds:
            return
        try:
            self._checkpoint.clear()
            self._holds = False
        except EvergreenError as error:
            _log.warning("The checkpoint cannot be cleared: %s", error)
