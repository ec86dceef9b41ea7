"""What a page gives to its form, so that only who saw it, and from this site, can send it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException, Request, status
from itsdangerous import BadData, URLSafeTimedSerializer

LASTS = 3600
"""Seconds for which a page's form can be sent."""


@dataclass(frozen=True)
class Seal:
    """Signs what was shown with the key of Airflow's API server: bound to a user, pipeline and action."""

    key: str
    user: str
    pipeline: str
    action: str

    def sign(self, shown: Any) -> str:
        """What was shown (JSON values), with a signature and the time."""
        return self._serializer.dumps(shown)

    def opened(self, token: str) -> Any:
        """What was shown; raises 403 for a token that is missing, forged, too old or another's."""
        try:
            return self._serializer.loads(token, max_age=LASTS)
        except BadData:
            raise HTTPException(
                status.HTTP_403_FORBIDDEN,
                "This was not sent from a page that was shown to you within the last hour: look again.",
            ) from None

    @property
    def _serializer(self) -> URLSafeTimedSerializer:
        # In JSON, so that no name can reach into the next one.
        salt = repr(("evergreen actions", self.user, self.pipeline, self.action))
        return URLSafeTimedSerializer(self.key, salt=salt, signer_kwargs={"digest_method": sha256})


def check_same_site(request: Request) -> None:
    """Raise 403 for a request that a browser says another site has made."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    foreign = (
        site != "same-origin" if site else bool(origin) and urlsplit(origin).netloc != request.url.netloc
    )
    if foreign:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "This was sent from another site: nothing was done.")
