"""The trigger that waits for a source while its task is deferred."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from evergreen_airflow.connections import open_pipeline


class SourceCompleteTrigger(BaseTrigger):
    """Polls a source, and fires when its task should check the source itself.

    That is when the partitions are complete, after an error that a retry cannot fix, and at the deadline.
    Airflow stores only names: connections are looked up here for each poll.

    :param pipeline: the pipeline's name.
    :param source: the source's name.
    :param partitions: the keys of the partitions that are not complete yet.
    :param every: seconds from an answer to the next poll.
    :param until: when to give up, in ISO 8601 with an offset.
    """

    def __init__(
        self, pipeline: str, source: str, partitions: Sequence[str], every: float, until: str
    ) -> None:
        super().__init__()
        self.pipeline = pipeline
        self.source = source
        self.partitions = list(partitions)
        self.every = every
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The path of the class, and the arguments to make the trigger again."""
        arguments = ("pipeline", "source", "partitions", "every", "until")
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in arguments}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire once."""
        while (pause := min(self.every, self._left())) > 0:
            await asyncio.sleep(pause)
            # In a thread: a slow source must not block the other triggers.
            if self._left() <= 0 or await asyncio.to_thread(self._settled):
                break
        yield TriggerEvent(self.source)

    def _left(self) -> float:
        return (datetime.fromisoformat(self.until) - datetime.now(UTC)).total_seconds()

    def _settled(self) -> bool:
        """Poll once; whether there is nothing left to wait for."""
        from evergreen.errors import EvergreenError, UnavailableError
        from evergreen.ingestion.completeness import missing

        try:
            still = missing(open_pipeline(self.pipeline), self.source, self.partitions)
        except UnavailableError as reason:
            self.log.info("%s", reason)
            return False
        except EvergreenError as reason:
            self.log.error("%s", reason)
            return True
        if still is None:
            return True
        self.log.info("%s", still.reason)
        self.partitions = list(still.partitions)
        return False
