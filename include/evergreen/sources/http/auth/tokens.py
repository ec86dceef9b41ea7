"""A token that is kept for its life."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from evergreen.sources.http.auth.token_endpoint import Token, TokenEndpoint

MARGIN = 60.0  # seconds by which a token ends earlier here, at most a tenth of its life


class Tokens:
    """The newest token of one connection, shared by the threads of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._until: float | None = None  # of `time.monotonic`; None: until it is refused
        self._refresh: str | None = None

    def valid(
        self,
        endpoint: TokenEndpoint,
        grant: Mapping[str, str],
        extensions: Mapping[str, Any],
        refused: str | None = None,
    ) -> str:
        """The access token, which is fetched if there is none, it has ended, or it is the one `refused`.

        `extensions` are those of the request that needs it: its time-outs hold for the token too. Raises what
        `TokenEndpoint.ask` raises.
        """
        with self._lock:
            if self._token is None or self._ended() or self._token.access == refused:
                self._fetch(endpoint, grant, extensions)
            assert self._token is not None
            return self._token.access

    def _ended(self) -> bool:
        return self._until is not None and time.monotonic() >= self._until

    def _fetch(
        self, endpoint: TokenEndpoint, grant: Mapping[str, str], extensions: Mapping[str, Any]
    ) -> None:
        # The life counts from before the request: the server begins to count during it.
        asked = time.monotonic()
        rotated = {"refresh_token": self._refresh} if self._refresh else {}
        token = endpoint.ask({**grant, **rotated}, extensions)
        life = token.seconds
        self._token, self._until = token, None if life is None else asked + life - min(MARGIN, life / 10)
        if "refresh_token" in grant and token.refresh:
            self._refresh = token.refresh
