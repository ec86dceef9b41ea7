"""Rows that are given come to the features as the published ones do, whatever their types, grain and zone."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.features.build import in_order
from evergreen.front_door.given import given_with_look_back
from evergreen.front_door.opened import Pipeline as Opened
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.rows.frame import to_frame
from evergreen.scoring.score import rows_with_look_back
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from tests.unit.features.conftest import open_shops, stored_shops  # noqa: F401 - fixtures
from tests.unit.labels.conftest import lender, loans  # noqa: F401 - a fixture

THINGS = """
name: things
description: A column of each type
owner: team
schedule: "@daily"
partition: {grain}
timezone: Europe/Berlin
start: 2024-03-01
sources: {{things: {{file: {{path: things.csv, time_column: at}}}}}}
features: {{look_back: 3 days}}
task: regression
target: sold
training: {{metric: mae, candidates: [{{estimator: sklearn.linear_model.Ridge}}]}}
"""


def things(pipeline: Pipeline, first: str, last: str, every: str) -> dict[str, pa.Table]:
    """A row now and then, by partition."""
    at = pd.date_range(first, last, freq=every, tz="UTC", inclusive="left")
    number = np.arange(len(at))
    odd = number % 2 == 1
    columns = {
        "at": pa.array(at.as_unit("us")),
        "whole": pa.array(number + 2**53),
        "holey": pa.array(number, mask=odd),
        "share": pa.array(np.where(odd, np.nan, number / 7)),
        "price": pa.array(
            [None if o else Decimal(n) / 100 for n, o in zip(number.tolist(), odd, strict=True)]
        ),
        "open": pa.array(odd),
        "asked": pa.array(odd, mask=number % 3 == 0),
        "day": pa.array([date(2024, 3, 1 + n % 28) for n in number.tolist()]),
        "name": pa.array([None if n % 5 == 0 else f"n{n}" for n in number.tolist()], pa.string()),
        "tags": pa.array([["a"] * (n % 3) for n in number.tolist()], pa.list_(pa.string())),
        "sold": pa.array(number),
    }
    whole = pa.table(columns)
    keys = pd.Series([pipeline.spec.calendar.key_of(moment.to_pydatetime()) for moment in at])
    return {str(key): whole.take(pa.array(part.index)) for key, part in keys.groupby(keys)}


def check(pipeline: Pipeline, key: str) -> None:
    """What is given of a partition, with and without its key, is what scoring reads of it."""
    spec = pipeline.spec
    expected = to_frame(rows_with_look_back(pipeline, key))
    rows = Opened(pipeline).rows(key)
    shuffled = rows.sample(frac=1, random_state=0)
    for given in (rows, shuffled, rows.drop(columns="partition"), rows.assign(unheard_of=1)):
        (found,) = given_with_look_back(pipeline, given).items()
        assert found[0] == key
        pd.testing.assert_frame_equal(
            in_order(spec, to_frame(found[1])).reset_index(drop=True),
            in_order(spec, expected).reset_index(drop=True),
            check_exact=True,
        )


@pytest.mark.parametrize(
    ("grain", "first", "last", "every"),
    [
        ("hourly", "2024-10-26T23:00", "2024-10-27T03:00", "20min"),
        ("daily", "2024-03-28", "2024-04-03", "1h"),
        ("weekly", "2024-03-01", "2024-04-15", "6h"),
        ("monthly", "2024-03-01", "2024-07-01", "1d"),
    ],
)
def test_every_type_in_every_grain(
    tmp_path: Path, storage: Storage, grain: str, first: str, last: str, every: str
) -> None:
    (tmp_path / "things").mkdir()
    file = tmp_path / "things" / "pipeline.yaml"
    file.write_text(THINGS.format(grain=grain))
    pipeline = Pipeline(parse_spec(file), storage)
    partitions = things(pipeline, first, last, every)
    pipeline.lake.replace(Table.PARTITIONS, partitions)
    keys = sorted(partitions)
    for key in (keys[0], keys[len(keys) // 2], keys[-1]):
        check(pipeline, key)


def test_columns_that_are_looked_up(open_shops) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    pipeline = open_shops.open()
    check(pipeline, "2024-04-08")
    assert "offer_price" in Opened(pipeline).rows("2024-04-08").columns


def test_labels_that_come_later(lender) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    lender.publish(0, 12)
    opened = Opened(lender.pipeline)
    assert "late" not in opened.rows("2024-01-03").columns
    labels = {
        str(key): pa.Table.from_pandas(day[["loan", "late"]], preserve_index=False)
        for key, day in loans(0, 7).groupby("partition")
    }
    lender.pipeline.lake.replace(Table.LABELS, labels)
    check(lender.pipeline, "2024-01-03")
    rows = opened.rows("2024-01-01", "2024-01-12")
    known = rows.groupby("partition")["late"].count()
    assert known[known > 0].index.tolist() == [f"2024-01-0{day}" for day in range(1, 8)]
    earlier = opened.rows("2024-01-01", "2024-01-12", as_of="2024-01-10").groupby("partition")["late"].count()
    assert len(earlier) == 9  # what is published before
    assert earlier[earlier > 0].index.tolist() == [f"2024-01-0{day}" for day in range(1, 5)]
