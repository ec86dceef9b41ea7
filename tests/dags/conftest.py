"""DAG tests: the repository's DAG files parsed by Airflow itself, in a home of their own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# Airflow reads these when it is first imported, so they are set before any test module is.
os.environ.update(
    {
        "AIRFLOW_HOME": tempfile.mkdtemp(prefix="evergreen-dag-tests-"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "false",
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
    }
)


@pytest.fixture(scope="session")
def database() -> None:
    """The metadata database, in which Airflow looks up whose team a DAG is."""
    from airflow import settings
    from airflow.models import import_all_models
    from airflow.models.base import Base

    import_all_models()
    Base.metadata.create_all(settings.engine)


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the embedded stack says of itself, so that Airflow starts with the settings of a trial."""
    monkeypatch.setenv("EVERGREEN_EMBEDDED", "1")
    monkeypatch.setenv("AIRFLOW__API__HOST", "127.0.0.1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


@pytest.fixture
def in_charge(database: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """Puts an auth manager in charge, which notes in `asked` what it was asked."""
    from airflow.api_fastapi import app

    def put(manager: Any) -> Any:
        secret = "only for these tests, and longer than 64 bytes " * 2
        monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", secret)
        manager.asked = []
        monkeypatch.setattr(app._AuthManagerState, "instance", manager)
        return manager

    return put
