"""What is named for deletion: never what somebody reads, and nothing twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Calendar, Grain, Length
from evergreen.lake_upkeep import LOADING
from evergreen.maintenance.kept import SETTLED, Kept
from evergreen.maintenance.plan import CHECKPOINTS, Plan, plan
from evergreen.storage import Listed

DAILY, SNAPSHOT = Calendar(Grain.DAILY), Calendar(Grain.SNAPSHOT)
NOW = datetime(2024, 6, 1, tzinfo=UTC)
NEWEST, KEEP, LOGGED = "2024-05-31", Length(60, "day"), Length(30, "day")
OLD, KEPT = "2024-03-01", "2024-05-01"
ALERTED = "2024-02-02"
FOR_GOOD = [
    "alerts/open.json",
    "calendar.json",
    "champion.json",
    "chapters/00000001-00000020.json",
    "corrections/2024-01-02/a.json",
    "data_docs/index.html",
    "data_docs/.lines/a.json",
    "history/00000001.json",
    "lake/partitions/_delta_log/00000000000000000000.json",
    "lake/partitions/_delta_log/_last_checkpoint",
    "lake/partitions/partition=2024-01-02/aa.parquet",
    "models/2024-01-02-aa/manifest.json",
    "refused/2024-01-02.json",
    "somebody/elses.json",
]
ABOUT = [
    "data_docs/{}/aa.html",
    "data_docs/{}/bb.html",
    "receipts/{}.json",
    "receipts/changed/{}.json",
    "reports/{}.html",
    "reports/sent/{}/mail.json",
    "timings/score/{}.json",
    "timings/train/{}.json",
]
DAYS = st.dates(datetime(2024, 1, 1).date(), datetime(2024, 5, 31).date()).map(str)  # noqa: DTZ001 - days
OTHERS = st.sampled_from(
    [
        *FOR_GOOD,
        "reports/week-2024-01-01.html",
        "reports/week-2024-05-27.html",
        "reports/week-2024-13-99.html",
        "reports/notes.html",
        "runs/monitor/0123.json",
        "staging/aa/2024-01-02/valid",
        "staging/aa/2024-01-02/outcome.json",
        "staging/bb/note.json",
        "requests/predictions/2024-01-02/aa.parquet",
        "requests/shadow/2024-05-30/aa.parquet",
    ]
)
LOGS = st.integers(0, 400).map("lake/partitions/_delta_log/{:020d}.checkpoint.parquet".format)
KEYS = st.one_of(st.builds(str.format, st.sampled_from(ABOUT), DAYS), OTHERS, LOGS)


@st.composite
def listings(draw: st.DrawFn) -> list[Listed]:
    keys = draw(st.lists(KEYS, unique=True, max_size=40))
    ages = draw(st.lists(st.integers(0, 400), min_size=len(keys), max_size=len(keys)))
    return [Listed(key, 10, NOW - timedelta(days=age)) for key, age in zip(keys, ages, strict=True)]


def planned(listed: list[Listed], calendar: Calendar = DAILY, **changes) -> Plan:
    newest = NEWEST if calendar.has_time else "snapshot"
    values = {"newest": newest, "moment": NOW, "partitions": frozenset({ALERTED}), **changes}
    return plan(Kept(calendar, KEEP, **values), listed, LOGGED, timedelta())


def old(key: str, days: int = 90) -> Listed:
    return Listed(key, 10, NOW - timedelta(days=days))


@given(listings())
def test_nothing_is_named_that_somebody_may_need_and_nothing_twice(listed):
    found = planned(listed)
    keys = found.keys
    assert len(keys) == len(set(keys))
    stored = {entry.key: entry for entry in listed}
    assert not set(keys) & set(FOR_GOOD)
    for entry in (stored[key] for key in keys):
        own_age = entry.key.startswith("requests/") or entry in found.found[CHECKPOINTS]
        assert entry.modified < NOW - (LOADING if own_age else SETTLED) or entry.key.startswith("requests/")
        day = next((part for part in entry.key.replace(".", "/").split("/") if part[:4] == "2024"), None)
        if day is not None and not own_age and not entry.key.startswith("staging/"):
            assert day < "2024-04-01"
            assert day != ALERTED
    left = [entry for entry in listed if entry.key not in set(keys)]
    assert planned(left).keys == []
    # Who reads a report that stays finds the page it leads to.
    for entry in left:
        if entry.key.startswith("reports/2"):
            page = entry.key.replace("reports", "data_docs").removesuffix(".html")
            assert not [key for key in keys if key.startswith(page)]


@given(listings())
def test_a_snapshot_loses_pages_alone_and_never_the_newest(listed):
    keys = planned(listed, SNAPSHOT).keys
    assert {key.split("/")[0] for key in keys} <= {"data_docs", "staging", "runs", "requests", "lake"}
    pages = [entry for entry in listed if entry.key.startswith("data_docs/2")]
    if pages:
        assert max(pages, key=lambda entry: entry.modified).key not in keys


@given(listings())
def test_before_the_first_partition_nothing_is_old(listed):
    keys = planned(listed, newest=None).keys
    assert {key.split("/")[0] for key in keys} <= {"staging", "runs", "lake"}


def test_what_is_about_an_old_partition_goes_once_nobody_can_be_at_work_with_it():
    for form in ABOUT:
        key = form.format(OLD)
        assert planned([old(key)]).keys == [key]
        assert planned([old(key, days=29)]).keys == []
        assert planned([old(form.format(KEPT))]).keys == []
        assert planned([old(form.format(ALERTED))]).keys == []
    assert planned([old("reports/week-2024-03-04.html")]).keys == ["reports/week-2024-03-04.html"]
    # Its last day is kept.
    assert planned([old("reports/week-2024-04-01.html")]).keys == []


def test_a_report_that_was_made_again_keeps_the_page_it_leads_to():
    page, report = old(f"data_docs/{OLD}/aa.html"), old(f"reports/{OLD}.html", days=1)
    assert planned([page, report]).keys == []
    assert planned([page, old(f"reports/{OLD}.html")]).keys == [page.key, f"reports/{OLD}.html"]


def test_staging_goes_as_a_whole_after_the_longest_wait():
    run = [old("staging/aa/note.json", days=100), old("staging/aa/rows", days=29)]
    assert planned(run).keys == []
    run = [old("staging/aa/note.json", days=100), old("staging/aa/rows", days=31)]
    assert planned(run).keys == [entry.key for entry in run]
    kept = Kept(DAILY, KEEP, NEWEST, NOW)
    assert plan(kept, run, LOGGED, timedelta(days=3)).keys == []


def test_what_a_run_that_named_no_partition_took_is_as_old_as_it_was_stored():
    assert planned([old("runs/monitor/aa.json", days=61), old("runs/score/aa.json", days=59)]).keys == [
        "runs/monitor/aa.json"
    ]
