"""The site of Data Docs on Airflow's API server: serves the stored pages and model cards, read-only.

A user who may read the logs of a pipeline's ingest may read its pages, because both show values of the data.
A page is served as it was stored, with a Content-Security-Policy that forbids scripts and external
resources.
"""

from __future__ import annotations

import logging
import re
from functools import cache
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dag import DagModel
from fastapi import Depends, FastAPI, HTTPException, Request, status
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException

from evergreen.errors import EvergreenError, NotFoundError, SpecError
from evergreen.stages import INGEST
from evergreen_airflow.links import MOUNT, index_path, page_path, site_path

if TYPE_CHECKING:
    from evergreen.data_docs.index import Run
    from evergreen.storage import Storage

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}

# Keys and tokens have only characters without a meaning in a path, and do not begin with a dot.
_PARTITION = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
_RUN = re.compile(r"[0-9a-z_-]{1,64}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
_TITLES = {401: "Log in first", 403: "No access", 404: "There is no such page", 405: "Read-only"}

log = logging.getLogger(__name__)


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
    app.exception_handler(AnyHTTPException)(_refusal)
    app.exception_handler(EvergreenError)(_failure)
    return app


def home(user: GetUserDep) -> Response:
    """The pipelines whose pages the user may see."""
    from evergreen.data_docs.index import render_home
    from evergreen.spec import pipeline_names

    return _html(render_home({name: _description(name) for name in pipeline_names() if _may_see(name, user)}))


def visible_pipeline(pipeline: str, user: GetUserDep) -> str:
    """The pipeline, if it exists and the user may see it; otherwise 403, or 404 for one who may."""
    from evergreen.spec import pipeline_names

    if not _may_see(pipeline, user):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Ask for the right to read the logs of its ingest.")
    if pipeline not in pipeline_names():
        raise HTTPException(status.HTTP_404_NOT_FOUND, "No pipeline has this name.")
    return pipeline


VisiblePipeline = Annotated[str, Depends(visible_pipeline)]


def to_index(pipeline: VisiblePipeline) -> Response:
    """Redirect to the index of the pipeline."""
    return RedirectResponse(index_path(pipeline))


def index(pipeline: VisiblePipeline, partition: str | None = None) -> Response:
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
    return RedirectResponse(page_path(pipeline, run.partition, run.run)) if run else _html(body)


def page(pipeline: VisiblePipeline, partition: str, run: str) -> Response:
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
        return _html(_storage(pipeline).read(page_key(pipeline, partition, run)).body)
    except NotFoundError:
        raise absent from None


def card(pipeline: VisiblePipeline, version: str) -> Response:
    """The model card of a version, if it matches its digest."""
    from evergreen.registry.registry import Registry
    from evergreen.registry.versions import CARD

    absent = HTTPException(
        status.HTTP_404_NOT_FOUND, f"There is no such version: see evergreen models list {pipeline}."
    )
    if not _VERSION.fullmatch(version):
        raise absent
    try:
        return _html(Registry(_storage(pipeline).child(pipeline), pipeline).read(version, CARD))
    except NotFoundError:
        raise absent from None


def reports(pipeline: VisiblePipeline) -> Response:
    """The nights of a pipeline that have a report, newest first."""
    from evergreen.reports.page import render_list
    from evergreen.reports.store import reports_in

    return _html(render_list(pipeline, reports_in(_storage(pipeline), pipeline)))


def report(pipeline: VisiblePipeline, partition: str) -> Response:
    """The report of one night."""
    from evergreen.reports.store import report_key

    absent = HTTPException(
        status.HTTP_404_NOT_FOUND,
        f"This night has no report: evergreen report {pipeline} --partition KEY makes it.",
    )
    if not _PARTITION.fullmatch(partition):
        raise absent
    try:
        return _html(_storage(pipeline).read(report_key(pipeline, partition)).body)
    except NotFoundError:
        raise absent from None


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


def _may_see(pipeline: str, user: GetUserDep) -> bool:
    dag_id = INGEST.dag_id(pipeline)
    return get_auth_manager().is_authorized_dag(
        method="GET",
        access_entity=DagAccessEntity.TASK_LOGS,
        details=DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id)),
        user=user,
    )


def _description(pipeline: str) -> str:
    from evergreen.spec import load_spec

    try:
        return load_spec(pipeline).description
    except SpecError:
        return "Its description is broken: see the import errors."


def _html(body: str | bytes, code: int = status.HTTP_200_OK) -> HTMLResponse:
    return HTMLResponse(body, code, HEADERS)


def _notice(title: str, text: str, code: int) -> HTMLResponse:
    from evergreen.data_docs.index import render_notice

    return _html(render_notice(title, text, f"{site_path()}/"), code)


def _refusal(request: Request, error: AnyHTTPException) -> Response:
    """A page that says why; a browser that is not logged in is redirected to the login, and back."""
    if error.status_code == status.HTTP_401_UNAUTHORIZED and "text/html" in request.headers.get("accept", ""):
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(
            f"{site_path().removesuffix(MOUNT)}/api/v2/auth/login?next={quote(back, safe='')}",
            headers={"Cache-Control": "no-store"},
        )
    return _notice(_TITLES.get(error.status_code, "Failed"), str(error.detail), error.status_code)


def _failure(request: Request, error: EvergreenError) -> Response:
    log.error("%s: %s", request.url.path, error)
    return _notice("The page cannot be read just now", str(error), status.HTTP_503_SERVICE_UNAVAILABLE)
