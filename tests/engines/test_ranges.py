"""A range that is ingested, tuned on and scored by every engine, with one of two workers killed each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evergreen.errors import NothingToDoError
from evergreen.lake import Table
from evergreen.scoring.ranges import score_range
from evergreen.storage import Storage
from evergreen.training.stage import train
from tests.engines.clusters import Cluster
from tests.unit.ingestion.test_by_workers import DAYS, folder, ingested

__all__ = ["folder"]

REASON = {"sentence": "a test asked for it"}
SCORED = "scoring: {conn_id: kiosk_db, table: kiosk_predictions}\n"
SEARCHED = {
    "sklearn.linear_model.Ridge\n": "sklearn.linear_model.Ridge\n      search: {alpha: [0.01, 100, log]}\n",
    "  metric: mae\n": "  metric: mae\n  tuning: {trials: 4, folds: 2}\n",
    SCORED: "",
}


@pytest.mark.timeout(900)
def test_a_range(
    folder: Path,
    on_cluster: Cluster,
    killed: list[str],
    configured: Storage,
    new_storage: Callable[[], Storage],
    monkeypatch: pytest.MonkeyPatch,
    tell: Callable[[str], None],
) -> None:
    file = folder / "pipeline.yaml"
    text = file.read_text()
    for old, new in SEARCHED.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    engines = {on_cluster.address: configured, "local": new_storage()}
    tables, versions = [], []
    for engine, storage in engines.items():
        pipeline = ingested(folder, storage, monkeypatch, engine)
        assert was_killed(killed, engine)
        trained = train(pipeline, DAYS[14], REASON)
        assert was_killed(killed, engine)
        versions.append(trained.version)
        if not trained.promoted:  # its rows say nothing of the target
            pipeline.registry.promote(trained.version, DAYS[14], REASON)
        found = dict(score_range(pipeline, pipeline.lake.partitions(), (NothingToDoError,)))
        assert was_killed(killed, engine)
        assert sum(not isinstance(one, NothingToDoError) for one in found.values()) >= 4
        tables.append({table: pipeline.lake.files(table) for table in Table})
    assert tables[0] == tables[1]
    assert versions[0] == versions[1]
    counts = ", ".join(f"{len(files)} {table}" for table, files in tables[0].items() if files)
    tell(f"{on_cluster.address[:5]}: {counts}, version {versions[0]}; a worker killed in each of 3 stages")


def was_killed(killed: list[str], engine: str) -> bool:
    """Whether a worker of the cluster was killed since this was last asked; of another engine, none is."""
    found = bool(killed)
    killed.clear()
    return found or not engine.startswith(("dask", "spark"))
