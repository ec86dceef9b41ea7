"""One page of the same week of all pipelines: a section each, and failures in a line."""

from __future__ import annotations

import re
from datetime import date

import pyarrow as pa
import pytest

from evergreen.calendar import Grain
from evergreen.errors import EvergreenError, NotFoundError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.reports.page import render_weeks
from evergreen.reports.weeks import weeks_of
from evergreen.storage import Storage
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK
from tests.unit.reports.kiosk_nights import WEEK
from tests.unit.reports.test_night import Inert

PUBLISHED = {
    "daily": [*WEEK, DAYS[28]],
    "weekly": [WEEK[0]],
    "monthly": ["2024-01"],
    "hourly": ["2024-01-05T00"],
    "snapshot": ["snapshot"],
}


def pipelines(storage: Storage, published: dict[str, list[str]]) -> dict[str, Pipeline]:
    found = {}
    for name, keys in published.items():
        found[name] = Pipeline(KIOSK.model_copy(update={"partition": Grain(name), "name": name}), storage)
        found[name].lake.replace(Table.PARTITIONS, dict.fromkeys(keys, pa.table({"sold": [1.0]})))
    return found


def test_all_are_told_of_the_newest_week_that_is_over(storage: Storage):
    there = pipelines(storage, PUBLISHED)

    def opened(name: str) -> Pipeline:
        if name == "broken":
            raise EvergreenError("broken: its description is <b>wrong")
        return there[name]

    found = weeks_of([*there, "broken"], opened)
    assert found.day == date(2024, 1, 28), "the day after is of a week that lasts"
    told = {one.pipeline: one for one in found.told}
    assert {name: one.report.title for name, one in told.items() if one.report} == {
        "daily": f"week of {WEEK[0]}",
        "weekly": f"week of {WEEK[0]}",
    }
    assert told["broken"].problem == "broken: its description is <b>wrong"
    assert told["monthly"].problem == "no partition of it ends in this week"
    assert "is published yet, the newest is 2024-01-05T00" in told["hourly"].problem
    assert told["snapshot"].problem.startswith("a snapshot has no weeks")
    page = render_weeks(found).decode()
    Inert().feed(page)
    assert "<b>wrong" not in page
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert page == render_weeks(weeks_of([*reversed(there), "broken"], opened)).decode()


def test_where_no_week_is_over_there_is_nothing_to_tell(storage: Storage):
    there = pipelines(storage, {"daily": WEEK[:3]})
    with pytest.raises(NotFoundError, match="no week of any pipeline is over yet"):
        weeks_of(there, there.__getitem__)
