"""DAG tests: the repository's DAG files parsed by Airflow itself, in a home of their own."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

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


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
