from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo_data.simulator import simulate
from evergreen.errors import NotFoundError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.spec import load_spec
from evergreen.validation.history import NotEnough
from evergreen.validation.profile import Profiler
from evergreen.validation.suggest import draft, suggest, wide
from evergreen.validation.suite import build, great_expectations, load_suite

PIPELINES = Path(__file__).resolve().parents[3] / "include" / "pipelines"


@cache
def batches():
    context = great_expectations().get_context(mode="ephemeral")
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("tests").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("all")


def verdict(entry, rows):
    batch = batches().get_batch(batch_parameters={"dataframe": rows.to_pandas()})
    return batch.validate(build(entry), result_format="COMPLETE")


def profile(rows):
    profiler = Profiler(rows.schema)
    for batch in rows.to_batches():
        profiler.add(batch)
    return profiler.profile()


def loaded(spec, text, tmp_path):
    """The draft as the pipeline's own suite."""
    (tmp_path / "draft.yaml").write_text(text, encoding="utf-8")
    validation = spec.validation.model_copy(update={"suite": str(tmp_path / "draft.yaml")})
    return load_suite(spec.model_copy(update={"validation": validation}))


def broken(suite, partitions, last, severities=("critical", "warning")):
    """What is not held by the last partitions, each judged with those before it as its history."""
    profiles = [profile(rows) for rows in partitions]
    first = max(0, len(partitions) - last)
    found = []
    for entry in (entry for entry in suite.entries if entry.severity in severities):
        if entry.row_level and entry.mostly == 1:
            if not verdict(entry, pa.concat_tables(partitions[first:])).success:
                found.append(entry.label)
            continue
        for number in range(first, len(partitions)):
            resolved = entry.resolved(profiles[:number])
            if isinstance(resolved, NotEnough):
                continue
            result = verdict(resolved, partitions[number])
            if not result.success or (entry.severity == "warning" and result.result.get("unexpected_count")):
                found.append(entry.label)
    return found


def arrow(frame):
    """The frame with the types that the lake keeps: pandas has others for text and times."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    kept = [
        pa.string() if pa.types.is_large_string(kind)
        else pa.timestamp("us", "UTC") if pa.types.is_timestamp(kind)
        else kind
        for kind in table.schema.types
    ]  # fmt: skip
    return table.cast(pa.schema(zip(table.column_names, kept, strict=True)))


@cache
def bike_days(first=date(2011, 2, 20), days=45):
    """Days without the sensor's faults, which no draft is to take for good."""
    data = simulate(first, first + timedelta(days=days - 1))
    frame = data.rentals.merge(data.weather, left_on="rented_at", right_on="hour").drop(columns="hour")
    frame.loc[frame.wind_speed > 500, "wind_speed"] = np.nan
    table = arrow(frame)
    return {str(first + timedelta(days=n)): table.slice(24 * n, 24).combine_chunks() for n in range(days)}


@pytest.fixture
def opened(storage):
    return lambda name: Pipeline(load_spec(name), storage)


class TestThePipelines:
    def test_bike_demands_draft_is_a_suite_that_its_history_passes(self, opened, tmp_path):
        pipeline = opened("bike_demand")
        days = bike_days()
        pipeline.lake.replace(Table.PARTITIONS, days)
        found = suggest(pipeline, 14)
        assert (found.first, found.last) == (list(days)[-14], list(days)[-1])
        assert (found.partitions, found.rows) == (14, 14 * 24)
        suite = loaded(pipeline.spec, found.text, tmp_path)
        assert suite.history_needed == 14
        said = {(entry.name, entry.columns, entry.severity) for entry in suite.entries}
        assert {
            ("expect_table_row_count_to_be_between", (), "critical"),
            ("expect_column_values_to_not_be_null", ("cnt",), "critical"),
            ("expect_column_values_to_be_between", ("temperature",), "warning"),
            ("expect_column_values_to_be_in_set", ("condition",), "warning"),
            ("expect_column_mean_to_be_between", ("cnt",), "info"),
            ("expect_column_values_to_be_in_type_list", ("cnt",), "info"),
        } <= said
        rows = pipeline.lake.read(Table.PARTITIONS).drop_columns(["partition"])
        partitions = [rows.slice(24 * n, 24) for n in range(len(days))]
        assert broken(suite, partitions, 14) == []
        assert broken(suite, partitions, 3, ("info",)) == []

    @pytest.mark.parametrize(("name", "file"), [("iris", "flowers.csv"), ("wine_segments", "wines.csv")])
    def test_a_snapshots_draft_is_a_suite_that_it_passes(self, opened, tmp_path, name, file):
        pipeline = opened(name)
        rows = arrow(pd.read_csv(PIPELINES / name / file))
        pipeline.lake.replace(Table.PARTITIONS, {"snapshot": rows})
        found = suggest(pipeline, 28)
        suite = loaded(pipeline.spec, found.text, tmp_path)
        assert suite.history_needed == 0
        assert len(suite.entries) > 10
        published = pipeline.lake.read(Table.PARTITIONS).drop_columns(["partition"])
        assert broken(suite, [published], 1, ("critical", "warning", "info")) == []

    def test_a_row_that_is_far_off_breaks_it(self, tmp_path):
        spec = load_spec("bike_demand")
        days = bike_days()
        suite = loaded(spec, draft(spec, table_of(days), 14).text, tmp_path)
        last = list(days.values())[-1]
        bad = last.to_pandas()
        bad.loc[3, "temperature"], bad.loc[4, "condition"] = 400.0, "hail"
        broke = broken(suite, [*days.values(), arrow(bad)], 1)
        assert broke == [
            "expect_column_values_to_be_between(temperature)",
            "expect_column_values_to_be_in_set(condition)",
        ]
        few = broken(suite, [*days.values(), last.slice(0, 11)], 1)
        assert few == ["expect_table_row_count_to_be_between()"]


def table_of(partitions):
    return pa.concat_tables(
        rows.append_column("partition", pa.array([key] * rows.num_rows)) for key, rows in partitions.items()
    )


def days_of(*columns):
    """One partition a day, of columns `x` and `s`, each with its hours."""
    keys = [str(date(2011, 1, 1) + timedelta(days=n)) for n in range(len(columns))]
    partitions = {}
    for key, (x, s) in zip(keys, columns, strict=True):
        start = datetime.fromisoformat(key).replace(tzinfo=UTC)
        at = pa.array([start + timedelta(minutes=n) for n in range(len(x))], pa.timestamp("us", "UTC"))
        partitions[key] = pa.table({"at": at, "x": x, "s": pa.array(s, pa.string())})
    return partitions


def test_days_of_uneven_length_make_the_row_count_a_matter_of_report(spec, tmp_path):
    days = days_of(*[([1.0] * n, ["a"] * n) for n in [9] * 10 + [2]])
    described = spec("[]")
    text = draft(described, table_of(days), 5).text
    assert "# Some had less than half or more than twice the usual rows" in text
    suite = loaded(described, text, tmp_path)
    assert broken(suite, list(days.values()), 5) == []
    (count,) = [entry for entry in suite.entries if entry.columns == ()]
    assert count.severity == "info"


def test_nulls_are_allowed_up_to_twice_their_share(spec, tmp_path):
    days = days_of(([1.0, None, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0], ["a", None, "b", None, None] * 2))
    suite = loaded(spec("[]"), draft(spec("[]"), table_of(days), 28).text, tmp_path)
    (nulls,) = [e for e in suite.entries if e.name.endswith("not_be_null") and e.columns == ("x",)]
    assert (nulls.mostly, nulls.severity) == (0.8, "critical")
    assert not [e for e in suite.entries if e.name.endswith("not_be_null") and e.columns == ("s",)]


def test_names_and_values_of_any_kind_stay_within_their_line(spec, tmp_path):
    odd = ["yes", "null", "a: b", "{", "- x", "#", "'\"", "5", "é\u2028x", "", "2011-01-01", "*a"]
    rows = pa.table(
        {
            "at": pa.array(range(60)),
            "a: [#\nb": odd * 5,
            "long": [f"{n}" * 30 for n in range(60)],
            "wild": [math.inf, *[1.0] * 59],
            "huge": pa.array([2**62] * 60),
            "lists": pa.array([[1]] * 60),
            "none": pa.nulls(60),
            "flag": [True] * 60,
            "partition": ["2011-01-01"] * 60,
        }
    )
    described = spec("[]")
    suite = loaded(described, draft(described, rows, 28).text, tmp_path)
    (known,) = [entry for entry in suite.entries if entry.name.endswith("in_set")]
    assert known.arguments == {"column": "a: [#\nb", "value_set": sorted(odd)}
    assert broken(suite, [rows.drop_columns(["partition"])], 1) == []


def test_nothing_published_is_told(opened):
    with pytest.raises(
        NotFoundError, match=r"^iris: no partition is published yet: run evergreen ingest iris"
    ):
        suggest(opened("iris"), 28)


numbers = st.integers(-(2**40), 2**40) | st.floats(-1e12, 1e12)


@given(numbers, numbers)
def test_a_wide_range_holds_the_one_that_was_seen(one, other):
    low, high = sorted((one, other))
    least, most = wide(low, high)
    assert least <= low
    assert high <= most
    assert low < 0 or least >= 0
    if high - low > 1e-9 * max(abs(low), abs(high), 1e-200):  # else floats are too coarse for a margin
        assert least <= low - (high - low) * 0.49 or least == 0
        assert most >= high + (high - low) * 0.49


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ((1, 977), (0, 1470)),
        ((-7.06, 39.0), (-31, 63)),
        ((0.1, 2.5), (0, 3.7)),
        ((5, 5), (2, 8)),
        ((0, 0), (0, 1)),
    ],
)
def test_it_is_in_round_numbers(seen, expected):
    assert wide(*seen) == expected


def test_the_same_history_gives_the_same_draft(spec):
    days = table_of(days_of(*[([1.0, 2.0], ["a", "b"])] * 9))
    described = spec("[]")
    assert draft(described, days, 5) == draft(described, days, 5)
    assert replace(draft(described, days, 5), last="") != draft(described, days, 5)
