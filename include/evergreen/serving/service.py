"""What the routes of the application share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from fastapi import Request, Response

from evergreen.request_log.store import Kind, RequestLog
from evergreen.serving.answer import Answer
from evergreen.serving.body import Body
from evergreen.serving.canary import ServedCanary
from evergreen.serving.entrance import About
from evergreen.serving.follow import Follower
from evergreen.serving.limits import Limits, Turns, received
from evergreen.serving.log_writer import LogWriter
from evergreen.serving.logged import logged
from evergreen.serving.meters import CANARY, CHAMPION, Meters
from evergreen.serving.refused import RequestRefusedError
from evergreen.serving.served import Served
from evergreen.serving.shadow import Shadowing
from evergreen.serving.told import Pipelines, by_pipeline, furthest_behind
from evergreen.shown import shown

JSON = "application/json"
"""The media type of JSON."""


@dataclass(frozen=True)
class Serving:
    """What the routes share: who follows which pipeline, the limits, the turns and the figures.

    `told` says what each worker serves. A storage that is silent for more than `patience` seconds makes
    answers stale.
    """

    followers: Mapping[str, Follower]
    limits: Limits
    patience: float
    meters: Meters
    turns: Turns
    writer: LogWriter
    shadowing: Shadowing
    told: Callable[[], list[Pipelines]]

    def served(self, pipeline: str) -> Served:
        """The version that answers for a pipeline now, as `answering` has it."""
        return self.answering(pipeline)[0]

    def answering(self, pipeline: str) -> tuple[Served, ServedCanary | None]:
        """The version that answers for a pipeline now, and the canary beside it.

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
        canary = state.canary
        # Until both are loaded for columns that have changed, their rows are not read alike.
        alike = canary is not None and canary.served.published == state.served.published
        return state.served, canary if alike else None

    def count(self, about: About) -> None:
        """Count a request that was answered."""
        rows = about.rows
        if (canary := about.canary) is not None:
            by = (about.pipeline, canary.version, CANARY)
            self.meters.count(*by, canary.status, about.seconds)
            self.meters.count_rows(*by, canary.rows - canary.failed, canary.failed)
            rows -= canary.rows - canary.failed
        if rows or not about.rows:
            self.meters.count(about.pipeline, about.version, CHAMPION, about.status, about.seconds)
        if rows:
            self.meters.count_rows(about.pipeline, about.version, CHAMPION, rows - about.failed, about.failed)

    def log(self, served: Served, read: Callable[[], Body], found: Answer) -> None:
        """Offer a request that was answered to its pipeline's log and shadow, if any. Returns at once.

        `read` reads its body.
        """
        follower = self.followers[served.spec.name]
        pipeline, shadow = follower.pipeline, follower.challenger.shadow.served
        log = pipeline.spec.serving.log
        if shadow and (shadow.version == served.version or shadow.published != served.published):
            shadow = None
        if log is None and shadow is None:
            return
        place, body = RequestLog(pipeline.storage, pipeline.name), read()
        if log is not None:
            entries = partial(logged, served, log, body, found)
            self.writer.offer(place, Kind.PREDICTIONS, len(found.rows), entries)
        if shadow is not None:
            self.shadowing.offer(served, shadow, place, body, found)

    def conditions(self) -> dict[str, Any]:
        """How many workers answer, and how up to date each pipeline is with the one furthest behind."""
        workers = self.told()
        found = {
            name: furthest_behind(told, self.patience).document(self.patience)
            for name, told in by_pipeline(workers).items()
        }
        return {"ready": self.ready, "workers": len(workers), "pipelines": found}

    @property
    def ready(self) -> bool:
        """Whether each pipeline that has a champion is answered for, be it by a stale version."""
        return all(follower.state.is_ready for follower in self.followers.values())


def kind_of(request: Request) -> str:
    """The media type of a request's body, JSON if it names none."""
    return request.headers.get("content-type", JSON).partition(";")[0].strip().lower()


async def read_request(request: Request, limits: Limits, *other: str) -> bytes:
    """The body of a request, in JSON or of one of the `other` types.

    Raises `RequestRefusedError` as `received` does, and 415 for another type or a compressed body.
    """
    kind = kind_of(request)
    if kind not in (JSON, *other):
        allowed = " or ".join(other)
        raise RequestRefusedError(415, f"the body is {shown(kind)}: send {JSON}, or {allowed}")
    if (packed := request.headers.get("content-encoding", "identity")).lower() != "identity":
        raise RequestRefusedError(415, f"the body is compressed ({shown(packed)}): send it as it is")
    return await received(request.stream(), request.headers.get("content-length"), limits)


def as_json(document: Any, status: int = 200) -> Response:
    """The document as an answer."""
    return Response(msgspec.json.encode(document), status, media_type=JSON)
