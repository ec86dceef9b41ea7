"""Loading the model of a version, checked against its golden predictions before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evergreen.features.functions import features_digest
from evergreen.registry.versions import MODEL
from evergreen.scoring.golden import GOLDEN, check_golden

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

_kept: set[tuple[Any, ...]] = set()


def load_checked_model(pipeline: Pipeline, version: str) -> Any:
    """The version's estimator, once it has given the predictions of its golden sample.

    The check is made once in a process for the same files and features. Raises `NotFoundError` for an unknown
    version, `IntegrityError` if a file is damaged or unsigned, or a prediction differs.
    """
    model = pipeline.registry.load(version)
    files = pipeline.registry.files(version)
    promise = (
        pipeline.storage.uri(),
        pipeline.name,
        version,
        files.get(MODEL),
        files.get(GOLDEN),
        features_digest(pipeline.spec),
    )
    if promise not in _kept:
        check_golden(pipeline.spec, pipeline.registry, version, model)
        _kept.add(promise)
    return model
