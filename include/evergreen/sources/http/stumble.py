"""The ways to fail at a page for good: it is too large, elsewhere, or spoils all pages before it."""

from __future__ import annotations

import httpx

from evergreen.errors import SourceError


class TooMuchError(SourceError):
    """The answer exceeds a limit of the source; a retry would exceed it again."""


class SpoiltError(SourceError):
    """The pages that were read are not what the API has; a later read must begin at the first one."""


class ElsewhereError(SourceError):
    """The answer redirects to another host, at `url`, where nothing of the connection may be sent."""

    url: httpx.URL
