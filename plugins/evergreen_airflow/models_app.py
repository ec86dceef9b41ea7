"""The site of models on Airflow's API server: all pipelines, one, its versions, two of them. Read-only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Literal

from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from fastapi import FastAPI, HTTPException, Request, status
from fastapi.responses import RedirectResponse, Response

from evergreen.errors import EvergreenError, NotFoundError
from evergreen.stages import INGEST
from evergreen_airflow import sites
from evergreen_airflow.links import base_path, index_path, models_path, page_path, pipeline_path, reports_path
from evergreen_airflow.sites import VisiblePipeline, may_see

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.side_by_side.predicted import SameRows
    from evergreen.status.summary import Status

OWN_FORMS = "'self'"


def make_app() -> FastAPI:
    """The application that the plugin mounts."""
    app = FastAPI(title="Evergreen models", docs_url=None, redoc_url=None, openapi_url=None)
    app.get("/")(home)
    app.get("/of-dag/{dag_id}")(of_dag)
    app.get("/{pipeline}")(to_pipeline)
    app.get("/{pipeline}/")(pipeline_page)
    app.get("/{pipeline}/compare")(pair_page)
    app.get("/{pipeline}/models/{version}.html")(version_page)
    # A card links to Data Docs from where it is stored.
    app.get("/{pipeline}/index.html")(to_data_docs)
    app.get("/{pipeline}/reports/")(to_reports)
    app.get("/{pipeline}/{partition}/{run}.html")(to_data_docs_page)
    app.get("/{path:path}")(nothing)
    sites.refuse_by(app, sites.by_page(_notice))
    return app


def home(request: Request, user: GetUserDep) -> Response:
    """All pipelines that the user may see."""
    from evergreen.models_site.listing import Listing
    from evergreen.models_site.overview import render_overview
    from evergreen.spec import pipeline_names
    from evergreen.status.read import statuses

    names = [name for name in pipeline_names() if may_see(name, user)]
    found = _as_airflow_has_them(statuses(names, opened, datetime.now(UTC)))
    return _page(render_overview(found, Listing.of(request.query_params)))


def of_dag(dag_id: str, user: GetUserDep) -> Response:
    """The tab of a DAG: leads to the pipeline whose stage it is."""
    from evergreen.stages import stage_of

    try:
        pipeline, _ = stage_of(dag_id)
    except KeyError:
        said = f"{dag_id} is no stage of a pipeline, so it has no models."
        raise HTTPException(status.HTTP_404_NOT_FOUND, said) from None
    return RedirectResponse(pipeline_path(pipeline))


def to_pipeline(pipeline: VisiblePipeline) -> Response:
    """Redirect to the page of the pipeline, to whose address its links are relative."""
    return RedirectResponse(pipeline_path(pipeline))


def pipeline_page(pipeline: VisiblePipeline, until: str | None = None, before: int | None = None) -> Response:
    """A pipeline: its nights up to the partition `until`, and its versions before event number `before`."""
    from evergreen.models_site.pipeline_page import render_pipeline
    from evergreen.models_site.read import pipeline_facts

    found = opened(pipeline)
    facts = pipeline_facts(found, datetime.now(UTC), until=until, before=before)
    facts = replace(facts, status=_as_airflow_has_them([facts.status])[0])
    return _page(render_pipeline(found.spec, facts, dag=f"{base_path()}/dags/"))


def version_page(pipeline: VisiblePipeline, version: str) -> Response:
    """A version: its card, and above it what is known of it now."""
    from evergreen.models_site.read import version_facts
    from evergreen.models_site.version_page import render_version

    found = opened(pipeline)
    try:
        return _page(render_version(found.spec, version_facts(found, version)))
    except NotFoundError as error:
        raise HTTPException(status.HTTP_404_NOT_FOUND, str(error)) from None


def pair_page(
    pipeline: VisiblePipeline, first: str = "", second: str = "", predict: Literal["yes", ""] = ""
) -> Response:
    """Two versions side by side, each named by its id or the beginning of it.

    With `predict` also what both say of the same rows: one of them is asked in a process of its own.
    """
    from evergreen.models_site.pair_page import render_pair
    from evergreen.side_by_side.compare import compare
    from evergreen.side_by_side.predicted import predicted
    from evergreen.side_by_side.read import read_sides

    if not (first and second):
        raise HTTPException(status.HTTP_404_NOT_FOUND, "Pick two versions in the table of a pipeline.")
    found = opened(pipeline)
    rows: SameRows | str | None = None
    try:
        versions = [found.registry.version_by(name) for name in (first, second)]
        both = compare(*read_sides(found, *versions))
        if predict:
            try:
                rows = predicted(found, *versions)
            except EvergreenError as error:
                rows = str(error)
    except NotFoundError as error:
        raise HTTPException(status.HTTP_404_NOT_FOUND, str(error)) from None
    return _page(render_pair(found.spec, both, rows))


def to_data_docs(pipeline: VisiblePipeline, request: Request) -> Response:
    """Redirect to the index of Data Docs, for the same partition."""
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(index_path(pipeline) + query)


def to_reports(pipeline: VisiblePipeline) -> Response:
    """Redirect to the reports of the pipeline's nights and weeks."""
    return RedirectResponse(reports_path(pipeline))


def to_data_docs_page(pipeline: VisiblePipeline, partition: str, run: str) -> Response:
    """Redirect to a page of Data Docs."""
    return RedirectResponse(page_path(pipeline, partition, run))


def nothing(user: GetUserDep) -> Response:
    """Every other address."""
    raise HTTPException(
        status.HTTP_404_NOT_FOUND, "There is a page of all pipelines, of each, of each version, and of two."
    )


def _as_airflow_has_them(states: Sequence[Status]) -> list[Status]:
    """The states of pipelines, with how their ingest is held where Airflow starts none by the clock."""
    from sqlalchemy import select

    ids = [INGEST.dag_id(one.pipeline) for one in states]
    columns = DagModel.dag_id, DagModel.is_paused, DagModel.next_dagrun_create_after
    with create_session() as session:
        found = session.execute(select(*columns).where(DagModel.dag_id.in_(ids))).all()
    held = {dag_id: "paused" if paused else "held back" for dag_id, paused, due in found if paused or not due}
    how = (held.get(dag_id) for dag_id in ids)
    return [
        one.while_held(said) if said and one.next_at else one for one, said in zip(states, how, strict=True)
    ]


def opened(pipeline: str) -> Pipeline:
    """The pipeline as it is described now, with what was read of its lake and history before."""
    from evergreen.spec import load_spec

    return _kept(pipeline).described_by(load_spec(pipeline))


@cache
def _kept(pipeline: str) -> Pipeline:
    """The pipeline on Airflow's connections, with its lake and registry: these know what never changes."""
    from evergreen_airflow.connections import open_pipeline

    found = open_pipeline(pipeline)
    _ = found.lake, found.registry
    return found


def _page(body: str) -> Response:
    return sites.page(body, forms=OWN_FORMS)


def _notice(title: str, text: str) -> str:
    from evergreen.models_site.overview import render_notice

    return render_notice(title, text, f"{models_path()}/")
