"""DAG tests: the repository's DAG files parsed by Airflow itself, in a home of their own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

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
