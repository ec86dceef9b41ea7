"""Actions on Airflow's API server: shows what will happen and asks once; then does it, and tells it.

Each action needs a right to a DAG, as Airflow's auth manager gives it: to edit the DAG whose results the
action changes, or to start its runs. A form is sent with a token that is bound to user, pipeline and action
and holds what was shown: sent again, or after something else has happened, it does nothing twice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import anyio.from_thread
import httpx
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, FastAPI, Form, HTTPException, Request, status
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel

from evergreen.actions.action import Action, Person, Preview, Right, Training
from evergreen.calendar import PartitionError
from evergreen.errors import ConflictError, EvergreenError, NotFoundError, NothingToDoError, RefusedError
from evergreen.stages import TRAIN
from evergreen_airflow import sites
from evergreen_airflow.action_tokens import Seal, check_same_site
from evergreen_airflow.connections import open_pipeline
from evergreen_airflow.links import ACTIONS_MOUNT, actions_path
from evergreen_airflow.served_page import headers, with_script

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

# Under `no-referrer` a browser sends a form with the origin `null`, as it does a forged one.
HEADERS = headers(forms="'self'") | {"Referrer-Policy": "same-origin"}
_CODES: tuple[tuple[type[EvergreenError], int], ...] = (
    (NotFoundError, status.HTTP_404_NOT_FOUND),
    (PartitionError, status.HTTP_400_BAD_REQUEST),
    (ConflictError, status.HTTP_409_CONFLICT),
    (NothingToDoError, status.HTTP_409_CONFLICT),
    (RefusedError, status.HTTP_409_CONFLICT),
)
_API = "/api/"

log = logging.getLogger(__name__)


class Within(FastAPI):
    """An application that is mounted in Airflow's, and asks that one for what Airflow does itself."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Remember which application it is mounted in."""
        scope["airflow"] = scope.get("app")
        await super().__call__(scope, receive, send)


def make_app() -> FastAPI:
    """The application that the plugin mounts."""
    app = Within(title="Evergreen actions", docs_url=None, redoc_url=None, openapi_url=None)
    app.get("/api/{pipeline}/{action}")(preview_as_json)
    app.post("/api/{pipeline}/{action}")(act_by_json)
    app.get("/{pipeline}/")(offered)
    app.get("/{pipeline}/{action}")(page)
    app.post("/{pipeline}/{action}")(act)
    sites.refuse_by(app, _refusal, _CODES, "Nothing was done")
    return app


@dataclass(frozen=True)
class Asked:
    """A user who may do this to a pipeline, and what is asked for."""

    request: Request
    user: Any
    pipeline: Pipeline
    action: Action

    @property
    def seal(self) -> Seal:
        """What signs the tokens of this user and action."""
        return _seal(self.request, self.user, self.pipeline.name, self.action.name)

    def preview(self, wanted: Mapping[str, str]) -> Preview:
        """What will happen; raises 400 where the action is told too little or too much."""
        given = {name: value.strip() for name, value in wanted.items() if value.strip()}
        takes, known = set(self.action.takes), {*self.action.takes, *self.action.may_take}
        if takes - set(given) or set(given) - known:
            told = ", ".join((*self.action.takes, *(f"{name} (optional)" for name in self.action.may_take)))
            raise HTTPException(
                status.HTTP_400_BAD_REQUEST, f"{self.action.label}: say {told or 'nothing more'}."
            )
        return self.action.preview(self.pipeline, given)

    def token(self, preview: Preview) -> str:
        """What lets this user do what was shown."""
        return self.seal.sign([preview.state, dict(preview.wanted)])

    def do(self, token: str, why: str) -> str:
        """Do what the token's page has shown; returns what was done. Raises 403 for any other token."""
        check_same_site(self.request)
        state, wanted = self.seal.opened(token)
        seen = Preview("", (), state, wanted)
        name = self.user.get_name()
        done = self.action.run(self.pipeline, seen, Person(name, why.strip()), self._start)
        log.info("%s: %s by %s: %s", self.pipeline.name, self.action.name, name, done)
        return done

    def _start(self, training: Training) -> None:
        """Start the run by Airflow's own API, with what the user has shown of who they are."""
        anyio.from_thread.run(_start_run, self.request, TRAIN.dag_id(self.pipeline.name), training)


def asked(request: Request, pipeline: str, action: str, user: GetUserDep) -> Asked:
    """What is asked for, if the user may; otherwise 403, or 404 for one who may."""
    from evergreen.actions.registry import ACTIONS
    from evergreen.spec import pipeline_names

    if action not in ACTIONS:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"The actions are {', '.join(ACTIONS)}.")
    if not _may(pipeline, ACTIONS[action], user):
        raise HTTPException(status.HTTP_403_FORBIDDEN, _right_in_words(pipeline, ACTIONS[action]))
    if pipeline not in pipeline_names():
        raise HTTPException(status.HTTP_404_NOT_FOUND, "No pipeline has this name.")
    return Asked(request, user, open_pipeline(pipeline), ACTIONS[action])


AskedDep = Annotated[Asked, Depends(asked)]


class Wish(BaseModel):
    """The body of a request to the API: the preview's `token`, and why."""

    token: str = ""
    why: str = ""


def offered(request: Request, pipeline: str, user: GetUserDep, done: str = "") -> Response:
    """What the user may do to a pipeline, with what was done last."""
    from evergreen.actions.page import known_values, render_actions
    from evergreen.actions.registry import ACTIONS
    from evergreen.spec import pipeline_names

    allowed = [action for action in ACTIONS.values() if _may(pipeline, action, user)]
    if not allowed:
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, f"You may change nothing of {pipeline}: ask for the right to its DAGs."
        )
    if pipeline not in pipeline_names():
        raise HTTPException(status.HTTP_404_NOT_FOUND, "No pipeline has this name.")
    opened = open_pipeline(pipeline)
    said = ""
    with suppress(HTTPException):  # after an hour it is no news
        said = _seal(request, user, pipeline, "done").opened(done)
    return _html(
        render_actions(
            pipeline,
            allowed,
            lambda name: known_values(opened, name),
            lambda action: actions_path(pipeline, action.name),
            said,
        )
    )


def page(asked: AskedDep) -> Response:
    """What will happen, and a form that asks once."""
    preview = asked.preview(asked.request.query_params)
    return _shown(asked, preview, status.HTTP_200_OK)


def act(asked: AskedDep, token: Annotated[str, Form()] = "", why: Annotated[str, Form()] = "") -> Response:
    """Do it and lead to the page that says so; 409 with what would happen now, if something has changed."""
    try:
        done = asked.do(token, why)
    except (ConflictError, NothingToDoError) as changed:
        _, wanted = asked.seal.opened(token)
        return _shown(asked, asked.preview(wanted), status.HTTP_409_CONFLICT, str(changed))
    name = asked.pipeline.name
    sealed = _seal(asked.request, asked.user, name, "done").sign(done)
    return RedirectResponse(
        f"{actions_path(name)}?done={quote(sealed)}", status.HTTP_303_SEE_OTHER, {"Cache-Control": "no-store"}
    )


def preview_as_json(asked: AskedDep) -> Response:
    """What will happen, and the token that does it."""
    return JSONResponse(_document(asked, asked.preview(asked.request.query_params)), headers=HEADERS)


def act_by_json(asked: AskedDep, wish: Wish) -> Response:
    """Do it, and say what was done; 409 with what would happen now, if something has changed."""
    try:
        done = asked.do(wish.token, wish.why)
    except (ConflictError, NothingToDoError) as changed:
        _, wanted = asked.seal.opened(wish.token)
        document = {"error": str(changed), **_document(asked, asked.preview(wanted))}
        return JSONResponse(document, status.HTTP_409_CONFLICT, HEADERS)
    return JSONResponse({"done": done}, headers=HEADERS)


async def _start_run(request: Request, dag_id: str, training: Training) -> None:
    given = {name: request.headers[name] for name in ("authorization", "cookie") if name in request.headers}
    transport = httpx.ASGITransport(app=request.scope["airflow"])
    async with httpx.AsyncClient(transport=transport, base_url=str(request.base_url)) as airflow:
        answer = await airflow.post(
            f"/api/v2/dags/{quote(dag_id)}/dagRuns",
            json={"dag_run_id": training.run_id, "logical_date": None, "conf": training.conf},
            headers=given,
        )
    if answer.is_error and answer.status_code != status.HTTP_409_CONFLICT:
        raise HTTPException(answer.status_code, f"Airflow has not started {dag_id}: {answer.text[:300]}")


def _may(pipeline: str, action: Action, user: Any) -> bool:
    dag_id = action.stage.dag_id(pipeline)
    if action.right is Right.RUN:
        return sites.may(user, "POST", dag_id, DagAccessEntity.RUN)
    return sites.may(user, "PUT", dag_id)


def _right_in_words(pipeline: str, action: Action) -> str:
    what = "start runs of" if action.right is Right.RUN else "edit"
    return f"{action.label}: ask for the right to {what} the DAG {action.stage.dag_id(pipeline)}."


def _seal(request: Request, user: Any, pipeline: str, action: str) -> Seal:
    return Seal(request.scope["airflow"].state.secret_key, str(user.get_id()), pipeline, action)


def _document(asked: Asked, preview: Preview) -> dict[str, Any]:
    return {
        "title": preview.title,
        "sentences": list(preview.sentences),
        "possible": preview.possible,
        "token": asked.token(preview) if preview.possible else None,
    }


def _shown(asked: Asked, preview: Preview, code: int, changed: str = "") -> Response:
    from evergreen.actions.page import render_action

    name, token = asked.pipeline.name, asked.token(preview)
    address, up = actions_path(name, asked.action.name), actions_path(name)
    body = render_action(name, asked.action, preview, token=token, address=address, up=up, changed=changed)
    return _html(body, code)


def _html(body: str, code: int = status.HTTP_200_OK) -> HTMLResponse:
    return HTMLResponse(with_script(body), code, HEADERS)


def _refusal(request: Request, title: str, text: str, code: int) -> Response:
    """Why not, as a page or as JSON."""
    from evergreen.actions.page import render_refusal

    if request.url.path.partition(ACTIONS_MOUNT)[2].startswith(_API):
        return JSONResponse({"error": text}, code, HEADERS)
    return _html(render_refusal("", title, text, ""), code)
