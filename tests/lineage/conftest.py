"""Where the provider is, these tests execute the DAG files' tasks, as those of `tests/dags` do."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("openlineage"):
    import tests.dags.conftest  # noqa: F401 - Airflow reads its variables when it is first imported
