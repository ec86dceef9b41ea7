"""A training set drawn from a history, and from one four times as long: the peak memory of its making."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from benchmarks.alone import run_alone, tell, write_pipeline
from benchmarks.figure import Figure
from benchmarks.published import publish_day
from benchmarks.stores import stores
from evergreen.pipeline import Pipeline

DAYS = int(os.environ.get("DAYS", "40"))
"""Days of the longer history; `DAYS=200 make bench ONLY=sampled_training` for 20 M rows."""

ROWS_A_DAY = 100_000
COLUMNS = [f"x{number}" for number in range(8)]  # beside the key and the target
START = np.datetime64("2024-01-01")
LIMIT = 1.2
PIPELINE = """\
name: {name}
description: As many rows as there are
owner: bench
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
sources:
  rows: {{file: {{path: "{{partition}}.parquet", time_column: at}}}}
{features}task: regression
target: y
training:
  window: 1000 days
  holdout: 2 days
  metric: mae
  sample: 100000 rows
  candidates: [{{estimator: sklearn.linear_model.Ridge}}]
"""
LOOKING = 'features: {function: "features.py:build", look_back: 1 day}\n'
FEATURES = """\
def build(rows):
    day = rows["at"].dt.floor("D")
    before = rows.groupby(day)["x0"].mean().shift(1)
    return rows[["x0", "x1", "x2"]].assign(before=day.map(before))
"""


def measure() -> list[Figure]:
    """Peak memory of the longer history's training set over the shorter one's: of columns, of a function."""
    figures = []
    with stores() as stack:
        folder = stack.home.root / "pipelines"
        os.environ["EVERGREEN_PIPELINES"] = str(folder)
        for name, features in (("plain", ""), ("looking", LOOKING)):
            write_pipeline(folder, name, PIPELINE.format(name=name, features=features))
            (folder / name / "features.py").write_text(FEATURES)
            _publish(Pipeline.open(name))
            peaks = []
            for days in (DAYS // 4, DAYS):
                seconds, megabytes = run_alone(__name__, str(folder), name, str(START + days))
                peaks.append(megabytes)
                millions = days * ROWS_A_DAY / 1e6
                print(f"  {name}: of {millions:g} M rows {seconds:.1f} s, {megabytes:.0f} MB", flush=True)
            what = f"peak memory of a sample of {DAYS * ROWS_A_DAY / 1e6:g} M rows / of a quarter, {name}"
            figures.append(Figure(what, peaks[1] / peaks[0], "x", LIMIT))
    return figures


def _publish(pipeline: Pipeline) -> None:
    draw = np.random.default_rng(0)
    for number in range(DAYS):
        values = {name: draw.normal(size=ROWS_A_DAY) for name in (*COLUMNS, "y")}
        publish_day(pipeline, START + number, 800_000, values)


def _alone(folder: str, name: str, as_of: str) -> None:
    from evergreen.training_set.read import read_training_set

    os.environ["EVERGREEN_PIPELINES"] = folder
    pipeline = Pipeline.open(name)
    tell(lambda: read_training_set(pipeline, as_of, {}))


if __name__ == "__main__":
    _alone(str(Path(sys.argv[1])), *sys.argv[2:])
