"""What the sites on Airflow's API server share: who may see a pipeline, from where, and how they refuse.

A user who may read the logs of a pipeline's ingest may read its pages, because both show values of the data.
Every page is sent as `served_page` says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dag import DagModel
from fastapi import Depends, FastAPI, HTTPException, Request, status
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException

from evergreen.errors import EvergreenError
from evergreen.stages import INGEST, STAGES, Stage
from evergreen_airflow.links import dag_path, login_path, run_path
from evergreen_airflow.served_page import Link, headers, with_script, with_way_back

Method = Literal["GET", "POST", "PUT"]

Notice = Callable[[str, str], str]
"""Makes a page of a title and a text that say why there is nothing else."""

Refusal = Callable[[Request, str, str, int], Response]
"""Answers a request that is not answered: of a title, a text that says why, and a status."""

Codes = Sequence[tuple[type[EvergreenError], int]]
"""The status that an error has; the first one that fits counts."""

_UNAVAILABLE = status.HTTP_503_SERVICE_UNAVAILABLE
_TITLES = {401: "Log in first", 403: "No access", 404: "There is no such page", 405: "Read-only"}

log = logging.getLogger(__name__)


def page(
    body: str | bytes, code: int = status.HTTP_200_OK, forms: str = "'none'", back: Sequence[Link] = ()
) -> HTMLResponse:
    """An answer with a page, which may send its forms to `forms`, a source of the policy.

    `back` are the links above it that lead back to Airflow.
    """
    return HTMLResponse(with_script(with_way_back(body, back)), code, headers(forms))


def may(user: GetUserDep, method: Method, dag_id: str, entity: DagAccessEntity | None = None) -> bool:
    """Whether Airflow's auth manager lets the user do this to a DAG, or to what belongs to it."""
    return get_auth_manager().is_authorized_dag(
        method=method,
        access_entity=entity,
        details=DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id)),
        user=user,
    )


def may_see(pipeline: str, user: GetUserDep) -> bool:
    """Whether the user may read the logs of the pipeline's ingest."""
    return may(user, "GET", INGEST.dag_id(pipeline), DagAccessEntity.TASK_LOGS)


def visible_pipeline(pipeline: str, user: GetUserDep) -> str:
    """The pipeline, if it exists and the user may see it; otherwise 403, or 404 for one who may."""
    from evergreen.spec import pipeline_names

    if not may_see(pipeline, user):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Ask for the right to read the logs of its ingest.")
    if pipeline not in pipeline_names():
        raise HTTPException(status.HTTP_404_NOT_FOUND, "No pipeline has this name.")
    return pipeline


VisiblePipeline = Annotated[str, Depends(visible_pipeline)]


@dataclass(frozen=True)
class CameFrom:
    """From where a reader of a pipeline's page came: a run of a DAG, if the button of a task led here."""

    pipeline: str
    dag: str | None
    run: str | None

    def back_to(self, stage: Stage) -> list[Link]:
        """The ways back: to the DAG and its run, or without a run to the DAG of the stage."""
        ours = [stage.dag_id(self.pipeline) for stage in STAGES]
        if not self.run or self.dag not in ours:
            return [(stage.dag_id(self.pipeline), dag_path(stage.dag_id(self.pipeline)))]
        return [(self.dag, dag_path(self.dag)), (self.run, run_path(self.dag, self.run))]


def came_from(pipeline: VisiblePipeline, dag: str | None = None, dag_run: str | None = None) -> CameFrom:
    """What the address says of it, as `links.from_run` writes it."""
    return CameFrom(pipeline, dag, dag_run)


Came = Annotated[CameFrom, Depends(came_from)]


def by_page(notice: Notice) -> Refusal:
    """Refuse by a page."""
    return lambda _, title, text, code: page(notice(title, text), code)


def refuse_by(app: FastAPI, refusal: Refusal, codes: Codes = (), otherwise: str = "Failed") -> None:
    """Let the site say why it does not answer; errors of ours have the status in `codes`, or 503.

    Those of 503 are logged. A browser that is not logged in is redirected to the login, and back. `otherwise`
    is the title of what has none of its own.
    """

    def refused(request: Request, error: AnyHTTPException) -> Response:
        is_browser = request.method == "GET" and "text/html" in request.headers.get("accept", "")
        if error.status_code == status.HTTP_401_UNAUTHORIZED and is_browser:
            back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(login_path(back), headers={"Cache-Control": "no-store"})
        title = _TITLES.get(error.status_code, otherwise)
        return refusal(request, title, str(error.detail), error.status_code)

    def failed(request: Request, error: EvergreenError) -> Response:
        code = next((code for kind, code in codes if isinstance(error, kind)), _UNAVAILABLE)
        if code == _UNAVAILABLE:
            log.error("%s: %s", request.url.path, error)
        return refusal(request, "This cannot be answered just now", str(error), code)

    app.exception_handler(AnyHTTPException)(refused)
    app.exception_handler(EvergreenError)(failed)
