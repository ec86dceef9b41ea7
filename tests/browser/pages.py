"""Every page that Evergreen writes, of pipelines and nights that have all that it can show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from evergreen.actions.page import render_action, render_actions, render_refusal
from evergreen.actions.promote import promotion
from evergreen.actions.registry import ACTIONS
from evergreen.backtest.report import render_backtest
from evergreen.calendar import Grain, partitions_of_week
from evergreen.data_docs.index import Run, render_home, render_index, render_notice
from evergreen.data_docs.page import render_page
from evergreen.models_site.listing import Listing
from evergreen.models_site.overview import render_notice as render_models_notice
from evergreen.models_site.overview import render_overview
from evergreen.models_site.read import VersionLine
from evergreen.monitoring.record import Decision
from evergreen.registry.history import Kind, State
from evergreen.reports.facts import Gap
from evergreen.reports.night import night_report
from evergreen.reports.page import render_list, render_report, render_weeks
from evergreen.reports.week import week_report
from evergreen.reports.weeks import Told, Weeks
from evergreen.side_by_side.predicted import SameRow, SameRows
from evergreen.spec import Spec, load_spec
from evergreen.status.summary import Night, Status
from evergreen_airflow.served_page import with_way_back
from tests.unit.backtest.test_report import DAYS as NIGHTS
from tests.unit.backtest.test_report import KIOSK as REPLAYED
from tests.unit.backtest.test_report import RESULTS
from tests.unit.card.test_card_explained import BINARY, DAILY, DECIDED, binary_rows, daily_rows, made
from tests.unit.data_docs.test_data_docs import NIGHT, NOTED, QUARANTINED, REFUSED, RUN, report
from tests.unit.models_site import test_pages as models
from tests.unit.models_site.test_listing import ALERT, FOUND
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK, record
from tests.unit.reports.kiosk_nights import BROKEN, WEEK, came, event, facts, night, week
from tests.unit.reports.test_week import eventful
from tests.unit.side_by_side.test_compare import paired

BIKES = load_spec("bike_demand")


def _index() -> str:
    reports = (report("2011-05-31"), REFUSED, QUARANTINED, NOTED)
    runs = [Run.of(each, f"{number:016x}", NIGHT) for number, each in enumerate(reports)]
    return render_index(BIKES, [*runs, Run("2011-04-30", RUN)])


def _card(description: dict[str, object]) -> str:
    spec = Spec.model_validate(description)
    dates = ("2024-02-15", "2024-02-01") if spec.calendar.has_time else ("snapshot",)
    return made(spec, daily_rows() if spec.calendar.has_time else binary_rows(), *dates)["page"]


def _night() -> str:
    found = facts(
        records={DAYS[22]: {"rows": 24, "quarantined": 3}},
        came=came(22, "is published with 24 rows, and 3 more in quarantine", BROKEN),
        nights=[night(day) for day in range(18, 22)] + [night(22, retrain=True, error=20.0)],
        events=[event(Kind.PROMOTED, DAYS[22])],
    )
    return render_report(night_report(KIOSK, found)).decode()


def _week_of_hours() -> str:
    spec = KIOSK.model_copy(update={"partition": Grain.HOURLY})
    keys = partitions_of_week(spec.calendar, WEEK[0])
    found = week(
        expected=keys,
        published=keys[:150],
        records={key: {"rows": 24, "quarantined": 1} for key in keys[:150]},
        gaps=[Gap(keys[150], keys[-1], 18, f"{keys[150]} is not published: no ingest has tried it")],
        nights=[night(0, partition=key, error=10.0 + number % 24) for number, key in enumerate(keys[:150])],
    )
    return render_report(week_report(spec, found)).decode()


def _models() -> str:
    nights = tuple(
        Night(DAYS[day], models.OLD, 9.0, 9.0 + day % 3, 10.0, 0.2, False, "quiet") for day in range(9)
    )
    more = Status("kiosk", models.OLD, age=4, metric="mae", error=12.0, promised=10.0, nights=nights)
    return render_overview([*FOUND, more], Listing.of({"sort": "error"}))


def _models_of_one() -> str:
    """A pipeline with everything: nights, what drifted and broke, slices, decisions, alerts and versions."""
    told = {"weekend = yes": {"rows": 4, "error": 11.0, "pooled": 12.0, "promised": 10.0}}
    last = record(9, 12.0, slices=told, window={"first": DAYS[3], "partitions": 7, "rows": 28})
    decision = Decision(DAYS[9], True, "a training is asked for", {"signals": {}})
    return models.page(
        status=Status(
            *("kiosk", models.OLD),
            **{"age": 4, "metric": "mae", "error": 12.0, "promised": 10.0, "alerts": (ALERT,)},
            undecided=(models.NEW,),
        ),
        nights=[models.night(day, 9.0 + day % 3, "wind", "rain", retrain=day == 9) for day in range(10)],
        older=DAYS[0],
        total=60,
        events=models.EVENTS,
        last=(last, decision),
        aside=[("temperature between", 12), ("unique key", 3)],
        lines=[
            VersionLine(models.EVENTS[1], State.REFUSED, {"mae": 3.0, "r2": 0.9}, {"mae": (2.5, 3.5)}),
            VersionLine(models.EVENTS[0], State.CHAMPION, problem="metrics.json is damaged"),
        ],
        before=1,
    )


def _pair() -> str:
    rows = tuple(SameRow(f"{DAYS[1]} {hour:02d}:00", 7, 6.5, 6.5 + hour % 2, hour % 2) for hour in range(9))
    changed = b"def build(rows):\n    return rows[['hour']]\n"
    found = SameRows(models.NEW, DAYS[1], "prediction", rows)
    return models.pair(found, code={"features.py:build": changed}, evaluation=paired(models.OLD))


def _action() -> str:
    preview = promotion("bike_demand", models.EVENTS, DAYS[:5], models.NEW)
    return render_action(
        "bike_demand", ACTIONS["promote"], preview, token="made-up", address="promote", up="./"
    )


def _week_of_all() -> str:
    busy, quiet = (week_report(KIOSK, found) for found in (eventful(), week()))
    told = (
        Told("busy", busy),
        Told("month", problem="no partition of it ends in this week"),
        Told("quiet", quiet),
    )
    return render_weeks(Weeks(date(2024, 1, 28), told)).decode()


def _with_way_back(page: str) -> str:
    """The page as it is served to whom the button of a task led there."""
    run = "asset_triggered__2011-05-09__2026-11-29T21:50:32.712367+00:00_B6yjBjMp"
    dag = "bike_demand_ingest"
    return with_way_back(page, [(dag, f"/dags/{dag}"), (run, f"/dags/{dag}/runs/{run}")]).decode()


PAGES: dict[str, Callable[[], str]] = {
    "home": lambda: render_home({"bike_demand": BIKES.description}),
    "notice": lambda: render_notice("No access", "Ask for the right to read its logs.", "../"),
    "index": _index,
    "a night that passed": lambda: render_page(BIKES, report(), RUN, NIGHT),
    "a night in quarantine": lambda: render_page(BIKES, QUARANTINED, RUN, NIGHT),
    "a refused night": lambda: render_page(BIKES, REFUSED, RUN, NIGHT),
    "a night with its way back": lambda: _with_way_back(render_page(BIKES, report(), RUN, NIGHT)),
    "card of a regression": lambda: _card(DAILY),
    "card of a classification": lambda: _card(BINARY),
    "card of a decision": lambda: _card(DECIDED),
    "models": _models,
    "models, none": lambda: render_overview([], Listing()),
    "models of a pipeline": _models_of_one,
    "models of a new pipeline": models.page,
    "a version": lambda: models.version(_card(DAILY)),
    "two versions": _pair,
    "two versions that nobody has asked": models.pair,
    "models notice": lambda: render_models_notice("No access", "Ask for the right to read its logs.", "../"),
    "actions": lambda: render_actions(
        "bike_demand", ACTIONS.values(), lambda name: ["2011-06-01"], lambda one: one.name, "It is done."
    ),
    "an action": _action,
    "a refused action": lambda: render_refusal("bike_demand", "No access", "Ask for the right.", "./"),
    "night report": _night,
    "weekly report": lambda: render_report(week_report(KIOSK, eventful())).decode(),
    "weekly report of hours": _week_of_hours,
    "week of all pipelines": _week_of_all,
    "reports": lambda: render_list("kiosk", ["week-2024-01-22", *reversed(WEEK)]),
    "backtest": lambda: render_backtest(REPLAYED, NIGHTS[0], NIGHTS[-1], RESULTS),
}
"""What writes each page, by the page's name."""
