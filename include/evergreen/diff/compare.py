"""Each pipeline of a folder beside what it was at a revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from evergreen.description import read_mapping
from evergreen.diff.change import Change
from evergreen.diff.consequences import consequences, ticks_in_words
from evergreen.diff.effects import effect_of
from evergreen.diff.expectations import changed_expectations
from evergreen.diff.files import changed_code, changed_files
from evergreen.diff.revision import Revision
from evergreen.diff.values import differing
from evergreen.errors import EvergreenError, SpecError
from evergreen.spec import Spec, load_spec, pipeline_names
from evergreen.spec.folders import find
from evergreen.spec.targets import described_for, listed_targets
from evergreen.stages import STAGES, WATCH


@dataclass(frozen=True)
class Difference:
    """What differs of a pipeline: how, what follows from it, the DAGs that do something else, each change."""

    pipeline: str
    state: str
    said: tuple[str, ...]
    dags: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()

    def document(self) -> dict[str, Any]:
        """The difference for programs."""
        return {
            "pipeline": self.pipeline,
            "state": self.state,
            "said": list(self.said),
            "dags": list(self.dags),
            "changes": [change.document() for change in self.changes],
        }


@dataclass(frozen=True)
class _Described:
    spec: Spec
    content: Mapping[Any, Any]


_State = _Described | str | None
"""A description, why it is refused, or None where there is none."""


def differences(revision: Revision, names: Sequence[str], moment: datetime) -> Iterator[Difference]:
    """What differs of the pipelines of these names, or of all where none is named; ticks are after a moment.

    Raises `UnknownPipelineError` for a name that neither state of the folder has.
    """
    there, before = pipeline_names(revision.now), pipeline_names(revision.then)
    for name in names or sorted({*there, *before}):
        if name not in (*there, *before):
            find(name, revision.now)
        now = _read(name, revision.now) if name in there else None
        then = _read(name, revision.then) if name in before else None
        yield from _differences(revision, name, now, then, moment)


def _differences(
    revision: Revision, name: str, now: _State, then: _State, moment: datetime
) -> Iterator[Difference]:
    """What differs of a pipeline, if anything does."""
    match now, then:
        case None, _:
            yield Difference(name, "removed", (_removed(name),), _dags(then))
        case str(), str() if _below(now, revision.now) == _below(then, revision.then):
            return
        case str(), _:
            yield Difference(name, "broken", (f"Its description is refused, and it has no DAGs: {now}",))
        case _Described(), None:
            yield Difference(name, "added", tuple(_added(now.spec, moment)), _dags(now))
        case _Described(), str():
            said = f"Its description at {revision.name} was refused: {revision.named(then)}"
            yield Difference(name, "mended", (said, *_added(now.spec, moment)), _dags(now))
        case _Described(), _Described():
            yield from _compared(revision, then, now, moment)


def _compared(
    revision: Revision, then: _Described, now: _Described, moment: datetime
) -> Iterator[Difference]:
    problems: list[str] = []
    changes = [
        Change(one.key.shown, effect_of(one.key.names), one.before, one.after)
        for one in differing((then.spec, then.content), (now.spec, now.content))
    ]
    try:
        changes += changed_expectations(then.spec, now.spec)
    except SpecError as error:
        problems.append(f"The expectations cannot be compared: {revision.named(str(error))}")
    changes += changed_code(then.spec, now.spec)
    changes += changed_files(then.spec, now.spec, revision.files)
    if not changes and not problems:
        return
    stages = {stage for change in changes for stage in change.effect.stages}
    dags = [dag for dag in _dags(now, then) if any(dag == stage.dag_id(now.spec.name) for stage in stages)]
    said = consequences(then.spec, now.spec, changes, moment)
    yield Difference(now.spec.name, "changed", (*problems, *said), tuple(dags), tuple(changes))


def _read(name: str, folder: Path) -> _Described | str:
    """A pipeline's description, or why it is refused."""
    try:
        found = find(name, folder)
        spec, content = load_spec(name, folder), read_mapping(found.file)
    except EvergreenError as error:
        return str(error)
    if found.target is not None:
        content = described_for(content, listed_targets(found.file, content)[found.target], found.target)
    return _Described(spec, content)


def _below(text: str, folder: Path) -> str:
    return text.replace(str(folder), "")


def _dags(*described: _State) -> tuple[str, ...]:
    """The DAGs of one or the other description."""
    specs = [one.spec for one in described if isinstance(one, _Described)]
    has = {stage: stage is not WATCH or any(spec.alerts.deadline for spec in specs) for stage in STAGES}
    return tuple(stage.dag_id(specs[0].name) for stage in STAGES if specs and has[stage])


def _added(spec: Spec, moment: datetime) -> Iterator[str]:
    target = f" of {spec.target}" if spec.target else ""
    yield f"It predicts by {spec.task}{target}: {spec.description} ({spec.owner})."
    yield f"Next ticks: {ticks_in_words(spec, moment)}."
    yield (
        "Champion: it has none unless one is stored by this name. The first is trained by itself once there "
        f"is history enough ({spec.training.minimum})."
    )


def _removed(name: str) -> str:
    return (
        f"Its DAGs are gone from Airflow. What is stored stays, until `evergreen forget {name}` deletes it."
    )
