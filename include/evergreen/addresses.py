"""Where a person opens what is stored: the pages in Airflow's UI, or else the place in the storage."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from evergreen.storage import Storage

UI = "EVERGREEN_UI"
"""The variable with the address of Airflow's UI; the embedded stack sets it in its `env`."""

MODELS = "/evergreen/models"
"""Where Airflow's API server serves the pages of models, below the address of the UI."""


def models_page(storage: Storage, pipeline: str) -> str:
    """The page of a pipeline's models; without a UI the place that has a folder for each version."""
    return _page(f"{quote(pipeline)}/") or storage.uri(f"{pipeline}/models/")


def version_page(storage: Storage, pipeline: str, version: str) -> str:
    """The page of a version with its model card; without a UI the place of the card."""
    page = _page(f"{quote(pipeline)}/models/{quote(version)}.html")
    return page or storage.uri(f"{pipeline}/models/{version}/card.html")


def _page(path: str) -> str | None:
    ui = os.environ.get(UI) or os.environ.get("AIRFLOW__API__BASE_URL")
    return f"{ui.rstrip('/')}{MODELS}/{path}" if ui else None
