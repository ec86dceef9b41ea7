"""Rows as feature functions see them, and what was predicted: ranges, columns, as-of, and what is missing."""

from __future__ import annotations

import pandas as pd
import pytest

import evergreen
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.rows.frame import to_frame
from tests.unit.front_door.conftest import SCORED
from tests.unit.scoring.conftest import sales

DAY = "2024-01-20"


def days(frame: pd.DataFrame) -> list[str]:
    return frame["partition"].unique().tolist()


def test_a_partition_is_as_it_was_published(pipeline: evergreen.Pipeline) -> None:
    own = sales().query("partition == @DAY").reset_index(drop=True)
    pd.testing.assert_frame_equal(pipeline.rows(DAY), own.astype({"partition": "str"}))
    assert str(pipeline.rows(DAY)["at"].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    ("asked", "first", "last", "count"),
    [
        ({"first": DAY, "last": "2024-01-22"}, DAY, "2024-01-22", 3),
        ({"first": "2024-01-29", "last": "2024-02-05"}, "2024-01-29", "2024-01-30", 2),
        ({"last": "2024-01-03"}, "2024-01-01", "2024-01-03", 3),
        ({}, "2024-01-30", "2024-01-30", 1),
        ({"as_of": "2024-01-10"}, "2024-01-09", "2024-01-09", 1),
        ({"first": "2024-01-05", "last": DAY, "as_of": "2024-01-10"}, "2024-01-05", "2024-01-09", 5),
    ],
)
def test_ranges(
    pipeline: evergreen.Pipeline, asked: dict[str, str], first: str, last: str, count: int
) -> None:
    found = days(pipeline.rows(**asked))  # type: ignore[arg-type]
    assert (found[0], found[-1], len(found)) == (first, last, count)


def test_columns_in_the_order_asked_for(pipeline: evergreen.Pipeline) -> None:
    assert list(pipeline.rows(DAY, columns=["sold", "at"]).columns) == ["sold", "at"]


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        (
            {"first": "2024-02-01"},
            evergreen.NotFoundError,
            "kiosk 2024-02-01: this partition is not published: run evergreen ingest kiosk --partition 2024-",
        ),
        (
            {"first": "2024-02-01", "last": "2024-02-03"},
            evergreen.NotFoundError,
            "kiosk: no partition from 2024-02-01 to 2024-02-03 is published: run evergreen ingest kiosk "
            "--partition 2024-02-01 --to 2024-02-03",
        ),
        (
            {"as_of": "2024-01-01"},
            evergreen.NotFoundError,
            "kiosk: no partition up to 2023-12-31 is published: run evergreen ingest kiosk",
        ),
        (
            {"first": DAY, "as_of": DAY},
            evergreen.NotFoundError,
            "kiosk 2024-01-20: a training as of 2024-01-20 does not know this partition: ask for an earlier",
        ),
        (
            {"first": DAY, "columns": ["price"]},
            evergreen.NotFoundError,
            "kiosk: the rows have no column 'price' (there: at, temperature, sold, partition)",
        ),
        ({"first": DAY, "last": "2024-01-19"}, evergreen.PartitionError, "is before"),
        ({"first": "yesterday"}, evergreen.PartitionError, "yesterday"),
        ({"as_of": "2024-13"}, evergreen.PartitionError, "2024-13"),
    ],
)
def test_what_is_not_there(
    pipeline: evergreen.Pipeline, asked: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        pipeline.rows(**asked)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_predictions_are_those_that_the_nights_wrote(pipeline: evergreen.Pipeline, kiosk: Pipeline) -> None:
    written = to_frame(kiosk.lake.read(Table.PREDICTIONS))
    pd.testing.assert_frame_equal(pipeline.predictions(SCORED[0], SCORED[-1]), written)
    assert days(pipeline.predictions()) == SCORED[-1:]
    with pytest.raises(evergreen.NotFoundError) as caught:
        pipeline.predictions("2024-01-19")
    assert str(caught.value) == (
        "kiosk 2024-01-19: this partition is not scored: run evergreen score kiosk --partition 2024-01-19"
    )
