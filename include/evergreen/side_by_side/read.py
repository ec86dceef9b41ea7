"""What is stored of two versions, read at once. Nothing of them is loaded or executed."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from evergreen.errors import IntegrityError, NotFoundError
from evergreen.features.keep import stored_code
from evergreen.features.stored import StoredFeatures, stored_features
from evergreen.registry.history import state_in
from evergreen.registry.ids import as_of_version
from evergreen.registry.versions import EXPLANATION, FEATURES, GATE, LINEAGE, METRICS

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.registry.history import State

_READERS = 8
_DOCUMENTS = (LINEAGE, METRICS, GATE, EXPLANATION)


@dataclass(frozen=True)
class Side:
    """A version, what it is now, and what its files say; {} or None of those it does not have.

    `code` is that of its feature functions by origin. `problems` say which files are damaged or gone.
    """

    version: str
    state: State
    lineage: Mapping[str, Any] = field(default_factory=dict, repr=False)
    metrics: Mapping[str, Any] = field(default_factory=dict, repr=False)
    gate: Mapping[str, Any] = field(default_factory=dict, repr=False)
    explanation: Mapping[str, Any] = field(default_factory=dict, repr=False)
    features: StoredFeatures | None = field(default=None, repr=False)
    code: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    problems: tuple[str, ...] = ()

    @property
    def evaluation(self) -> Mapping[str, Any]:
        """What was measured in its training, as `evergreen.evaluation.evaluate.Evaluation` stores it."""
        return self.metrics.get("evaluation") or {}


def read_sides(pipeline: Pipeline, first: str, second: str) -> tuple[Side, Side]:
    """Both versions of a pipeline; raises `NotFoundError` if one of them is not committed."""
    registry, versions = pipeline.registry, (first, second)
    with ThreadPoolExecutor(_READERS) as pool:
        found = [
            {
                **{name: pool.submit(_document, pipeline, version, name) for name in _DOCUMENTS},
                FEATURES: pool.submit(_features, pipeline, version),
            }
            for version in versions
        ]
        force = registry.pointed()
        events = registry.back_to(min(map(as_of_version, versions)), force)
        read = [{name: one.result() for name, one in files.items()} for files in found]
    one, other = (
        _side(version, state_in(force, version, events), files)
        for version, files in zip(versions, read, strict=True)
    )
    return one, other


def _side(version: str, state: State, files: Mapping[str, tuple[Any, str]]) -> Side:
    features, code = files[FEATURES][0] or (None, {})
    return Side(
        version,
        state,
        **{name.removesuffix(".json"): files[name][0] or {} for name in _DOCUMENTS},
        features=features,
        code=code,
        problems=tuple(problem for _, problem in files.values() if problem),
    )


def _document(pipeline: Pipeline, version: str, name: str) -> tuple[dict[str, Any] | None, str]:
    """The content of a JSON file, None if the version has none, and what is wrong with it."""
    registry = pipeline.registry
    if name not in registry.files(version):
        return None, ""
    return _or_problem(lambda: registry.content(version, name, dict))


def _features(pipeline: Pipeline, version: str) -> tuple[Any, str]:
    if FEATURES not in pipeline.registry.files(version):
        return None, ""
    return _or_problem(partial(_kept, pipeline, version))


def _kept(pipeline: Pipeline, version: str) -> tuple[StoredFeatures, dict[str, bytes]]:
    stored = stored_features(pipeline, version)
    return stored, {place.origin: body for place, body in stored_code(pipeline, version)}


def _or_problem(read: Any) -> tuple[Any, str]:
    try:
        return read(), ""
    except (IntegrityError, NotFoundError) as error:
        return None, str(error)
