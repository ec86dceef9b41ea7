"""What the sites on Airflow's API server share: who may see a pipeline, from where, and how they refuse.

A user who may read the logs of a pipeline's ingest may read its pages, because both show values of the data.
Every page is sent as `served_page` says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dag import DagModel
from fastapi import Depends, FastAPI, HTTPException, Request, status
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException

from evergreen.errors import EvergreenError
from evergreen.stages import INGEST
from evergreen_airflow.links import login_path
from evergreen_airflow.served_page import headers, with_script

Notice = Callable[[str, str], str]
"""Makes a page of a title and a text that say why there is nothing else."""

_TITLES = {401: "Log in first", 403: "No access", 404: "There is no such page", 405: "Read-only"}

log = logging.getLogger(__name__)


def page(body: str | bytes, code: int = status.HTTP_200_OK, forms: str = "'none'") -> HTMLResponse:
    """An answer with a page, which may send its forms to `forms`, a source of the policy."""
    return HTMLResponse(with_script(body), code, headers(forms))


def may_see(pipeline: str, user: GetUserDep) -> bool:
    """Whether the user may read the logs of the pipeline's ingest."""
    dag_id = INGEST.dag_id(pipeline)
    return get_auth_manager().is_authorized_dag(
        method="GET",
        access_entity=DagAccessEntity.TASK_LOGS,
        details=DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id)),
        user=user,
    )


def visible_pipeline(pipeline: str, user: GetUserDep) -> str:
    """The pipeline, if it exists and the user may see it; otherwise 403, or 404 for one who may."""
    from evergreen.spec import pipeline_names

    if not may_see(pipeline, user):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Ask for the right to read the logs of its ingest.")
    if pipeline not in pipeline_names():
        raise HTTPException(status.HTTP_404_NOT_FOUND, "No pipeline has this name.")
    return pipeline


VisiblePipeline = Annotated[str, Depends(visible_pipeline)]


def refuse_by(app: FastAPI, notice: Notice) -> None:
    """Let the site say by a page why it shows nothing; errors of ours are 503, and logged.

    A browser that is not logged in is redirected to the login, and back.
    """

    def refusal(request: Request, error: AnyHTTPException) -> Response:
        accepted = request.headers.get("accept", "")
        if error.status_code == status.HTTP_401_UNAUTHORIZED and "text/html" in accepted:
            back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(
                login_path(back),
                headers={"Cache-Control": "no-store"},
            )
        title = _TITLES.get(error.status_code, "Failed")
        return page(notice(title, str(error.detail)), error.status_code)

    def failure(request: Request, error: EvergreenError) -> Response:
        log.error("%s: %s", request.url.path, error)
        said = notice("The page cannot be read just now", str(error))
        return page(said, status.HTTP_503_SERVICE_UNAVAILABLE)

    app.exception_handler(AnyHTTPException)(refusal)
    app.exception_handler(EvergreenError)(failure)
