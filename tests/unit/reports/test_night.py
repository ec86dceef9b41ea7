"""The report of a night, in words and as a page: the same bytes of the same facts, and small at any size."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from evergreen.registry.history import Kind
from evergreen.reports.night import night_report
from evergreen.reports.page import render_report
from evergreen.reports.report import Report
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK
from tests.unit.reports.kiosk_nights import BROKEN, came, event, facts, night

DAY = DAYS[22]


def part(report: Report, title: str) -> str:
    (found,) = [" ".join(one.sentences) for one in report.parts if one.title == title]
    return found


def test_a_quiet_night_is_one_line():
    assert night_report(KIOSK, facts()).text == (
        f"kiosk {DAY}: nothing to do: 24 rows, mae 10 against 10 promised, no retraining"
    )


def test_a_night_with_something_to_do_says_it_first_and_then_what_happened():
    found = facts(
        records={DAY: {"rows": 24, "quarantined": 3}},
        came=came(22, "is published with 24 rows, and 3 more in quarantine", BROKEN),
        nights=[night(21), night(22, retrain=True, error=20.0)],
        events=[event(Kind.PROMOTED, DAY)],
    )
    assert night_report(KIOSK, found).text.splitlines() == [
        f"kiosk {DAY}: 1 to do: 24 rows, mae 20 against 10 promised, a training is asked for",
        "",
        "To do:",
        f"1. 3 rows of {DAY} are in quarantine; they break sold is not null: look at them, and release "
        "those that are right",
        f"   evergreen quarantine show kiosk --partition {DAY}",
        f"   evergreen quarantine release kiosk --partition {DAY} --reason WHY",
        "",
        f"What came in: {DAY} is published with 24 rows, and 3 more in quarantine.",
        "What was set aside: 3 rows, 11.1% of all.",
        "How the model did: v1 scored 4 rows: mae 20 against 10 promised.",
        "How the data differs: None of 0 features drifted.",
        "What was decided: Retrain: mae is worse. In Airflow the training starts by itself; in a shell: "
        f"evergreen train kiosk --as-of {DAYS[23]}. {DAY}-bbbb was promoted and is in force from {DAY} on "
        "in place of 2024-01-20-aaaa.",
    ]


def test_a_partition_that_is_not_monitored_says_what_became_of_it():
    report = night_report(KIOSK, facts(nights=[], published=DAYS[:22], came=came(22, "is not published")))
    assert report.sentence == f"{DAY} is not published"
    assert part(report, "What was decided") == "Nothing: the partition is not monitored."


def test_what_is_not_known_yet_is_said():
    report = night_report(KIOSK, facts(nights=[night(22, error=None, estimated=9.5)]))
    assert report.sentence == "24 rows, no labels yet, 9.5 estimated, no retraining"
    assert all(one.course is None for one in report.parts), "no figure of less than two nights"


def test_a_new_version_and_a_night_that_asks_are_marked_by_shape():
    nights = [night(20), night(21, retrain=True), night(22, version="v2")]
    page = render_report(night_report(KIOSK, facts(nights=nights))).decode()
    assert page.count('<polygon class="asks"') == 1 + 1, "the night, and the explanation of the mark"
    assert page.count('<line class="begins"') == 1 + 1
    assert page.count('<circle class="fill"') == 2 + 1


class Inert(HTMLParser):
    """Fails on what runs or loads something."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe", "object")
        for name, value in attrs:
            assert not name.startswith("on")
            assert not re.match(r"\w+:", value or "") or name not in ("href", "src")


def test_a_page_of_500_features_and_a_year_of_nights_is_small_inert_and_always_the_same():
    drift = {
        f"<b>feature&{number}": {"drifted": number % 2 == 0, "psi": number / 500, "why": ["distribution"]}
        for number in range(500)
    }
    found = facts(
        364,
        nights=[night(day, retrain=day % 30 == 0, drift=drift, error=10.0 + day % 7) for day in range(365)],
    )
    page = render_report(night_report(KIOSK, found))
    assert len(page) < 2_000_000
    assert page == render_report(night_report(KIOSK, found))
    Inert().feed(page.decode())
    assert b"<b>feature" not in page
    assert b"250 of 500 features drifted" in page
    assert page.count(b"&lt;b&gt;feature&amp;") == 12
