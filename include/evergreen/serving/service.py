"""What the routes of the application share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import Request, Response

from evergreen.serving.entrance import About
from evergreen.serving.follow import Follower
from evergreen.serving.limits import Limits, Turns, received
from evergreen.serving.meters import Meters
from evergreen.serving.refused import RequestRefusedError
from evergreen.serving.served import Served
from evergreen.shown import shown


class Serving:
    """What the routes share: who follows which pipeline, the limits, the turns and the figures.

    A storage that is silent for more than `patience` seconds makes answers stale.
    """

    def __init__(self, followers: Mapping[str, Follower], limits: Limits, patience: float) -> None:
        self.followers, self.limits, self.patience = followers, limits, patience
        self.turns = Turns(limits)
        self.meters = Meters(followers)

    def served(self, pipeline: str) -> Served:
        """The version that answers for a pipeline now.

        Raises `RequestRefusedError`: 404 for a pipeline that is not served here, 503 while nothing answers.
        """
        follower = self.followers.get(pipeline)
        if follower is None:
            here = ", ".join(sorted(self.followers))
            raise RequestRefusedError(404, f"no pipeline '{shown(pipeline)}' is served here, only {here}")
        state = follower.state
        if state.served is None:
            why = state.problem or "its champion is being loaded"
            raise RequestRefusedError(503, f"{pipeline} is not served yet: {why}")
        return state.served

    def told(self, about: About) -> None:
        """Count a request that was answered."""
        self.meters.count(about.pipeline, about.version, about.status, about.seconds)
        if about.rows:
            self.meters.count_rows(about.pipeline, about.version, about.rows - about.failed, about.failed)

    def conditions(self) -> dict[str, dict[str, str | None]]:
        """How up to date each pipeline is, by name."""
        found: dict[str, dict[str, str | None]] = {}
        for name, follower in self.followers.items():
            state = follower.state
            version = state.served.version if state.served else None
            condition = state.condition(self.patience)
            found[name] = {"version": version, "champion": state.champion, "condition": condition}
            if state.problem:
                found[name]["problem"] = state.problem
        return found

    @property
    def ready(self) -> bool:
        """Whether something answers for each pipeline, be it stale."""
        return all(follower.state.served is not None for follower in self.followers.values())


async def read_request(request: Request, limits: Limits, *other: str) -> bytes:
    """The body of a request, in JSON or of one of the `other` types.

    Raises `RequestRefusedError` as `received` does, and 415 for another type.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind not in ("application/json", *other):
        raise RequestRefusedError(415, f"the body is {shown(kind)}: send JSON, as application/json")
    return await received(request.stream(), request.headers.get("content-length"), limits)


def as_json(document: Any, status: int = 200) -> Response:
    """The document as an answer."""
    return Response(msgspec.json.encode(document), status, media_type="application/json")
