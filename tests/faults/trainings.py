"""Trainings in processes that are killed: a small pipeline for each boosting library, and what must hold."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from evergreen.boosters.catalogue import BOOSTERS
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from evergreen.training import stage
from tests.faults.forks import Forks
from tests.faults.s3_proxy import Call

NAME = "shops"
AS_OF = "2024-01-25"
DESCRIPTION = """
name: {name}
description: What shops sell
owner: team
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  sales: {{file: {{path: sales.csv, time_column: at}}}}
task: regression
target: sold
explain: 2
training:
  minimum: 10 partitions
  holdout: 5 days
  metric: mae
  candidates:
    - {{estimator: {path}, params: {{n_estimators: 60, early_stopping_rounds: 5}}}}
"""
STEPS: dict[str, Callable[[Pipeline, str], Any]] = {
    "training set": lambda pipeline, run: stage.stage_training_set(pipeline, AS_OF, {}, run),
    "challenger": stage.stage_challenger,
    "evaluation": stage.stage_evaluation,
    "commit": stage.commit_version,
    "promotion": stage.promote_staged,
}
"""The tasks of a run, by what each of them makes."""
SHELL: dict[str, Callable[[Pipeline, str], Any]] = {
    "training": lambda pipeline, run: stage.train(pipeline, AS_OF, {})
}

Way = Literal["tasks", "shell"]
LIBRARIES = tuple(BOOSTERS)


def write_pipelines(folder: Path) -> None:
    """A folder for each library, whose pipeline trains a model of it alone."""
    for module, booster in BOOSTERS.items():
        own = folder / module / NAME
        own.mkdir(parents=True)
        (own / "pipeline.yaml").write_text(DESCRIPTION.format(name=NAME, path=booster.paths[0]))


def publish(pipeline: Pipeline) -> None:
    """Thirty days of twelve rows each."""
    draw = np.random.default_rng(4)
    at = pd.date_range("2024-01-01", periods=30 * 12, freq="2h", tz="UTC").as_unit("us")
    price = draw.uniform(1, 5, len(at))
    sold = 60 - 9 * price + draw.normal(0, 2, len(at))
    rows = pd.DataFrame({"at": at, "price": price, "stock": draw.integers(0, 9, len(at)), "sold": sold})
    days = {
        str(key): pa.Table.from_pandas(day, preserve_index=False)
        for key, day in rows.groupby(at.strftime("%Y-%m-%d"))
    }
    pipeline.lake.replace(Table.PARTITIONS, days)


def opened(folder: Path, library: str, storage: Storage) -> Pipeline:
    """The pipeline of a library on a storage."""
    return Pipeline(parse_spec(folder / library / NAME / "pipeline.yaml"), storage)


def phase_of(call: Call) -> str:
    """What a training is at, told by a call that it makes to the S3 server."""
    name = call.key.rpartition("/")[2]
    if call.method == "PUT" and f"/{NAME}/models/" in call.key:
        return "manifest" if name == "manifest.json" else "files"
    if call.method == "PUT" and f"/{NAME}/history/" in call.key:
        return "history"
    if call.method == "PUT" and name == "champion.json":
        return "pointer"
    if call.method == "PUT" and name.endswith((".skops", ".parquet", ".json")):
        return f"staged {name}"
    return "other"


@dataclass(frozen=True)
class TrainingJob:
    """What an attempt is to do: the steps of a run after the first `done`, or all in one as a shell does."""

    prefix: str
    folder: str
    library: str
    way: Way
    run: str
    done: int = 0

    def steps(self) -> list[tuple[str, Callable[[Pipeline], Any]]]:
        """The steps that are left, by name."""
        every = STEPS if self.way == "tasks" else SHELL
        return [(name, partial(_step, step, self.run)) for name, step in every.items()][self.done :]


def _step(step: Callable[[Pipeline, str], Any], run: str, pipeline: Pipeline) -> None:
    step(pipeline, run)


class TrainingForks(Forks):
    """Runs training jobs in processes of their own."""

    program = "tests.faults.warm_trainings"

    def __init__(self, endpoint: str, bucket: str, folder: Path) -> None:
        self._setup = {"endpoint": endpoint, "bucket": bucket}
        self.temporary = folder / "tmp"
        self._log = folder / "log"
        self._events = queue.SimpleQueue()
