"""Evergreen's plugin: its timetable, the site of Data Docs, and the site's place in the UI's navigation.

Airflow executes this file in all of its processes, but only the API server asks for the site. So the site
is made when it is asked for.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from evergreen_airflow.links import MOUNT, site_path
from evergreen_airflow.timetable import PartitionTimetable


class EvergreenPlugin(AirflowPlugin):
    """What Evergreen adds to Airflow."""

    name = "evergreen"
    timetables: ClassVar = [PartitionTimetable]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The site, mounted at `/evergreen/data-docs`."""
        from evergreen_airflow.data_docs_app import make_app

        return [{"name": "Evergreen Data Docs", "app": make_app(), "url_prefix": MOUNT}]

    @property
    def external_views(self) -> list[dict[str, Any]]:
        """The site's place in the navigation."""
        return [
            {
                "name": "Data Docs",
                "href": f"{site_path()}/",
                "url_route": "data-docs",
                "destination": "nav",
                "category": "browse",
            }
        ]
