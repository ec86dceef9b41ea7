"""What servers answered of a partition beside what is published, as the monitor records it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from evergreen.errors import EvergreenError, UnavailableError, one_line
from evergreen.lake import Table
from evergreen.monitoring.record import records_in
from evergreen.request_log.store import RequestLog
from evergreen.skew.measure import measure_skew
from evergreen.spec import Log

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

_log = logging.getLogger(__name__)


def skew_of(pipeline: Pipeline, partition: str) -> dict[str, Any]:
    """The figures of the skew; {} where nothing is logged, `problem` where it could not be measured.

    What was recorded before stays once the log is deleted. Raises `UnavailableError`.
    """
    if pipeline.spec.serving.log is None:
        return {}
    try:
        found = measure_skew(pipeline, partition)
    except UnavailableError:
        raise
    except EvergreenError as error:
        _log.warning("%s %s: its skew is not measured: %s", pipeline.name, partition, one_line(error))
        return {"problem": one_line(error)}
    if found.rows:
        return found.figures
    before = pipeline.lake.find(Table.MONITORING, partition, partition)
    return records_in(before)[0].skew if before is not None else {}


def drop_expired(pipeline: Pipeline) -> None:
    """Delete what servers logged of partitions that are kept no longer, also where nothing is logged now."""
    keep = (pipeline.spec.serving.log or Log()).keep
    published = pipeline.lake.partitions()
    RequestLog(pipeline.storage, pipeline.name).expire(pipeline.spec.calendar, keep, published[-1])
