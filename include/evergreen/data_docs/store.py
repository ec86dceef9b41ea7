"""Data Docs: a page for every validation run and an index of a pipeline's pages, in the storage.

Nothing is ever rebuilt. A run writes its own page, stores the lines that the index lacks, and writes the
index by compare-and-set with the lines of all runs that wait at that moment. So where several runs end at
once, one writes for all, and no line is lost. Pages and index need no network and no program: a copy of the
folder opens in any browser.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime

from evergreen.data_docs.index import Run, merged, read_index, read_lines, render_index, write_lines
from evergreen.data_docs.page import render_page
from evergreen.errors import ConflictError
from evergreen.pipeline import Pipeline
from evergreen.storage import Storage, StoredObject
from evergreen.together import together
from evergreen.validation.report import ValidationReport

FOLDER = "data_docs"
INDEX = "index.html"
_PAGE = re.compile(rf"[^/]+/{FOLDER}/(?P<partition>[^/]+)/(?P<run>[^/]+)\.html")
_ATTEMPTS = 100


def page_key(pipeline: str, partition: str, run: str) -> str:
    """Where the page of a run stands in the storage."""
    return f"{pipeline}/{FOLDER}/{partition}/{run}.html"


def index_key(pipeline: str) -> str:
    """Where the index of a pipeline stands in the storage."""
    return f"{pipeline}/{FOLDER}/{INDEX}"


def write_data_docs(
    pipeline: Pipeline, run: str, when: datetime, reports: Sequence[ValidationReport]
) -> list[str]:
    """Write the pages of a run's partitions, then name them in the index; returns the pages' keys.

    `run` is the token of the run's staging and `when` the time at which the run began, so that a retry writes
    the same pages again. Call it once for all partitions of a run: the index is written once.

    Raises `UnavailableError` where the storage fails and `ConflictError` where others write the index all the
    time; both may be tried again.
    """

    def write(report: ValidationReport) -> str:
        key = page_key(pipeline.name, report.partition, run)
        pipeline.storage.stage(
            key, _bytes(render_page(pipeline.spec, report, run, when)), "text/html; charset=utf-8"
        )
        return key

    if not reports:
        return []
    keys = together(write, reports)
    _add_to_index(pipeline, run, [Run.of(report, run, when) for report in reports])
    return keys


def runs_of(pipeline: Pipeline) -> list[Run]:
    """The validation runs that a pipeline's index lists, newest partition first; none before the first."""
    return _known(pipeline, pipeline.storage.find(index_key(pipeline.name)))


def drop_runs(pipeline: Pipeline, gone: Collection[tuple[str, str]]) -> None:
    """Take runs, by partition and token, out of a pipeline's index; their pages may be deleted then.

    Raises as `write_data_docs`.
    """
    storage, index = pipeline.storage, index_key(pipeline.name)
    for _ in range(_ATTEMPTS):
        stored = storage.find(index)
        known = _known(pipeline, stored)
        left = [run for run in known if (run.partition, run.run) not in gone]
        if stored is None or len(left) == len(known):
            return
        with suppress(ConflictError):
            storage.replace(index, _bytes(render_index(pipeline.spec, left)), stored.etag)
            return
    raise ConflictError(
        f"{pipeline.name}: {storage.uri(index)} was written by others {_ATTEMPTS} times in a row: run again"
    )


def _add_to_index(pipeline: Pipeline, run: str, new: Sequence[Run]) -> None:
    storage, index, own = pipeline.storage, index_key(pipeline.name), _lines_key(pipeline.name, run)
    storage.stage(own, write_lines(new))
    for _ in range(_ATTEMPTS):
        stored = storage.find(index)
        known = _known(pipeline, stored)
        if set(new) <= set(known):  # another run has written them meanwhile
            storage.delete([own])
            return
        waiting = [key for key in storage.list(_lines_key(pipeline.name)) if key != own]
        others = [line for key in waiting for line in _lines(storage, key)]
        body = _bytes(render_index(pipeline.spec, merged([*known, *others], new)))
        try:
            if stored is None:
                storage.create(index, body)
            else:
                storage.replace(index, body, stored.etag)
        except ConflictError:
            continue
        storage.delete([*waiting, own])
        return
    raise ConflictError(
        f"{pipeline.name} {new[-1].partition}: {storage.uri(index)} was written by others {_ATTEMPTS} times "
        "in a row: run the stage again"
    )


def _lines_key(pipeline: str, run: str | None = None) -> str:
    """Where lines are stored that the index lacks: of one run, or of all."""
    return f"{pipeline}/{FOLDER}/.lines/" + (f"{run}.json" if run else "")


def _lines(storage: Storage, key: str) -> list[Run]:
    stored = storage.find(key)
    try:
        return read_lines(stored.body) if stored else []  # gone if another run has written it meanwhile
    except ValueError:
        return []  # a damaged file must not break a night


def _known(pipeline: Pipeline, stored: StoredObject | None) -> list[Run]:
    """The runs that the index lists; where it is missing or damaged, those whose pages are there."""
    if stored:
        try:
            return read_index(stored.body)
        except ValueError:
            pass
    pages = map(_PAGE.fullmatch, pipeline.storage.list(f"{pipeline.name}/{FOLDER}/"))
    return [Run(page["partition"], page["run"]) for page in pages if page]


def _bytes(html: str) -> bytes:
    # Text from a source may hold half a surrogate pair, which cannot be encoded in UTF-8.
    return html.encode("utf-8", "xmlcharrefreplace")
