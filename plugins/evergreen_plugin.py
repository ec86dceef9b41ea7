"""Evergreen's plugin: its timetable, what it says of runs, and its sites with their places in the UI.

Airflow executes this file in all of its processes, but only the API server asks for the sites. So they are
made when they are asked for.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from evergreen_airflow import run_names, run_notes, start_up
from evergreen_airflow.links import ACTIONS_MOUNT, MODELS_MOUNT, MOUNT, models_path, site_path
from evergreen_airflow.timetable import PartitionTimetable


class EvergreenPlugin(AirflowPlugin):
    """What Evergreen adds to Airflow."""

    name = "evergreen"
    timetables: ClassVar = [PartitionTimetable]
    listeners: ClassVar = [start_up, run_names, run_notes]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The sites of Data Docs, models and actions, mounted below `/evergreen`."""
        from evergreen_airflow import actions_app, data_docs_app, models_app

        start_up.check_settings(storage=True)
        run_names.complete_names()  # runs that are started by hand are made here
        return [
            {"name": "Evergreen Data Docs", "app": data_docs_app.make_app(), "url_prefix": MOUNT},
            {"name": "Evergreen models", "app": models_app.make_app(), "url_prefix": MODELS_MOUNT},
            {"name": "Evergreen actions", "app": actions_app.make_app(), "url_prefix": ACTIONS_MOUNT},
        ]

    @property
    def external_views(self) -> list[dict[str, Any]]:
        """The sites' places in the navigation, and the tab of each DAG."""
        return [
            {
                "name": "Models",
                "href": f"{models_path()}/",
                "url_route": "models",
                "destination": "nav",
                "category": "browse",
            },
            {
                "name": "Models",
                "href": f"{models_path()}/of-dag/{{DAG_ID}}",
                "url_route": "dag-models",
                "destination": "dag",
            },
            {
                "name": "Data Docs",
                "href": f"{site_path()}/",
                "url_route": "data-docs",
                "destination": "nav",
                "category": "browse",
            },
        ]
