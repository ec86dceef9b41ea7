"""Loading a version's model with its features, checked against its golden predictions before it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.errors import IntegrityError
from evergreen.features.functions import features_digest
from evergreen.features.own import own_features
from evergreen.registry.versions import FEATURES, MODEL
from evergreen.scoring.golden import GOLDEN, check_golden
from evergreen.spec import Spec

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.registry.registry import Registry

Check = Callable[[Spec, "Registry", str, Any], None]
"""Raises `IntegrityError` unless the model gives its version's golden predictions, as `check_golden`."""

_kept: set[tuple[Any, ...]] = set()


@dataclass(frozen=True)
class CheckedModel:
    """A version's estimator, and the pipeline with the features that it was trained on in its description."""

    version: str
    estimator: Any = field(repr=False)
    pipeline: Pipeline = field(repr=False)


def load_checked_model(pipeline: Pipeline, version: str, check: Check | None = None) -> CheckedModel:
    """The version's model, once it has given the predictions of its golden sample from its own features.

    Where its own features may not be executed, those of today must give the same predictions. The check is
    made once in a process for the same files and features, by `check` where it is given. Raises
    `NotFoundError` for an unknown version, `IntegrityError` if a file is damaged or unsigned, or a prediction
    differs.
    """
    model = pipeline.registry.load(version)
    files = pipeline.registry.files(version)
    own = own_features(pipeline, version)
    promise = (
        pipeline.storage.uri(),
        pipeline.name,
        version,
        *(files.get(name) for name in (MODEL, GOLDEN, FEATURES)),
        features_digest(own.pipeline.spec),
    )
    if promise not in _kept:
        try:
            (check or check_golden)(own.pipeline.spec, pipeline.registry, version, model)
        except IntegrityError as error:
            raise (own.problem or error) from error
        _kept.add(promise)
    return CheckedModel(version, model, own.pipeline)


def with_features_of(pipeline: Pipeline, version: str) -> Pipeline:
    """The pipeline with the features of a version in its description.

    The model is loaded only where its own features may not be executed. Raises as `load_checked_model` does.
    """
    own = own_features(pipeline, version)
    return own.pipeline if own.problem is None else load_checked_model(pipeline, version).pipeline
