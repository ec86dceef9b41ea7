"""A message as an HTTP request: a POST of JSON that follows no redirect. Nothing here is logged.

Python's own client is used because it logs nothing: the address of a webhook is a secret.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

_TIMEOUT = 20.0  # seconds: to connect, and from byte to byte
_MOST = 100_000  # bytes of an answer
_REASON = re.compile(r"[a-z_]{1,60}")


@dataclass(frozen=True)
class Post:
    """A POST of `body` as JSON to an http or https address; raises `ValueError` for another address.

    With `says_ok` only an answer in JSON with `"ok": true` is a yes, as of Slack's API.
    """

    url: str = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    says_ok: bool = False

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("its address must begin with http:// or https://")

    def send(self) -> str | None:
        """Send it; None if it was taken, else in some words why not. They hold no part of address or body."""
        from httpx import create_ssl_context

        secure = urllib.request.HTTPSHandler(context=create_ssl_context())
        request = urllib.request.Request(  # noqa: S310 - the address is the connection's, and http or https
            self.url,
            json.dumps(self.body).encode(),
            {"User-Agent": "Evergreen", **self.headers, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.build_opener(secure, _NoRedirect).open(request, timeout=_TIMEOUT) as answer:
                return _refusal(answer.read(_MOST)) if self.says_ok else None
        except urllib.error.HTTPError as error:
            error.close()
            return f"it answered {error.code}"
        except urllib.error.URLError as error:
            return f"it cannot be reached ({type(error.reason).__name__})"
        except (OSError, HTTPException, ValueError) as error:
            return f"it cannot be reached ({type(error).__name__})"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """It could carry a password to another host: a redirect is an answer like any other that is no yes."""

    def redirect_request(self, *_: object) -> None:
        return None


def _refusal(answer: bytes) -> str | None:
    try:
        said = json.loads(answer)
    except ValueError:
        said = None
    if isinstance(said, dict) and said.get("ok") is True:
        return None
    reason = str(said.get("error", "")) if isinstance(said, dict) else ""
    return f"it answered {reason}" if _REASON.fullmatch(reason) else "it did not take the message"
