"""The environment of the server alone: the versions of production, without Airflow."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / name).read_text()))


def test_the_server_has_the_versions_of_production_and_no_airflow() -> None:
    serving, production = pins("requirements-serve.txt"), pins("requirements.txt")
    assert {"fastapi", "uvicorn", "skops", "great-expectations"} <= serving.keys()
    assert serving.items() <= production.items()
    assert [name for name in serving if "airflow" in name] == []
