"""Paths of Data Docs in Airflow's UI, and the buttons on tasks that link to pages and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunLink
from airflow.sdk import BaseOperatorLink

from evergreen.addresses import MODELS

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

MOUNT = "/evergreen/data-docs"
"""Where the API server mounts Data Docs, below the path of its `[api] base_url`."""

MODELS_MOUNT = MODELS
"""Where it mounts the pages of models."""

ACTIONS_MOUNT = "/evergreen/actions"
"""Where it mounts the actions."""


def base_path() -> str:
    """The path of the UI; without a host, so that links work behind any proxy."""
    from airflow.sdk.configuration import conf

    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")


def site_path() -> str:
    """The path of Data Docs."""
    return base_path() + MOUNT


def models_path() -> str:
    """The path of the pages of models."""
    return base_path() + MODELS_MOUNT


def actions_path(pipeline: str, action: str = "") -> str:
    """The path of what can be done to a pipeline, or of one action."""
    return f"{base_path()}{ACTIONS_MOUNT}/{quote(pipeline)}/{quote(action)}"


def login_path(back: str) -> str:
    """The path of the login, which leads back to a path."""
    return f"{base_path()}/api/v2/auth/login?next={quote(back, safe='')}"


def dag_path(dag_id: str) -> str:
    """The path of a DAG."""
    return f"{base_path()}/dags/{quote(dag_id, safe='')}"


def run_path(dag_id: str, run_id: str) -> str:
    """The path of a run of a DAG."""
    return f"{dag_path(dag_id)}/runs/{quote(run_id, safe='')}"


def from_run(address: str | None, ti_key: Any) -> str:
    """The address of a page with the run that led to it, to which the page leads back; empty without one."""
    if not address or ti_key is None:
        return address or ""
    return f"{address}?{urlencode({'dag': ti_key.dag_id, 'dag_run': ti_key.run_id})}"


def page_path(pipeline: str, partition: str, run: str) -> str:
    """The path of the page of a run's partition."""
    return f"{site_path()}/{quote(pipeline)}/{quote(partition)}/{quote(run)}.html"


def index_path(pipeline: str) -> str:
    """The path of a pipeline's index."""
    return f"{site_path()}/{quote(pipeline)}/index.html"


def reports_path(pipeline: str) -> str:
    """The path of the list of a pipeline's reports."""
    return f"{site_path()}/{quote(pipeline)}/reports/"


def report_path(pipeline: str, name: str) -> str:
    """The path of the report of a night or a week, by its name."""
    return f"{reports_path(pipeline)}{quote(name)}.html"


def card_path(pipeline: str, version: str) -> str:
    """The path of the model card of a version."""
    return f"{site_path()}/{quote(pipeline)}/models/{quote(version)}.html"


def pipeline_path(pipeline: str) -> str:
    """The path of the page of a pipeline's models."""
    return f"{models_path()}/{quote(pipeline)}/"


def version_path(pipeline: str, version: str) -> str:
    """The path of the page of a version."""
    return f"{pipeline_path(pipeline)}models/{quote(version)}.html"


class PageLink(BaseOperatorLink):
    """A button of a task that leads to a page which the task has made or found.

    Airflow asks for the address in the task's process after each try, successful or not, and stores it as an
    XCom. The operator has set its attribute `noted` by then; without it there is no button.
    """

    noted: ClassVar[str]

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """The address that the operator has noted; empty if the task ended before it knew one."""
        return from_run(getattr(operator, self.noted, None), ti_key)


class DataDocsLink(PageLink):
    """The button "Data Docs" of a task that validates."""

    name, noted = "Data Docs", "data_docs"


class CardLink(PageLink):
    """The button "Model card" of a task that has committed a version, or has put one in force."""

    name, noted = "Model card", "card"


class ReportLink(PageLink):
    """The button "Report" of a task that has written the report of a night."""

    name, noted = "Report", "report"


class WeekReportLink(PageLink):
    """The button "Weekly report" of a task that has written that of a week which ends with its night."""

    name, noted = "Weekly report", "week_report"


class TriggeredRunLink(TriggerDagRunLink):
    """The button "Triggered DAG", which is there only if a run was triggered."""

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """The run's address; empty if the task was skipped or failed before it asked for a run."""
        return super().get_link(operator, ti_key=ti_key) if getattr(operator, "trigger_run_id", None) else ""
