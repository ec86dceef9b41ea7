"""What the versions of a pipeline are now, for people: the command line and tables in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evergreen.errors import IntegrityError
from evergreen.registry.history import Event, State, last_canary, last_word, state_of
from evergreen.registry.ids import as_of_version
from evergreen.registry.registry import Registry
from evergreen.registry.versions import METRICS


@dataclass(frozen=True)
class Overview:
    """A version: what it is since `at` (ISO 8601), by whom and why, and its metrics of the hold-out.

    `problem` says why there are no metrics where they cannot be read.
    """

    version: str
    as_of: str
    state: State
    metrics: dict[str, Any]
    at: str | None
    by: str | None
    reason: dict[str, Any]
    problem: str | None = None


def overviews(registry: Registry) -> list[Overview]:
    """All versions, newest first."""
    events = registry.history()
    return [overview(registry, version, events) for version in registry.versions()]


def overview(registry: Registry, version: str, events: Sequence[Event]) -> Overview:
    """One version after the events, the whole history; raises `NotFoundError` if it is not committed."""
    state = state_of(version, events)
    last = (last_canary if state is State.CANARY else last_word)(events, version)
    problem = None
    try:
        metrics = metrics_of(registry, version)
    except IntegrityError as error:
        metrics, problem = {}, str(error)
    return Overview(
        version=version,
        as_of=as_of_version(version),
        state=state,
        metrics=metrics,
        at=last.at if last else None,
        by=last.by if last else None,
        reason=last.reason if last else {},
        problem=problem,
    )


def coverage_of(registry: Registry, version: str) -> dict[float, float]:
    """The share of the hold-out's rows that intervals or sets of each level hold; none without.

    Raises as `metrics_of`.
    """
    if METRICS not in registry.files(version):
        return {}
    return registry.content(version, METRICS, _coverage)


def metrics_of(registry: Registry, version: str) -> dict[str, Any]:
    """The version's metrics of the hold-out by name; none if it has no such file.

    Raises `NotFoundError` if it is not committed, `IntegrityError` if the file is damaged.
    """
    if METRICS not in registry.files(version):
        return {}
    return registry.content(version, METRICS, figures)


def figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics by name of what `metrics.json` holds."""
    return {name: value for name, value in metrics.items() if not isinstance(value, dict)}


def compared_with(metrics: Mapping[str, Any]) -> str | None:
    """The champion that the gate compared a version with, of what its `metrics.json` holds."""
    champion = (metrics.get("evaluation") or {}).get("champion")
    return str(champion["version"]) if champion else None


def _coverage(metrics: Mapping[str, Any]) -> dict[float, float]:
    evaluation = metrics.get("evaluation") or {}
    return {one["level"]: one["covered"] for one in evaluation.get("coverage", ())}
