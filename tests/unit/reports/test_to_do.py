"""What there is to do after a night: each thing with what mends it, and nothing after a quiet one."""

from __future__ import annotations

from typing import Any

import pytest

from evergreen.alerts.alert import Alert
from evergreen.alerts.conditions import MISSING, QUARANTINE
from evergreen.calendar import Length
from evergreen.explain.explanation import Ground
from evergreen.registry.history import Kind
from evergreen.reports.facts import NightFacts, Waiting
from evergreen.reports.report import Link, ToDo
from evergreen.reports.to_do import in_quarantine, larger_share, to_do
from evergreen.spec import Labels
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK
from tests.unit.reports.kiosk_nights import BROKEN, VERSION, came, event, facts

DAY = DAYS[22]
PAGE = Link("Data Docs", "../data_docs/x.html")


def only(found: NightFacts, **changes: Any) -> ToDo:
    (one,) = to_do(KIOSK.model_copy(update=changes), found)
    return one


def alert(key: str, severity: str = "warning") -> Alert:
    return Alert(key, severity, f"{key} is there", "see the data", "kiosk", DAY)  # type: ignore[arg-type]


def shares(*usual: tuple[int, int], now: tuple[int, int]) -> NightFacts:
    """Rows published and set aside, of earlier days and of this one."""
    keys = DAYS[22 - len(usual) : 23]
    found = {
        key: {"rows": rows, "quarantined": aside}
        for key, (rows, aside) in zip(keys, (*usual, now), strict=True)
    }
    return facts(records=found, came=came(22, "is published", BROKEN))


def test_after_a_quiet_night_there_is_nothing_to_do():
    assert to_do(KIOSK, facts()) == ()


def test_quarantined_rows_are_looked_at_and_released():
    found = only(shares((90, 10), now=(97, 3)))
    assert found.what == (
        f"3 rows of {DAY} are in quarantine; they break sold is not null: look at them, and release those "
        "that are right"
    )
    assert found.commands == (
        f"evergreen quarantine show kiosk --partition {DAY}",
        f"evergreen quarantine release kiosk --partition {DAY} --reason WHY",
    )


def test_one_row_is_looked_at_as_one():
    assert in_quarantine(1, DAY, ["a", "b"]) == (
        f"1 row of {DAY} is in quarantine; it breaks a: look at it, and release it if it is right"
    )


def test_a_share_that_has_more_than_doubled_is_said_with_the_usual_one():
    found = shares((990, 10), (990, 10), now=(950, 50))
    assert larger_share(found) == 0.01
    assert "are in quarantine, 5% where 1% is usual: see what changed" in only(found).what


@pytest.mark.parametrize(
    ("usual", "now"),
    [
        ([(990, 10)], (980, 20)),  # twice is not more than twice
        ([(19, 1)], (9, 1)),  # P(X >= 1) of 10 rows at 5% is 40%
        ([(99, 1)], (97, 3)),  # P(X >= 3) of 100 rows at 1% is 7.9%
        ([], (50, 50)),  # nothing is known
    ],
)
def test_a_share_that_chance_explains_is_no_finding(usual: list[tuple[int, int]], now: tuple[int, int]):
    assert larger_share(shares(*usual, now=now)) is None


def test_rows_in_quarantine_where_none_is_usual_are_a_finding():
    assert larger_share(shares((100, 0), now=(99, 1))) == 0


def test_a_refused_partition_is_mended_and_ingested_again():
    refused = Ground("sold is not null", "refused", "9 of its rows, such as: sold is missing")
    said = "is not published; the last attempt was refused: 9 of 24 rows"
    found = only(facts(published=DAYS[:22], nights=[], came=came(22, said, refused), page=PAGE))
    assert found == ToDo(
        f"{DAY} {said}: mend its source, then ingest it",
        (
            f"evergreen quarantine show kiosk --partition {DAY}",
            f"evergreen ingest kiosk --partition {DAY}",
        ),
        PAGE,
    )


def test_a_partition_that_no_night_has_seen_is_scored_or_its_first_version_trained():
    seen = facts().nights[:-1]
    assert only(facts(nights=seen)).commands == (
        f"evergreen score kiosk --partition {DAY}",
        f"evergreen monitor kiosk --partition {DAY}",
    )
    assert only(facts(nights=[], in_force=None)).commands == ("evergreen train kiosk",)


def test_open_alerts_come_first_the_critical_ones_before_all():
    found = to_do(
        KIOSK, facts(alerts=[alert("drift"), alert("limit", "critical")], waiting=Waiting("v", "asked"))
    )
    assert [one.what.partition(":")[0] for one in found] == [
        "[critical] limit is there",
        "[warning] drift is there",
        "v waits",
    ]


def test_an_alert_that_the_report_tells_of_itself_is_told_once():
    aside = facts(alerts=[alert(QUARANTINE)], records={DAY: {"rows": 5, "quarantined": 5}})
    assert [one.what.partition(" of ")[0] for one in to_do(KIOSK, aside)] == ["5 rows"]
    gap = facts(alerts=[alert(MISSING)], published=[*DAYS[:19], DAY])
    assert only(gap) == ToDo(
        f"3 days before {DAY} are not published: ingest them",
        (f"evergreen ingest kiosk --partition {DAYS[19]} --to {DAYS[21]}",),
    )
    assert to_do(KIOSK, facts(published=[*DAYS[:19], DAY])) == (), "the description allows it"


def test_a_refused_training_is_said_with_its_reason_and_what_comes_next():
    reason = {"gate": "worse: mae 12 against 10", "verdict": "worse"}
    found = only(facts(events=[event(Kind.REFUSED, DAY, reason=reason)]))
    assert found.what.startswith(
        f"the training as of {DAY} was refused (worse: mae 12 against 10), and the champion"
    )
    assert found.commands == (f"evergreen explain kiosk {DAY}-bbbb", "evergreen train kiosk")
    assert found.page == Link("model card", f"../models/{DAY}-bbbb/card.html")
    for verdict in ("inconclusive", "declined"):
        assert to_do(KIOSK, facts(events=[event(Kind.REFUSED, DAY, reason={"verdict": verdict})])) == ()


def test_a_version_that_waits_is_decided_by_a_person_or_by_its_shadow():
    assert only(facts(waiting=Waiting(VERSION, "asked"))).commands == (
        f"evergreen models promote kiosk {VERSION}",
    )
    assert only(facts(waiting=Waiting(VERSION, "asked", shadow=True))).commands == (
        "evergreen serve shadow kiosk",
    )


def test_overdue_labels_are_read_by_the_nights_that_bring_them():
    late = Labels(source=KIOSK.sources["sales"], delay=Length(2))
    found = only(facts(unlabelled=DAYS[18:20]), labels=late)
    assert found.what.startswith(f"the labels of 2 days, {DAYS[18]} to {DAYS[19]}, are due and not there")
    assert found.commands == (f"evergreen labels kiosk --partition {DAYS[20]} --to {DAYS[21]}",)
    assert only(facts(unlabelled=[DAYS[20]]), labels=late).commands == (
        f"evergreen labels kiosk --partition {DAY}",
    )
