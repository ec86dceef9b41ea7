"""What each stage has come to, in the words of its log and of the note of its run."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from evergreen.alerts.alert import Alert
from evergreen.errors import RefusedError
from evergreen.evaluation.verdict import Check, Outcome, Verdict
from evergreen.ingestion.publish import Published
from evergreen.monitoring.record import Decision
from evergreen.monitoring.stage import Night
from evergreen.notes import (
    OF_STAGE,
    REASONS,
    Note,
    alerted,
    asked,
    declined,
    ended,
    evaluated,
    fitted,
    gated,
    labelled,
    monitored,
    promoted,
    published,
    scored,
    span,
    staged,
    validated,
    watched,
)
from evergreen.registry.history import Event, Kind
from evergreen.scoring.score import Scored
from evergreen.signals.record import Record
from evergreen.stages import STAGES
from evergreen.training.stage import Committed
from evergreen.validation.report import ExpectationResult, ValidationReport
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK, record

LATE = Alert("night", "critical", "the night is late", "score is missing: see its log", "kiosk", DAYS[1])
CHECKS = (Check("limit", True, "mae 9"), Check("champion", False, "mae 9 > 8"))
BROKEN = ExpectationResult("sold is not null", "warning", False, 2, "2 of 24 rows")


def publication(number: int, rows: int = 24, quarantined: int = 0, changed: bool = True) -> Published:
    day = DAYS[number]
    return Published(day, rows, quarantined, changed, ValidationReport(day, rows, quarantined, ()))


def night(reason: str, retrain: bool = False, filled: tuple[Record, ...] = (), **facts: Any) -> Night:
    found = record(8, **facts)
    return Night(found, Decision(found.partition, retrain, reason, {}), filled)


def test_every_stage_has_a_note_of_its_own() -> None:
    assert set(OF_STAGE) == set(STAGES)
    assert len(set(OF_STAGE.values())) == len(STAGES)


@pytest.mark.parametrize(
    ("note", "line", "reasons"),
    [
        (lambda: staged(DAYS[:1], "sales", 1), "2024-01-01: 1 row of 'sales' staged", ()),
        (
            lambda: validated(ValidationReport(DAYS[0], 24, 2, (BROKEN,))),
            "2024-01-01: 24 rows, 2 in quarantine",
            ("sold is not null: 2 of 24 rows",),
        ),
        (
            lambda: validated(ValidationReport(DAYS[0], 24, 2, (), refused="8% in quarantine; fix")),
            "2024-01-01: refused",
            ("8% in quarantine", "fix"),
        ),
        (
            lambda: published(KIOSK, [publication(0, 2000, 3)]),
            "2024-01-01: 2,000 rows published, 3 in quarantine",
            (),
        ),
        (
            lambda: published(KIOSK, [publication(0, quarantined=1), publication(1, changed=False)]),
            "2024-01-01 to 2024-01-02 (2 partitions): 48 rows published, 1 in quarantine",
            (
                "2024-01-01: 24 rows published, 1 in quarantine",
                "2024-01-02: 24 rows published, 0 in quarantine (unchanged)",
            ),
        ),
        (
            lambda: scored(KIOSK, Scored(DAYS[0], "v1", 24, changed=False)),
            "2024-01-01: 24 rows scored by v1 (unchanged)",
            (),
        ),
        (
            lambda: monitored(KIOSK, night("no retraining: mae is as promised; 1 more", error=12.5)),
            "2024-01-09: 4 rows, mae 12.5 against 10 promised, no retraining",
            ("mae is as promised", "1 more"),
        ),
        (
            lambda: monitored(KIOSK, night("retrain: mae is worse", retrain=True, error=40.0)),
            "2024-01-09: 4 rows, mae 40 against 10 promised, a training is asked for",
            ("mae is worse",),
        ),
        (
            lambda: monitored(
                KIOSK,
                night("no retraining: too early", error=None, estimated=11.0, filled=(record(2, error=9.0),)),
            ),
            "2024-01-09: 4 rows, no labels yet, 11 estimated, no retraining",
            ("labels came for 2024-01-03: mae 9 against 10 promised", "too early"),
        ),
        (
            lambda: monitored(KIOSK, night("promote the challenger on trial: it is better")),
            "2024-01-09: 4 rows, mae 10 against 10 promised, promote the challenger on trial",
            ("it is better",),
        ),
        (
            lambda: gated(
                KIOSK,
                Committed(
                    "v2",
                    Verdict(Outcome.WORSE, CHECKS),
                    1.0,
                ),
            ),
            "v2: worse",
            ("mae 9 > 8", "passed limit: mae 9"),
        ),
        (
            lambda: promoted(Event(1, Kind.PROMOTED, "v2", DAYS[3], "v1")),
            "v2: champion as of 2024-01-04 in place of v1",
            (),
        ),
        (lambda: declined("v2", "rejected by Ann"), "v2: not promoted: rejected by Ann", ()),
        (lambda: watched(KIOSK, (DAYS[1], None)), "2024-01-02: the night is finished", ()),
        (
            lambda: watched(KIOSK, (DAYS[1], LATE)),
            "2024-01-02: the night is not finished",
            ("score is missing: see its log",),
        ),
        (lambda: alerted(DAYS[1], [LATE]), "2024-01-02: 1 alert holds", ("[critical] the night is late",)),
        (lambda: alerted(DAYS[1], []), "2024-01-02: 0 alerts hold", ()),
        (
            lambda: asked(SimpleNamespace(as_of=DAYS[2], reason={"sentence": "retrain: worse; twice"})),
            "2024-01-03: a training as of this partition is started",
            ("worse", "twice"),
        ),
        (
            lambda: labelled(SimpleNamespace(sentence="2024-01-01: 4 labels; 1 left out")),
            "2024-01-01: 4 labels",
            ("1 left out",),
        ),
        (
            lambda: fitted(
                {
                    "estimator": "Ridge",
                    "preprocess": ["SimpleImputer", "OneHotEncoder"],
                    "target_transform": None,
                    "params": {"alpha": 0.5},
                }
            ),
            "challenger: Ridge",
            ("preprocess: SimpleImputer, OneHotEncoder", "alpha: 0.5"),
        ),
        (
            lambda: evaluated(SimpleNamespace(clauses=("mae 2 on 8 rows", "baseline 10", "none"))),
            "challenger: mae 2 on 8 rows",
            ("baseline 10", "none"),
        ),
    ],
)
def test_the_verdict_comes_first_and_each_reason_by_itself(
    note: Callable[[], Note], line: str, reasons: tuple[str, ...]
) -> None:
    found = note()
    assert (found.line, found.reasons) == (line, reasons)
    assert "\n" not in found.line


def test_the_figures_are_those_of_the_result() -> None:
    assert published(KIOSK, [publication(0, 24, 2)]).figures == {
        "rows": 24,
        "quarantined": 2,
        "changed": True,
    }
    assert scored(KIOSK, Scored(DAYS[0], "v1", 24, changed=True)).figures["version"] == "v1"
    figures = {"version": "v2", "as_of": DAYS[3], "replaces": None}
    assert promoted(Event(1, Kind.PROMOTED, "v2", DAYS[3], None)).figures == figures


def test_the_note_of_a_run_is_markdown_in_which_data_is_only_text() -> None:
    assert Note("a", "done").text == "a: done"
    text = Note("a", "<b>", tuple(f"[{number}](x)\n* y" for number in range(REASONS + 1))).text
    assert text.splitlines()[:3] == [r"a: \<b\>", "", r"- \[0\](x) \* y"]
    assert len(text.splitlines()) == 2 + REASONS + 1
    assert text.endswith("\n- 1 more in the log")


@pytest.mark.parametrize(
    ("said", "line", "reasons"),
    [
        (
            "kiosk 2024-01-01: refused: two\nrows; and one: more",
            "2024-01-01: refused",
            ("two rows", "and one: more"),
        ),
        ("kiosk: nothing is there: ingest first", "nothing is there", ("ingest first",)),
        ("the store is away: try again", "the store is away", ("try again",)),
    ],
)
def test_an_error_is_told_as_a_verdict_is(said: str, line: str, reasons: tuple[str, ...]) -> None:
    note = ended("kiosk", RefusedError(said))
    assert (note.line, note.reasons) == (line, reasons)


def test_a_range_is_told_by_its_ends() -> None:
    assert span(DAYS[:1]) == "2024-01-01"
    assert span(DAYS[:31]) == "2024-01-01 to 2024-01-31 (31 partitions)"
