"""What can go wrong, in words a user can act on: each message is one line and ends with the remedy."""

from __future__ import annotations

from typing import ClassVar


class EvergreenError(Exception):
    """A failure with a clear one-line message. Its exit code is what the `evergreen` command returns."""

    exit_code: ClassVar[int] = 1


class SpecError(EvergreenError):
    """A pipeline's description is invalid: the message has file, key path, problem and allowed values."""


class NotInstalledError(SpecError):
    """A package that the description or a version needs is missing here: the message says how to install it.

    Nothing is wrong with the version, so nothing is done without the package.
    """


class SourceError(EvergreenError):
    """A source answered wrongly and asking again will not help (credentials, missing table or column)."""


class UnavailableError(EvergreenError):
    """A source or the storage cannot be reached at the moment: a retry may help."""


class StorageError(EvergreenError):
    """The storage refuses or is not what Evergreen needs (missing bucket, no conditional writes)."""


class ConflictError(StorageError):
    """A conditional write failed: somebody else wrote first."""


class IntegrityError(EvergreenError):
    """A stored file does not match its digest, and is never loaded."""


class ChangedError(IntegrityError):
    """A version that no longer fits its features, the description or the packages.

    `what` is a clause on it, such as "it predicts 'cnt'", without the version's name and without the remedy.
    """

    def __init__(self, message: str, what: str = "") -> None:
        super().__init__(message)
        self.what = what or message


class NotFoundError(EvergreenError):
    """A pipeline, partition, version or table that was named does not exist."""


class UnknownPipelineError(NotFoundError):
    """No folder describes a pipeline of the name: the message has those that are most like it."""

    exit_code = 2


class RefusedError(EvergreenError):
    """Data refused by validation, or a model refused by its gate. Nothing that was published changed."""

    exit_code = 3


class NothingToDoError(EvergreenError):
    """The stage has nothing to do, and the message says why (no champion yet, not enough history)."""

    exit_code = 0


def one_line(said: object, most: int | None = 300) -> str:
    """An error or a text as a single line, truncated to `most` characters; None leaves it whole."""
    return " ".join(str(said).split())[:most]
