"""Measures the skew of a partition: reads its log, and predicts it again from the lake."""

from __future__ import annotations

import pyarrow.compute as pc

from evergreen.asked.finding import Together, stored_asked
from evergreen.errors import EvergreenError, NotFoundError, UnavailableError, one_line
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.request_log.columns import VERSION
from evergreen.request_log.store import Kind, RequestLog
from evergreen.scoring.checked_model import CheckedModel, load_checked_model
from evergreen.scoring.score import predicted_again
from evergreen.serving.look_back import look_back_digest
from evergreen.skew.compare import Again, Skew, compare


def measure_skew(pipeline: Pipeline, partition: str) -> Skew:
    """The skew of a published partition; of no rows where none were logged. Nothing is written.

    Raises `NotFoundError` for a partition that is not published, `IntegrityError` for a damaged log,
    `UnavailableError` where the storage is out of reach.
    """
    logged = RequestLog(pipeline.storage, pipeline.name).read(Kind.PREDICTIONS, partition)
    if not logged.num_rows:
        return Skew()
    published = pipeline.lake.find(Table.PARTITIONS, partition, partition)
    if published is None:
        raise NotFoundError(
            f"{pipeline.name} {partition}: this partition is not published: run evergreen ingest "
            f"{pipeline.name} --partition {partition}"
        )
    again: dict[str, Again] = {}
    unusable: dict[str, str] = {}
    for version in sorted(pc.unique(logged.column(VERSION)).to_pylist()):
        try:
            again[version] = _again(load_checked_model(pipeline, version), partition)
        except UnavailableError:
            raise
        except EvergreenError as error:
            unusable[version] = one_line(error)
        except Exception as error:  # noqa: BLE001 - features and estimators of others may raise anything
            unusable[version] = f"{type(error).__name__}: {one_line(error)}"
    return compare(pipeline.spec.keys, logged, published, again, unusable)


def _again(model: CheckedModel, partition: str) -> Again:
    pipeline = model.pipeline
    first = pipeline.spec.looks_back_to(partition)
    files = pipeline.lake.files(Table.PARTITIONS) if first < partition else {}
    return Again(
        predicted_again(model, partition),
        look_back_digest(files, first, partition) if first < partition else None,
        stored_asked(pipeline, model.version).together is not Together.ROW,
    )
