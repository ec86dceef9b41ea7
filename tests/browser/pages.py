"""Every page that Evergreen writes, of pipelines and nights that have all that it can show."""

from __future__ import annotations

from collections.abc import Callable

from evergreen.backtest.report import render_backtest
from evergreen.calendar import Grain, partitions_of_week
from evergreen.data_docs.index import Run, render_home, render_index, render_notice
from evergreen.data_docs.page import render_page
from evergreen.registry.history import Kind
from evergreen.reports.facts import Gap
from evergreen.reports.night import night_report
from evergreen.reports.page import render_list, render_report
from evergreen.reports.week import week_report
from evergreen.spec import Spec, load_spec
from tests.unit.backtest.test_report import DAYS as NIGHTS
from tests.unit.backtest.test_report import KIOSK as REPLAYED
from tests.unit.backtest.test_report import RESULTS
from tests.unit.card.test_card_explained import BINARY, DAILY, DECIDED, binary_rows, daily_rows, made
from tests.unit.data_docs.test_data_docs import NIGHT, NOTED, QUARANTINED, REFUSED, RUN, report
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK
from tests.unit.reports.kiosk_nights import BROKEN, WEEK, came, event, facts, night, week
from tests.unit.reports.test_week import eventful

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


PAGES: dict[str, Callable[[], str]] = {
    "home": lambda: render_home({"bike_demand": BIKES.description}),
    "notice": lambda: render_notice("No access", "Ask for the right to read its logs.", "../"),
    "index": _index,
    "a night that passed": lambda: render_page(BIKES, report(), RUN, NIGHT),
    "a night in quarantine": lambda: render_page(BIKES, QUARANTINED, RUN, NIGHT),
    "a refused night": lambda: render_page(BIKES, REFUSED, RUN, NIGHT),
    "card of a regression": lambda: _card(DAILY),
    "card of a classification": lambda: _card(BINARY),
    "card of a decision": lambda: _card(DECIDED),
    "night report": _night,
    "weekly report": lambda: render_report(week_report(KIOSK, eventful())).decode(),
    "weekly report of hours": _week_of_hours,
    "reports": lambda: render_list("kiosk", ["week-2024-01-22", *reversed(WEEK)]),
    "backtest": lambda: render_backtest(REPLAYED, NIGHTS[0], NIGHTS[-1], RESULTS),
}
"""What writes each page, by the page's name."""
