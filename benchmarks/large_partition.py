"""One partition of many rows and ten columns, scored in parts: peak memory.

`ROWS=100000000 make bench ONLY=large_partition` for the size that is promised.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.alone import run_alone, tell, write_pipeline
from benchmarks.figure import Figure
from benchmarks.stores import stores
from evergreen.asked.finding import ASKED, Asked, Together
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.rows.partition_file import PartitionWriter

ROWS = int(os.environ.get("ROWS", "20000000"))
DAY, AS_OF = "2024-01-02", "2024-01-01"
COLUMNS = [f"x{number}" for number in range(8)]  # beside the key and the target
PIPELINE = """\
name: wide
description: As many rows as there are
owner: bench
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
sources:
  rows: {file: {path: "{partition}.parquet", time_column: at}}
task: regression
target: y
training: {metric: mae, candidates: [{estimator: sklearn.linear_model.Ridge}]}
"""
FEATURES = f"def build(rows):\n    return rows[{COLUMNS}]\n"


def measure() -> list[Figure]:
    """Peak memory of the scoring of `ROWS` rows x 10 columns in one partition."""
    with stores() as stack:
        folder = stack.home.root / "pipelines"
        write_pipeline(folder, "wide", PIPELINE)
        (folder / "wide" / "features.py").write_text(FEATURES)
        os.environ["EVERGREEN_PIPELINES"] = str(folder)
        pipeline = Pipeline.open("wide")
        _publish(pipeline)
        _promote(pipeline)
        seconds, megabytes = run_alone(__name__, str(folder))
    millions = ROWS / 1e6
    print(f"  {millions:g} M rows: {seconds:.1f} s, {megabytes:.0f} MB", flush=True)
    return [Figure(f"peak memory of scoring {millions:g} M rows x 10 columns", megabytes, "MB", 2_000)]


def _publish(pipeline: Pipeline) -> None:
    """The partition, written in parts as ingestion writes it."""
    draw, part = np.random.default_rng(0), 1_000_000
    start = np.datetime64(DAY, "us").astype("int64")
    times = pa.timestamp("us", "UTC")
    schema = pa.schema([("at", times), *((name, pa.float64()) for name in COLUMNS), ("y", pa.float64())])
    writer = PartitionWriter(schema)
    for first in range(0, ROWS, part):
        rows = min(part, ROWS - first)
        at = start + np.arange(first, first + rows) * 800
        # Two decimals, as measured values have: a store that holds an object in memory has room for it.
        values = [draw.normal(size=rows).round(2) for _ in (*COLUMNS, "y")]
        table = pa.table([pa.array(at).cast(times), *map(pa.array, values)], schema=schema)
        for batch in table.to_batches(max_chunksize=131_072):
            writer.write(batch)
    with closing(writer.finish()) as file:
        pipeline.lake.commit(Table.PARTITIONS, {DAY: file}, schema)
        print(f"  published {ROWS} rows in {file.size / 2**20:.0f} MiB", flush=True)


def _promote(pipeline: Pipeline) -> None:
    """A champion that was fit on a few of such rows."""
    import pandas as pd
    from sklearn.linear_model import Ridge

    from evergreen.registry.model_file import dump_model
    from evergreen.scoring.golden import golden_sample

    draw, rows = np.random.default_rng(1), 1_000
    frame = pd.DataFrame(draw.normal(size=(rows, 9)), columns=[*COLUMNS, "y"])
    frame["at"] = pd.date_range(DAY, periods=rows, freq="s", tz="UTC").as_unit("us")
    frame["partition"] = DAY
    model = Ridge().fit(frame[COLUMNS], frame["y"])
    files = {
        "model.skops": dump_model(model),
        "golden.parquet": golden_sample(pipeline.spec, model, frame),
        ASKED: Asked(Together.ROW).to_json(),
    }
    version = f"{AS_OF}-0123456789ab"
    pipeline.registry.commit(version, files)
    pipeline.registry.promote(version, AS_OF, {})


def _alone(folder: str) -> None:
    from evergreen.scoring.score import score

    os.environ["EVERGREEN_PIPELINES"] = folder
    pipeline = Pipeline.open("wide")
    tell(lambda: score(pipeline, DAY))
    assert len(pipeline.lake.files(Table.PREDICTIONS)) == 1


if __name__ == "__main__":
    _alone(str(Path(sys.argv[1])))
