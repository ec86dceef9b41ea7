"""The page of one pipeline: how it does, its nights, what was decided and on what grounds, its versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.explain.night import decision_explained
from evergreen.models_site.figures import drift_over_time, error_over_time
from evergreen.models_site.listing import worse_by
from evergreen.numbers import number, percent
from evergreen.pages.templates import template
from evergreen.stages import STAGES

if TYPE_CHECKING:
    from evergreen.explain.explanation import Explanation
    from evergreen.models_site.read import NightFacts, PipelineFacts
    from evergreen.registry.history import Event
    from evergreen.spec import Spec

TEMPLATES = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Happening:
    """Something that was decided as of a partition: a mark, a sentence, and the version that it is about."""

    partition: str
    mark: str
    word: str
    sentence: str
    version: str = ""


def render_pipeline(spec: Spec, facts: PipelineFacts, dag: str) -> str:
    """The page of a pipeline; `dag` is the address of a DAG without its id. All text is escaped."""
    metric = spec.metric
    names = list(dict.fromkeys(name for line in facts.lines for name in line.metrics))
    return template(TEMPLATES, "pipeline.html.jinja").render(
        spec=spec,
        facts=facts,
        now=facts.status,
        metric=metric,
        worse_by=worse_by,
        dags=[(str(stage), dag + stage.dag_id(spec.name)) for stage in STAGES if not stage.optional],
        error=error_over_time(facts.nights, facts.events, metric.name),
        drift=drift_over_time(facts.nights, facts.events),
        drifted=drifted(facts.nights),
        timeline=timeline(facts.nights, facts.events),
        explained=explained(facts),
        names=[metric.name, *(name for name in names if name != metric.name)][:3],
        stages=[str(stage) for stage in STAGES if any(str(stage) in night.seconds for night in facts.nights)],
        picks=picks(facts),
        number=number,
        percent=percent,
    )


def picks(facts: PipelineFacts) -> list[tuple[str, int]]:
    """The versions that are picked at first, by the places of their lines: the newest, and one before it."""
    names = [line.event.version for line in facts.lines]
    other = next((at for at, name in enumerate(names) if name != names[0]), 0)
    return [("first", other), ("second", 0)]


def drifted(nights: Sequence[NightFacts]) -> list[tuple[str, int]]:
    """In how many of the nights each feature drifted, those of the most first."""
    return Counter(name for night in nights for name in night.drifted).most_common()


def timeline(nights: Sequence[NightFacts], events: Sequence[Event]) -> list[Happening]:
    """What was decided in the nights' partitions, the newest first: trainings asked for, and events."""
    asked = [
        Happening(night.partition, "fired", "training asked for", night.reason)
        for night in nights
        if night.retrain
    ]
    found = [*asked, *(_happening(event) for event in events)]
    return sorted(found, key=lambda one: one.partition, reverse=True)


def explained(facts: PipelineFacts) -> Explanation | None:
    """Why the newest night of the page decided as it did."""
    return decision_explained(*facts.last) if facts.last else None


_MARKS = {"promoted": "promoted", "refused": "worse", "rolled_back": "inconclusive"}


def _happening(event: Event) -> Happening:
    said = "; ".join(_said(event))
    mark = _MARKS.get(event.kind.value, "quiet")
    return Happening(event.as_of, mark, event.kind.value.replace("_", " "), said, event.version)


def _said(event: Event) -> Iterator[str]:
    """In place of which version, what the gate said or who wanted it so and why, and by whom it was done."""
    if event.replaces:
        yield f"in place of {event.replaces}" if event.puts_in_force else f"{event.replaces} stays"
    for name in ("gate", "why", "approval", "approved_by"):
        if found := event.reason.get(name):
            yield f"approved by {found}" if name == "approved_by" else str(found)
    if sentence := event.reason.get("sentence"):
        yield f"trained because {sentence}"
    yield f"by {event.by}, {event.at[:16].replace('T', ' ')}"
