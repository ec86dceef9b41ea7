"""A pipeline with three small versions and a history, described to be shown in MLflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evergreen.connections import Connection
from evergreen.pipeline import Pipeline
from evergreen.registry.ids import as_of_version
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from tests.unit.sales import DAILY, FEATURES

FIRST, SECOND, THIRD = "2024-02-01-aaaa", "2024-03-01-bbbb", "2024-04-01-cccc"
VERSIONS = (FIRST, SECOND, THIRD)
TOKEN = "planted-token"


def files(version: str, mae: float) -> dict[str, bytes]:
    """What a training stores of a version, as far as it is shown."""
    documents: Mapping[str, Any] = {
        "metrics.json": {
            "mae": mae,
            "r2": None,
            "recall@50%": 0.5,
            "evaluation": {
                "baseline": {"mae": 9.0},
                "champion": {"version": "2024-01-01-9999", "metrics": {"mae": 5.0}},
            },
        },
        "gate.json": {"outcome": "promoted", "sentence": "promoted: all 2 checks passed"},
        "lineage.json": {
            "candidate": {
                "estimator": "sklearn.linear_model.Ridge",
                "params": {"alpha": 1.0, "solver": None},
            },
            "window": {"rows": 720, "from": "2023-12-03"},
            "reason": {"sentence": "the error rose"},
            "git_commit": None,
        },
    }
    stored = {name: json.dumps(content).encode() for name, content in documents.items()}
    return stored | {"card.html": f"<h1>{version}</h1>".encode(), "model.skops": b"never shown"}


def sales(folder: Path, storage: Storage, address: str, experiment: str = "shops") -> Pipeline:
    """The pipeline `sales`, whose MLflow is at this address."""
    (folder / "sales").mkdir()
    (folder / "sales" / "features.py").write_text(FEATURES)
    shown = f"mlflow: {{conn_id: mlflow_server, experiment: {experiment}}}\n"
    (folder / "sales" / "pipeline.yaml").write_text(DAILY + shown)
    spec = parse_spec(folder / "sales" / "pipeline.yaml")
    return Pipeline(spec, storage, lambda name: Connection(name, "http", host=address, password=TOKEN))


def make_history(pipeline: Pipeline) -> None:
    """The first version is promoted, the second refused, and the third only committed."""
    for number, version in enumerate(VERSIONS):
        pipeline.registry.commit(version, files(version, 3.0 - number))
    pipeline.registry.promote(FIRST, as_of_version(FIRST), {})
    pipeline.registry.refuse(SECOND, as_of_version(SECOND), {})
