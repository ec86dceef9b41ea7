"""A small pipeline for benchmarks of many nights, as often as asked, and the files that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

START = date(2021, 1, 1)
ROWS = 48
DESCRIPTION = """\
name: {name}
description: What shops sell
owner: bench
schedule: "0 2 * * *"
start: {start}
partition: daily
sources: {{sales: {{file: {{path: "{days}/{{partition}}.parquet", time_column: at}}}}}}
validation: {{suite: expectations.yaml}}
task: regression
target: sold
training:
  window: 40 days
  minimum: 15 partitions
  holdout: 7 days
  metric: mae
  candidates:
    - estimator: sklearn.linear_model.Ridge
      preprocess: [sklearn.impute.SimpleImputer]
gate: {{champion: {{margin: 50%}}}}
"""
EXPECTATIONS = """\
- expect_column_values_to_not_be_null: {column: price}
- expect_table_row_count_to_be_between: {min_value: {last: 28 partitions, of: row_count, times: 0.5}}
"""


@dataclass(frozen=True)
class Shops:
    """A folder with the descriptions of pipelines that read the same files, and these files."""

    folder: Path

    @property
    def pipelines(self) -> Path:
        """The folder of the descriptions."""
        return self.folder / "pipelines"

    def describe(self, name: str) -> None:
        """Write a pipeline's description and suite."""
        own = self.pipelines / name
        own.mkdir(parents=True)
        text = DESCRIPTION.format(name=name, start=START, days=self.folder / "days")
        (own / "pipeline.yaml").write_text(text)
        (own / "expectations.yaml").write_text(EXPECTATIONS)

    def write(self, night: int) -> str:
        """Write the file of a night, counted from 0, and return its partition."""
        key = str(START + timedelta(days=night))
        days = self.folder / "days"
        days.mkdir(parents=True, exist_ok=True)
        draw = np.random.default_rng(night)
        at = pd.date_range(key, periods=ROWS, freq="30min", tz="UTC").as_unit("us")
        price = draw.uniform(1, 5, ROWS)
        rows = pd.DataFrame({"at": at, "price": price, "stock": draw.integers(0, 9, ROWS)})
        rows["sold"] = 60 - 9 * price + draw.normal(0, 2, ROWS)
        rows.to_parquet(days / f"{key}.parquet")
        return key
