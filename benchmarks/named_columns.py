"""A table of 200 columns, of which features need 8: a training and a night, where these are named or not."""

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
from evergreen.stages import SCORE, TRAIN

DAYS, ROWS_A_DAY, START = 10, 30_000, np.datetime64("2024-01-01")
COLUMNS = [f"x{number}" for number in range(198)]  # beside the key and the target
NAMED = COLUMNS[:8]
AS_OF, DAY = str(START + DAYS - 1), str(START + DAYS - 1)
MEMORY, SECONDS = 0.6, 1.0
STAGES = {TRAIN.name: 1, SCORE.name: 4}
"""How often each is measured: a second training would find the version of the first."""
PIPELINE = """\
name: {name}
description: More columns than anybody needs
owner: bench
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
sources:
  rows: {{file: {{path: "{{partition}}.parquet", time_column: at}}}}
features: {{function: "features.py:build", look_back: 2 days{columns}}}
task: regression
target: y
training:
  window: 1000 days
  holdout: 2 days
  metric: mae
  candidates: [{{estimator: sklearn.linear_model.Ridge}}]
"""
FEATURES = f"""\
def build(rows):
    day = rows["at"].dt.floor("D")
    before = rows.groupby(day)["x0"].mean().shift(1)
    return rows[{NAMED}].assign(before=day.map(before).fillna(0))
"""


def measure() -> list[Figure]:
    """Peak memory and seconds of training and scoring with 8 columns named, over those with all."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    with stores() as stack:
        folder = stack.home.root / "pipelines"
        os.environ["EVERGREEN_PIPELINES"] = str(folder)
        for name, columns in (("all", ""), ("named", f", columns: [{', '.join(NAMED)}]")):
            write_pipeline(folder, name, PIPELINE.format(name=name, columns=columns))
            (folder / name / "features.py").write_text(FEATURES)
            _publish(Pipeline.open(name))
        for stage, times in STAGES.items():
            # In turn, and the fastest counts: others may use the machine.
            for name in ("all", "named") * times:
                ran = run_alone(__name__, str(folder), name, stage)
                found[stage, name] = min(ran, found.get((stage, name), ran))
                print(f"  {name}: {stage} {ran[0]:.1f} s, {ran[1]:.0f} MB", flush=True)
    figures = []
    for stage in STAGES:
        ratios = [few / whole for few, whole in zip(found[stage, "named"], found[stage, "all"], strict=True)]
        what = f"{stage}, 8 of 200 columns named / all"
        figures.append(Figure(f"seconds: {what}", ratios[0], "x", SECONDS))
        figures.append(Figure(f"peak memory: {what}", ratios[1], "x", MEMORY))
    return figures


def _publish(pipeline: Pipeline) -> None:
    draw = np.random.default_rng(0)
    for number in range(DAYS):
        values = draw.normal(size=(len(COLUMNS) + 1, ROWS_A_DAY)).round(2)
        values[-1] = values[0] + 0.1 * values[-1]
        publish_day(pipeline, START + number, 2_000_000, dict(zip([*COLUMNS, "y"], values, strict=True)))


def _alone(folder: str, name: str, stage: str) -> None:
    from evergreen.scoring.score import score
    from evergreen.training.stage import train

    os.environ["EVERGREEN_PIPELINES"] = folder
    pipeline = Pipeline.open(name)
    if stage == SCORE.name:
        tell(lambda: score(pipeline, DAY))
    else:
        tell(lambda: train(pipeline, AS_OF, {"kind": "shell", "sentence": "the benchmark asked for it"}))
    assert pipeline.registry.champion() is not None


if __name__ == "__main__":
    _alone(str(Path(sys.argv[1])), *sys.argv[2:])
