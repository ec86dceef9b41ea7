"""The folder of a drafted pipeline: written aside, read back, then renamed into its place."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from evergreen.calendar import Calendar
from evergreen.calendar.drafted import UNTIMED
from evergreen.draft.guesses import MARK
from evergreen.draft.plan import Plan
from evergreen.draft.written import FUNCTION, description_text, features_text
from evergreen.errors import EvergreenError, SpecError
from evergreen.lake import PARTITION
from evergreen.rows.local import TIME
from evergreen.sources.spans import Spans
from evergreen.spec import parse_spec, pipeline_names
from evergreen.spec.folders import DESCRIPTION
from evergreen.validation.suggest import draft

_MOST_PARTITIONS = 1_000  # of the newest ones, from which expectations are drafted
_USUAL = 28  # partitions that a limit by history is taken from


def check_free(name: str, pipelines: Path) -> None:
    """Raise `SpecError` for a name that is taken, by a folder or by one target of another pipeline."""
    if (pipelines / name).exists():
        raise SpecError(f"{pipelines / name} exists already and is not overwritten: take another name")
    if pipelines.is_dir() and name in pipeline_names(pipelines):
        raise SpecError(f"'{name}' is a pipeline already, of one of several targets: take another name")


def write_folder(plan: Plan, pipelines: Path) -> list[Path]:
    """Write the folder of a plan below `pipelines`, as a whole or not at all; returns its files.

    Raises `SpecError` for a name that is taken, also by someone who was faster, and for a plan that would not
    be read.
    """
    check_free(plan.name, pipelines)
    with _aside(pipelines) as aside:
        folder = aside / plan.name
        folder.mkdir()
        (folder / DESCRIPTION).write_text(description_text(plan), encoding="utf-8")
        if plan.has_function:
            (folder / FUNCTION).write_text(features_text(plan), encoding="utf-8")
        (folder / "expectations.yaml").write_text(_suite(plan, folder), encoding="utf-8")
        names = sorted(file.name for file in folder.iterdir())
        check_free(plan.name, pipelines)
        try:
            folder.rename(pipelines / plan.name)
        except OSError as error:
            raise SpecError(
                f"{pipelines / plan.name} cannot be written ({error.strerror}): make it writable"
            ) from None
    return [pipelines / plan.name / name for name in names]


@contextmanager
def _aside(pipelines: Path) -> Iterator[Path]:
    """A folder of the same file system that is gone afterwards, and that nobody takes for a pipeline."""
    try:
        pipelines.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=pipelines) as folder:
            yield Path(folder)
    except OSError as error:
        why = f"{pipelines} cannot be written ({error.strerror})"
        raise EvergreenError(f"{why}: name another folder as EVERGREEN_PIPELINES") from None


def _suite(plan: Plan, folder: Path) -> str:
    spec = parse_spec(folder / DESCRIPTION)
    drafted = draft(spec, _by_partition(plan), _USUAL, of="the rows that were looked at")
    said = "what held so far need not hold on, and the limits have some room: review each of them"
    return f"# {MARK} {said}\n{drafted.text}"


def _by_partition(plan: Plan) -> pa.Table:
    """The rows in the types that are declared, with their partition, sorted by it: the newest partitions."""
    rows = plan.look.sample
    for name, kind in plan.config.get("types", {}).items():
        if kind == "int" and name in rows.schema.names:
            at = rows.schema.get_field_index(name)
            rows = rows.set_column(at, name, rows.column(name).cast(pa.int64()))
    if plan.times.grain is UNTIMED:
        return rows.append_column(PARTITION, pa.array(["snapshot"] * rows.num_rows))
    calendar = Calendar(plan.times.grain)
    spans = Spans(calendar, calendar.between(*plan.span))
    times = rows.column(str(plan.times.column)).combine_chunks().cast(TIME)
    places = spans.places(times)
    held = np.unique(places)
    if not plan.look.is_whole and len(held) > 1:
        held = held[:-1]  # the last one may be there in part
    wanted = np.flatnonzero(np.isin(places, held[-_MOST_PARTITIONS:]))
    order = wanted[np.argsort(places[wanted], kind="stable")]
    names = np.asarray(spans.keys, dtype=object)[places[order]]
    return rows.take(pa.array(order)).append_column(PARTITION, pa.array(names, pa.string()))
