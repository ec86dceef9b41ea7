"""A million rows against ten expectations, beside Great Expectations called by hand on the same frame."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.figure import ROUNDS, Figure, ratio_of_medians
from evergreen.rows.batches import Rows
from evergreen.rows.frame import to_frame
from evergreen.spec import Spec, parse_spec
from evergreen.validation.group import Group
from evergreen.validation.judge import Judges
from evergreen.validation.suite import build, great_expectations, load_suite
from evergreen.validation.validate import Validated

ROWS = 1_000_000
DAY = "2024-01-01"
LIMIT = 1.3
PIPELINE = """\
name: payments
description: Payments
owner: bench
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
sources: {payments: {file: {path: payments.parquet, time_column: paid_at}}}
task: regression
target: amount
training: {metric: mae, candidates: [{estimator: sklearn.linear_model.Ridge}]}
"""
# Three of the ten do not hold; a thousand rows go to quarantine.
EXPECTATIONS = """\
- expect_table_row_count_to_be_between: {min_value: 1, max_value: 2000000}
- expect_column_values_to_not_be_null: {column: id}
- expect_column_values_to_be_unique: {column: id}
- expect_column_values_to_be_between: {column: amount, min_value: 0, max_value: 2000}
  severity: warning
- expect_column_values_to_be_in_set: {column: method, value_set: [card, cash, voucher, transfer]}
  severity: warning
- expect_column_values_to_match_regex: {column: reference, regex: "^r[0-9]{9}$"}
- expect_column_mean_to_be_between: {column: amount, min_value: 400, max_value: 600}
- expect_column_quantile_values_to_be_between:
    {column: amount, quantile_ranges: {quantiles: [0.5], value_ranges: [[450, 550]]}}
- expect_column_pair_values_a_to_be_greater_than_b:
    {column_A: id, column_B: shop, or_equal: true, mostly: 0.9}
- expect_column_value_z_scores_to_be_less_than: {column: amount, threshold: 1, double_sided: true}
  severity: info
"""


def measure() -> list[Figure]:
    """Seconds of the whole validation, quarantine and the partition's file included, over the bare calls."""
    rows = _rows()
    with tempfile.TemporaryDirectory() as folder:
        spec = _spec(Path(folder))
        bare: list[float] = []
        ours: list[float] = []
        for number in range(ROUNDS + 1):
            seconds = _bare(spec, rows), _ours(spec, rows)
            if number:  # the first one imports
                bare.append(seconds[0])
                ours.append(seconds[1])
    name = f"validate {ROWS:,} rows, 10 expectations / Great Expectations by hand"
    return [Figure(name, ratio_of_medians(ours, bare), "x", LIMIT)]


def _ours(spec: Spec, rows: pa.Table) -> float:
    began = time.perf_counter()
    group = Group(spec, Judges(spec, load_suite(spec)))
    group.add(DAY, Rows.of(rows))
    ((_, outcome),) = group.finish(lambda partition: [])
    spent = time.perf_counter() - began
    assert isinstance(outcome, Validated), outcome
    assert (outcome.file.rows, outcome.quarantined.num_rows) == (ROWS - 1000, 1000)
    outcome.file.close()
    return spent


def _bare(spec: Spec, rows: pa.Table) -> float:
    gx = great_expectations()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    written = load_suite(spec).entries[len(spec.keys) + 1 :]
    expectations: list[Any] = [build(entry) for entry in written]
    frame = to_frame(rows)
    began = time.perf_counter()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("payments").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    result = batch.validate(gx.ExpectationSuite(name="payments", expectations=expectations))
    spent = time.perf_counter() - began
    assert len(result.results) == len(expectations)
    return spent


def _spec(folder: Path) -> Spec:
    pipeline = folder / "payments"
    pipeline.mkdir()
    (pipeline / "pipeline.yaml").write_text(PIPELINE)
    (pipeline / "expectations.yaml").write_text(EXPECTATIONS)
    return parse_spec(pipeline / "pipeline.yaml")


def _rows() -> pa.Table:
    random, number = np.random.default_rng(0), np.arange(ROWS)
    amount = random.uniform(0, 1000, ROWS)
    amount[:600] = -1
    methods = np.array(["card", "cash", "voucher", "transfer"])[number % 4].astype(object)
    methods[600:1000] = "gold"
    start = np.datetime64(DAY, "us")
    return pa.table(
        {
            "paid_at": pa.array(start + number * np.timedelta64(80_000, "us"), pa.timestamp("us", "UTC")),
            "id": number,
            "amount": amount,
            "shop": number % 97,
            "method": pa.array(methods, pa.string()),
            "member": number % 3 == 0,
            "reference": pa.array([f"r{n:09d}" for n in number]),
        }
    )
