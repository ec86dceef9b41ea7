"""The site of Data Docs on Airflow's API server: serves the stored pages and model cards, read-only.

A page is served as it was stored, but for what `served_page` adds.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import FastAPI, HTTPException, status
from fastapi.responses import RedirectResponse, Response

from evergreen.errors import NotFoundError, SpecError
from evergreen.stages import INGEST, MONITOR, TRAIN
from evergreen_airflow import sites
from evergreen_airflow.links import index_path, page_path, site_path
from evergreen_airflow.sites import Came, VisiblePipeline, may_see

if TYPE_CHECKING:
    from evergreen.data_docs.index import Run
    from evergreen.storage import Storage

# Keys and tokens have only characters without a meaning in a path, and do not begin with a dot.
_PARTITION = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
_RUN = re.compile(r"[0-9a-z_-]{1,64}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")


def make_app() -> FastAPI:
    """The application that the plugin mounts."""
    app = FastAPI(title="Evergreen Data Docs", docs_url=None, redoc_url=None, openapi_url=None)
    app.get("/")(home)
    app.get("/{pipeline}")(to_index)
    app.get("/{pipeline}/")(to_index)
    app.get("/{pipeline}/index.html")(index)
    app.get("/{pipeline}/models/{version}.html")(card)
    app.get("/{pipeline}/reports/")(reports)
    app.get("/{pipeline}/reports/{partition}.html")(report)
    # Where the pages stand in the storage, so that links between them lead to the same here as in a copy.
    app.get("/{pipeline}/models/{version}/card.html")(card)
    app.get("/{pipeline}/data_docs/index.html")(index)
    app.get("/{pipeline}/data_docs/{partition}/{run}.html")(page)
    app.get("/{pipeline}/{partition}/{run}.html")(page)
    app.get("/{path:path}")(nothing)
    sites.refuse_by(app, sites.by_page(_notice))
    return app


def home(user: GetUserDep) -> Response:
    """The pipelines whose pages the user may see."""
    from evergreen.data_docs.index import render_home
    from evergreen.spec import pipeline_names

    return sites.page(
        render_home({name: _description(name) for name in pipeline_names() if may_see(name, user)})
    )


def to_index(pipeline: VisiblePipeline) -> Response:
    """Redirect to the index of the pipeline."""
    return RedirectResponse(index_path(pipeline))


def index(pipeline: VisiblePipeline, came: Came, partition: str | None = None) -> Response:
    """The index, or with `partition` the newest page of that partition if there is one."""
    from evergreen.data_docs.store import index_key

    try:
        body = _storage(pipeline).read(index_key(pipeline)).body
    except NotFoundError:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND,
            f"Nothing of {pipeline} has been validated yet: its first page comes with the first run of "
            f"{pipeline}_ingest.",
        ) from None
    run = _newest(body, partition) if partition else None
    if run:
        return RedirectResponse(page_path(pipeline, run.partition, run.run))
    return sites.page(body, back=came.back_to(INGEST))


def page(pipeline: VisiblePipeline, came: Came, partition: str, run: str) -> Response:
    """The page of one run."""
    from evergreen.data_docs.store import page_key

    absent = HTTPException(
        status.HTTP_404_NOT_FOUND,
        "This run has no page: its validation did not finish, or the page was deleted. The log of "
        "its task 'validate' says more.",
    )
    if not _PARTITION.fullmatch(partition) or not _RUN.fullmatch(run):
        raise absent
    try:
        stored = _storage(pipeline).read(page_key(pipeline, partition, run)).body
    except NotFoundError:
        raise absent from None
    return sites.page(stored, back=came.back_to(INGEST))


def card(pipeline: VisiblePipeline, came: Came, version: str) -> Response:
    """The model card of a version, if it matches its digest."""
    from evergreen.registry.registry import Registry
    from evergreen.registry.versions import CARD

    absent = HTTPException(
        status.HTTP_404_NOT_FOUND, f"There is no such version: see evergreen models list {pipeline}."
    )
    if not _VERSION.fullmatch(version):
        raise absent
    try:
        stored = Registry(_storage(pipeline).child(pipeline), pipeline).read(version, CARD)
    except NotFoundError:
        raise absent from None
    return sites.page(stored, back=came.back_to(TRAIN))


def reports(pipeline: VisiblePipeline, came: Came) -> Response:
    """The nights of a pipeline that have a report, newest first."""
    from evergreen.reports.page import render_list
    from evergreen.reports.store import reports_in

    listed = render_list(pipeline, reports_in(_storage(pipeline), pipeline))
    return sites.page(listed, back=came.back_to(MONITOR))


def report(pipeline: VisiblePipeline, came: Came, partition: str) -> Response:
    """The report of one night."""
    from evergreen.reports.store import report_key

    absent = HTTPException(
        status.HTTP_404_NOT_FOUND,
        f"This night has no report: evergreen report {pipeline} --partition KEY makes it.",
    )
    if not _PARTITION.fullmatch(partition):
        raise absent
    try:
        stored = _storage(pipeline).read(report_key(pipeline, partition)).body
    except NotFoundError:
        raise absent from None
    return sites.page(stored, back=came.back_to(MONITOR))


def nothing(user: GetUserDep) -> Response:
    """Every other address."""
    raise HTTPException(status.HTTP_404_NOT_FOUND, "Data Docs have an index and a page for each run.")


def _newest(body: bytes, partition: str) -> Run | None:
    """The partition's last run in an index; None also if the index cannot be parsed."""
    from evergreen.data_docs.index import newest, read_index

    try:
        return newest(read_index(body)).get(partition)
    except ValueError:
        return None


@cache
def _storage(pipeline: str) -> Storage:
    """The storage on Airflow's connections; cached, because making a client is slower than reading a page."""
    from evergreen_airflow.connections import open_pipeline

    return open_pipeline(pipeline).storage


def _description(pipeline: str) -> str:
    from evergreen.spec import load_spec

    try:
        return load_spec(pipeline).description
    except SpecError:
        return "Its description is broken: see the import errors."


def _notice(title: str, text: str) -> str:
    from evergreen.data_docs.index import render_notice

    return render_notice(title, text, f"{site_path()}/")
