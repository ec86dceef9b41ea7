"""The ways to fail at a page for good: because it is too large, or with all pages before it."""

from __future__ import annotations

from evergreen.errors import SourceError


class TooMuchError(SourceError):
    """The answer exceeds a limit of the source; a retry would exceed it again."""


class SpoiltError(SourceError):
    """The pages that were read are not what the API has; a later read must begin at the first one."""
