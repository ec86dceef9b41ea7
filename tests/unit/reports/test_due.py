"""Which weeks a night tells of: its own once that is over, and the one before where nothing else would."""

from __future__ import annotations

import pyarrow as pa
import pytest

from evergreen.calendar import Grain
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.reports.due import weeks_due
from evergreen.storage import Storage
from tests.unit.monitoring.kiosk_records import KIOSK


@pytest.mark.parametrize(
    ("grain", "published", "night", "due"),
    [
        ("daily", ["2024-01-27"], "2024-01-27", []),
        ("daily", ["2024-01-27", "2024-01-28"], "2024-01-28", ["2024-01-28"]),
        ("daily", ["2024-01-27", "2024-01-29"], "2024-01-29", ["2024-01-27"]),  # the Sunday never came
        ("daily", ["2024-01-27", "2024-01-29", "2024-01-30"], "2024-01-30", []),
        ("daily", ["2024-01-27", "2024-01-28", "2024-01-29"], "2024-01-27", ["2024-01-27"]),  # a backfill
        ("hourly", ["2024-01-28T22", "2024-01-28T23"], "2024-01-28T23", ["2024-01-28T23"]),
        ("hourly", ["2024-01-28T22"], "2024-01-28T22", []),
        ("weekly", ["2024-01-22", "2024-01-29"], "2024-01-29", ["2024-01-29"]),
        ("monthly", ["2024-01", "2024-02"], "2024-02", ["2024-02"]),
        ("snapshot", ["snapshot"], "snapshot", []),
    ],
)
def test_each_week_is_told_by_the_nights_that_change_it(
    storage: Storage, grain: str, published: list[str], night: str, due: list[str]
):
    pipeline = Pipeline(KIOSK.model_copy(update={"partition": Grain(grain)}), storage)
    pipeline.lake.replace(Table.PARTITIONS, dict.fromkeys(published, pa.table({"sold": [1.0]})))
    assert weeks_due(pipeline, night) == due
