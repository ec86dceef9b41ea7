"""The report of a week, in words and as a page: the same bytes of the same facts, and small at any size."""

from __future__ import annotations

from typing import Any

import pytest

from evergreen.alerts.alert import Alert
from evergreen.calendar import Grain, Length, partitions_of_week
from evergreen.registry.history import Kind
from evergreen.reports.facts import Broken, Gap, WeekFacts
from evergreen.reports.page import render_report
from evergreen.reports.report import Report, ToDo
from evergreen.reports.week import week_report
from evergreen.spec import Labels
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK
from tests.unit.reports.kiosk_nights import VERSION, WEEK, event, night, week
from tests.unit.reports.test_night import Inert, part

REFUSED = "is not published; the last attempt was refused: 9 of 24 rows"


def eventful() -> WeekFacts:
    """A week with a refused day, rows in quarantine, a training, its promotion, and an alert."""
    published = [key for key in WEEK if key != DAYS[23]]
    drift = {"rain": {"drifted": True, "psi": 0.5, "why": ["distribution"]}}
    nights = [night(day) for day in (*range(14, 23), *range(24, 27))]
    return week(
        published=published,
        records={key: {"rows": 24, "quarantined": 3 if key == DAYS[22] else 0} for key in published},
        gaps=[Gap(DAYS[23], DAYS[23], 1, f"{DAYS[23]} {REFUSED}")],
        aside=[Broken("sold is not null", 3, 1)],
        nights=[*nights, night(27, retrain=True, error=40.0, version="v2", drift=drift)],
        events=[event(Kind.PROMOTED, DAYS[26], reason={"sentence": "mae was worse"})],
        alerts=[Alert("drift", "warning", "the data has drifted", "see", "kiosk", DAYS[27])],
    )


def table(report: Report, title: str) -> tuple[tuple[str, ...], ...]:
    (found,) = [one.table for one in report.parts if one.title == title]
    return found.rows if found else ()


def test_a_quiet_week_has_nothing_to_do_and_is_told_all_the_same():
    assert week_report(KIOSK, week()).text.splitlines() == [
        f"kiosk week of {WEEK[0]}: nothing to do: 7 of 7 days published, 168 rows, mae 10 against 10 "
        "promised, no training asked for",
        "",
        "What came in: 7 of 7 days are published, with 168 rows.",
        "What was set aside: No row.",
        f"How the model did: v1 scored 7 days ({WEEK[0]} to {WEEK[-1]}). Over 28 rows of {WEEK[0]} to "
        f"{WEEK[-1]}: mae 10 against 10 promised. Worse than promised in 0 of 7 days.",
        "How the data differs: None of 0 features drifted in the 7 days that are monitored.",
        "What was decided: No training asked for.",
        "What was alerted on: Nothing.",
    ]


def test_an_eventful_week_says_what_came_was_decided_and_is_to_be_done():
    report = week_report(KIOSK, eventful())
    assert report.to_do == (
        ToDo("[warning] the data has drifted: see"),
        ToDo(
            f"{DAYS[23]} {REFUSED}: mend its source, then ingest it",
            (f"evergreen ingest kiosk --partition {DAYS[23]}",),
        ),
        ToDo(
            f"3 rows of {DAYS[22]} are in quarantine; they break sold is not null: look at them, and release "
            "those that are right",
            (f"evergreen quarantine show kiosk --partition {DAYS[22]}",),
        ),
    )
    assert part(report, "What came in") == "6 of 7 days are published, with 144 rows."
    assert table(report, "What came in") == ((DAYS[23], "1", f"{DAYS[23]} {REFUSED}"),)
    assert table(report, "What was set aside") == (("sold is not null", "3", "1"),)
    # The mean of five days at 10 and one at 40.
    assert "mae 15 against 10 promised. Worse than promised in 1 of 6 days." in part(
        report, "How the model did"
    )
    assert table(report, "Day by day")[1:3] == (
        (DAYS[22], "24", "3", "10", "10", "0", "no"),
        (DAYS[23], "", "", "", "", "", "not published"),
    )
    assert table(report, "How the data differs")[0][:2] == ("rain", "1")
    assert table(report, "What was decided") == (
        (
            DAYS[26],
            f"{DAYS[26]}-bbbb was promoted and is in force from {DAYS[26]} on in place of {VERSION}",
            "trained because mae was worse",
        ),
        (DAYS[27], "a training is asked for", "retrain: mae is worse"),
    )
    alerts = {row[0]: row[1:] for row in table(report, "What was alerted on")}
    assert alerts["the data has drifted"] == ("warning", "", DAYS[27], "open")


def test_conditions_that_held_are_over_or_muted_where_they_are_not_open():
    rows = [{"rows": 1, "usual_rows": 24.0}, {"rows": 24, "usual_rows": 24.0, "quarantined": 0.5}]
    nights = [night(26, health=rows[0]), night(27, health=rows[1])]
    found = table(week_report(KIOSK, week(nights=nights)), "What was alerted on")
    assert {row[0]: row[2:] for row in found} == {
        "fewer rows than usual": ("1", DAYS[26], "over"),
        "many rows in quarantine": ("1", DAYS[27], "muted"),
    }


def test_a_partition_that_followed_a_later_one_came_late():
    nights = [night(day, health={"missing": 1 if day == 24 else 0}) for day in range(21, 28)]
    assert f"{DAYS[23]} came late: after what follows it." in part(
        week_report(KIOSK, week(nights=nights)), "What came in"
    )


def test_days_without_rows_are_told_and_are_nothing_to_do():
    closed = week(published=WEEK[:5], gaps=[Gap(WEEK[5], WEEK[6], 2, "", empty=True)], records={})
    report = week_report(KIOSK, closed)
    assert report.to_do == ()
    assert table(report, "What came in") == (
        (f"{WEEK[5]} to {WEEK[6]}", "2", "ingested, and there were no rows"),
    )


def test_where_labels_come_later_the_week_is_measured_by_those_that_came_in_it():
    late = KIOSK.model_copy(update={"labels": Labels(source=KIOSK.sources["sales"], delay=Length(3))})
    nights = [night(day, error=20.0 if day < 18 else 10.0) for day in range(14, 25)]
    nights += [night(day, error=None) for day in range(25, 28)]
    report = week_report(late, week(nights=nights))
    assert f"Over 28 rows of {DAYS[18]} to {DAYS[24]}, whose labels came in this week: mae 10" in part(
        report, "How the model did"
    )
    none_yet = week(nights=[night(day, error=None, estimated=9.5) for day in range(21, 28)])
    assert week_report(late, none_yet).sentence.endswith(
        "no labels yet, 9.5 estimated, no training asked for"
    )


def test_a_week_that_lasts_says_so():
    report = week_report(KIOSK, week(over=False, expected=WEEK[:2], published=WEEK[:2]))
    assert report.title == f"week of {WEEK[0]}, so far"
    assert "The week is not over" in part(report, "What came in")


@pytest.mark.parametrize(
    ("grain", "of", "count", "unit", "lines"),
    [
        (Grain.HOURLY, "2024-01-22", 168, "Day by day", 7),
        (Grain.DAILY, "2024-01-22", 7, "Day by day", 7),
        (Grain.WEEKLY, "2024-01-22", 1, "Week by week", 1),
        (Grain.MONTHLY, "2024-01-29", 1, "Month by month", 1),
    ],
)
def test_a_week_of_every_grain(grain: Grain, of: str, count: int, unit: str, lines: int):
    spec = KIOSK.model_copy(update={"partition": grain})
    keys = partitions_of_week(spec.calendar, of)
    found = week(
        week=of,
        expected=keys,
        published=keys,
        records={key: {"rows": 2, "quarantined": 0} for key in keys},
        nights=[night(0, partition=key) for key in keys],
    )
    report = week_report(spec, found)
    counted = spec.calendar.counted(count)
    assert report.sentence.startswith(f"{count} of {counted} published, {2 * count} rows, mae 10 against")
    assert (report.name, len(table(report, unit))) == (f"week-{of}", lines)
    assert table(report, unit)[0][1] == str(2 * count // lines)
    assert f"of the last {count} monitored" in render_report(report).decode() or count == 1


def test_the_nights_of_the_week_are_shaded_among_those_before_it():
    assert b"those of the week are shaded" in render_report(week_report(KIOSK, week()))
    alone = week(nights=[night(day) for day in range(21, 28)])
    assert b"shaded" not in render_report(week_report(KIOSK, alone))


def test_a_page_of_500_features_and_168_troubled_hours_is_small_inert_and_always_the_same():
    spec = KIOSK.model_copy(update={"partition": Grain.HOURLY})
    keys = partitions_of_week(spec.calendar, WEEK[0])
    drift = {
        f"<b>feature&{number}": {"drifted": True, "psi": number / 500, "why": ["distribution"]}
        for number in range(500)
    }
    health = {"rows": 1, "usual_rows": 9.0, "missing": 1}
    night_of: dict[str, Any] = {"drift": drift, "health": health}
    found = week(
        expected=keys,
        published=keys[::2],
        records={key: {"rows": 1, "quarantined": 9} for key in keys[::2]},
        gaps=[Gap(key, key, 1, f"{key} {REFUSED} <i>" * 9) for key in keys[1::2]],
        aside=[Broken(f"<i>{number}", 9, 9) for number in range(500)],
        nights=[night(0, retrain=True, partition=key, **night_of) for key in keys[::2]],
        events=[event(Kind.REFUSED, key, reason={"gate": "worse " * 99}) for key in keys],
    )
    report = week_report(spec, found)
    page = render_report(report)
    assert [one.commands for one in report.to_do if " are not published" in one.what] == [
        (f"evergreen ingest kiosk --partition {keys[1]} --to {keys[-1]}",)
    ]
    assert len(page) < 2_000_000
    assert page == render_report(week_report(spec, found))
    Inert().feed(page.decode())
    assert b"<b>feature" not in page
    assert b"<i>" not in page
