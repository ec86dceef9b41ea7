"""Why a version is what it is now: who put it there, which training made it, and what the gate compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evergreen.evaluation.verdict import Verdict
from evergreen.explain.explanation import Explanation, Ground
from evergreen.registry.history import Kind, State
from evergreen.registry.overview import compared_with, overview
from evergreen.registry.versions import CARD, GATE, LINEAGE, METRICS

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.registry.history import Event
    from evergreen.registry.overview import Overview

_STATES = {
    State.CHAMPION: "is the champion",
    State.PROMOTED: "is in force for older partitions",
    State.SUPERSEDED: "was promoted, and another took its place for the same partitions",
    State.WITHDRAWN: "was rolled back",
    State.REFUSED: "was refused",
    State.TRIAL: "is on trial: each night compares it with the champion, until one is clearly better",
    State.CANARY: "answers a share of the requests beside the champion",
    State.COMMITTED: "was neither promoted nor refused yet",
}


def version_explained(pipeline: Pipeline, version: str) -> Explanation:
    """Why a committed version is in force or not.

    Raises `NotFoundError` if it is not committed, `IntegrityError` if a file of it is damaged.
    """
    registry = pipeline.registry
    files, events = registry.files(version), registry.history()
    verdict = registry.content(version, GATE, Verdict.from_dict) if GATE in files else None
    compared = registry.content(version, METRICS, compared_with) if METRICS in files else None
    asked = registry.content(version, LINEAGE, _reason) if LINEAGE in files else {}
    now = overview(registry, version, events)
    see = [f"evergreen models show {pipeline.name} {version}"]
    if CARD in files:
        see.append(pipeline.storage.uri(f"{pipeline.name}/models/{version}/{CARD}"))
    grounds = (*_asked(asked), *_judged(verdict, compared), *happened(events, version))
    return Explanation("version", version, sentence(now, verdict), grounds, tuple(see))


def sentence(now: Overview, verdict: Verdict | None) -> str:
    """What the version is, since when and by whom, and what the gate said of it."""
    said = f"{now.version} {_STATES[now.state]}"
    if now.at:
        said += f", since {now.at} by {now.by}"
    if why := now.reason.get("why") or now.reason.get("approval"):
        said += f" ({why})"
    return f"{said}. The gate: {verdict.sentence}" if verdict else said


def _reason(lineage: Mapping[str, Any]) -> dict[str, Any]:
    return dict(lineage.get("reason") or {})


def _asked(reason: dict[str, Any]) -> Iterator[Ground]:
    if said := reason.get("sentence"):
        yield Ground("training", str(reason.get("kind", "")), str(said))


def _judged(verdict: Verdict | None, champion: str | None) -> Iterator[Ground]:
    if verdict is None:
        return
    yield Ground("compared with", "", champion or "no champion: there was none as of the training")
    for check in verdict.checks:
        yield Ground(f"gate: {check.name}", check.word, check.detail)


def is_now(state: State) -> str:
    """What a version of this state is, to be said after its name."""
    return _STATES[state]


def happened(events: Sequence[Event], version: str) -> Iterator[Ground]:
    """What happened to it, and which version took its place."""
    for event in events:
        if event.concerns(version):
            yield Ground(f"event {event.seq}", event.kind.value.replace("_", " "), _told(event))
        elif event.kind is Kind.PROMOTED and event.replaces == version:
            yield Ground(f"event {event.seq}", "replaced", _told(event))


def _told(event: Event) -> str:
    said = f"{event.at} by {event.by}"
    if event.puts_in_force:
        said += f": {event.version} is in force from {event.as_of} on"
        said += f", in place of {event.replaces}" if event.replaces else ""
    why = event.reason.get("why") or event.reason.get("approval") or event.reason.get("sentence")
    return f"{said} ({why})" if why else said
