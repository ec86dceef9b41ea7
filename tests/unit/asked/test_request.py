"""Which requests hold the rows that their features need together."""

from __future__ import annotations

import pandas as pd
import pytest

from evergreen.asked.finding import Asked, Difference, Together
from evergreen.asked.request import refusal

DAY = "2024-01-09"
WHY = Difference("a single row", "2024-01-03", 6, 2, "peak", 1.0, 4.2)
ROW = Asked(Together.ROW)
GROUP = Asked(Together.GROUP, ("store",), (DAY,), 9, WHY)
PARTITION = Asked(Together.PARTITION, (), (DAY,), 9, WHY)


@pytest.fixture
def spec(make_spec):
    return make_spec(changes={"target: sold": "target: sold\nkey: [store, at]"})


@pytest.fixture
def rows() -> pd.DataFrame:
    """Two stores at two hours."""
    at = pd.to_datetime(["2024-01-09 06:00", "2024-01-09 18:00"] * 2, utc=True)
    return pd.DataFrame({"store": ["a", "a", "b", None], "at": at, "price": 1.0})


def test_single_rows_may_be_asked_for_where_they_suffice(spec, rows):
    assert refusal(spec, ROW, DAY, rows[:1], whole=False) is None
    assert refusal(spec, ROW, DAY, rows[:1], whole=False, published=rows) is None


def test_what_must_be_sent_is_said_in_one_line(spec, rows):
    assert refusal(spec, PARTITION, DAY, rows, whole=False) == (
        "sales 2024-01-09: send all rows of 2024-01-09, and say \"whole\": true: 'peak' of row 2 of 6 "
        "differs by 3.2 when it is built from a single row of 2024-01-03"
    )
    said = refusal(spec, GROUP, DAY, rows, whole=False)
    assert said.startswith(
        'sales 2024-01-09: send all rows with the same store of 2024-01-09, and say "whole"'
    )


def test_that_a_partition_is_whole_is_believed_where_nobody_knows_better(spec, rows):
    assert refusal(spec, PARTITION, DAY, rows[:1], whole=True) is None
    assert refusal(spec, GROUP, DAY, rows[:1], whole=True) is None


def test_rows_that_are_published_must_be_there(spec, rows):
    said = refusal(spec, PARTITION, DAY, rows[:3], whole=True, published=rows)
    assert said.startswith(
        "sales 2024-01-09: send all rows of 2024-01-09: 1 of 4 rows that are published are missing: 'peak'"
    )
    assert refusal(spec, PARTITION, DAY, rows[::-1], whole=True, published=rows) is None
    # More than is published may be asked for: a correction, or the day's other rows.
    assert refusal(spec, PARTITION, DAY, rows, whole=True, published=rows[:2]) is None


def test_of_a_group_only_its_own_rows_must_be_there(spec, rows):
    assert refusal(spec, GROUP, DAY, rows[:2], whole=True, published=rows) is None
    assert refusal(spec, GROUP, DAY, rows[3:], whole=True, published=rows) is None
    said = refusal(spec, GROUP, DAY, rows[1:3], whole=True, published=rows)
    assert "1 of 3 rows that are published are missing" in said
