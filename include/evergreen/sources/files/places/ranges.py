"""Asks for a file from elsewhere: each request is retried, and no copy is of two versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import IO

from evergreen.sources.attempts import ATTEMPTS, BACKOFF, Attempts, StumbleError
from evergreen.sources.files.places.absent import AbsentError

PIECE = 8 * 2**20  # bytes


@dataclass(frozen=True)
class Version:
    """A file's size in bytes, and a mark that is another one when the file changed."""

    size: int
    mark: str


def is_there(name: str, look: Callable[[], object]) -> bool:
    """Whether there is a file of this name; `look` asks, and raises `AbsentError` if there is none.

    It raises `StumbleError` for what may pass. Raises `UnavailableError` after the last attempt.
    """
    try:
        attempts_at(name).run(look)
    except AbsentError:
        return False
    return True


def copy_in_pieces(
    name: str,
    file: IO[bytes],
    version: Callable[[], Version],
    piece: Callable[[int, int], tuple[bytes, Version]],
) -> None:
    """Write a whole file into `file`, and go back to its beginning; memory is that of a piece.

    `version` tells which version is there now. `piece` reads the bytes from a first to before a last one, and
    tells the version that they are of. Both raise `StumbleError` for what may pass. A file that changes while
    it is copied is copied anew. Raises `UnavailableError` after the last attempt.
    """
    attempts = attempts_at(name)

    def whole() -> None:
        file.seek(0)
        file.truncate()
        first, at = attempts.run(version), 0
        while at < first.size:
            end = min(at + PIECE, first.size)
            content, now = attempts.run(partial(piece, at, end))
            if now != first:
                raise StumbleError("the file changed while it was copied")
            file.write(content)
            at = end
        file.seek(0)

    attempts.run(whole)


def attempts_at(name: str) -> Attempts:
    """The attempts at requests for the file, folder or bucket of this name."""
    return Attempts(name, "its server", ATTEMPTS, BACKOFF)
