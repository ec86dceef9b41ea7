from __future__ import annotations

from typing import Any

import pytest

from evergreen.models_site.figures import error_over_time
from evergreen.models_site.pair_page import render_pair
from evergreen.models_site.pipeline_page import drifted, render_pipeline, timeline
from evergreen.models_site.read import NightFacts, PipelineFacts, VersionFacts, VersionLine
from evergreen.models_site.version_page import render_version
from evergreen.registry.history import Event, Kind, State
from evergreen.side_by_side.compare import compare
from evergreen.side_by_side.predicted import SameRow, SameRows
from evergreen.status.summary import Status
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK
from tests.unit.side_by_side.test_compare import side

OLD, NEW = f"{DAYS[1]}-aaaa", f"{DAYS[3]}-bbbb"
EVENTS = [
    Event(1, Kind.PROMOTED, OLD, DAYS[1], None, {"sentence": "it is the first"}, "2024-01-02T03:00", "run 1"),
    Event(2, Kind.REFUSED, NEW, DAYS[3], OLD, {"gate": "worse: mae 3 <b>"}, "2024-01-04T03:00", "run 2"),
]


def night(number: int, error: float | None = 9.0, *features: str, retrain: bool = False) -> NightFacts:
    return NightFacts(
        DAYS[number], OLD, error, 10.0, 0.2, features, 5, {"score": 1.25}, retrain, f"what {number} said"
    )


def page(**facts: object) -> str:
    return render_pipeline(KIOSK, PipelineFacts(**{"status": Status("kiosk"), **facts}), dag="/dags/")  # type: ignore[arg-type]


def test_what_was_decided_stands_by_partition_the_newest_first():
    found = timeline([night(0), night(2, retrain=True)], EVENTS)
    assert [(one.partition, one.word) for one in found] == [
        (DAYS[3], "refused"),
        (DAYS[2], "training asked for"),
        (DAYS[1], "promoted"),
    ]
    assert found[0].sentence == f"{OLD} stays; worse: mae 3 <b>; by run 2, 2024-01-04 03:00"
    assert found[2].sentence == "trained because it is the first; by run 1, 2024-01-02 03:00"


def test_features_that_drifted_most_often_come_first():
    nights = [night(0, 9.0, "wind"), night(1, 9.0, "wind", "rain")]
    assert drifted(nights) == [("wind", 2), ("rain", 1)]


@pytest.mark.parametrize(("error", "worse"), [(10.5, True), (10.0, False), (9.0, False)])
def test_an_error_above_what_was_promised_is_marked(error: float, worse: bool):
    html = page(status=Status("kiosk", metric="mae", error=error, promised=10.0))
    assert ('<b class="worse">' in html) == worse


def test_the_page_draws_the_nights_and_marks_what_happened():
    html = page(
        nights=[night(0), night(1, None), night(3, retrain=True)], total=9, events=EVENTS, older=DAYS[0]
    )
    assert html.count('class="sign promotion" transform') == 4  # two figures, each with its legend
    assert f"{DAYS[3]}: {NEW} refused" in html
    assert f'href="?until={DAYS[0]}#nights"' in html
    assert 'href="/dags/kiosk_train" target="_top"' in html
    assert "1.2" in html
    assert "worse: mae 3 &lt;b&gt;" in html


def test_a_pipeline_without_anything_says_what_comes_first():
    html = page()
    assert "No night was monitored yet" in html
    assert "evergreen train kiosk" in html
    assert "No version is in force" in html


def test_a_night_without_labels_has_no_error_to_draw():
    assert "its error is not known" in page(nights=[night(0, None)], total=1)


def test_a_night_without_labels_leaves_a_gap_between_those_that_have_them():
    whole = error_over_time([night(number) for number in range(5)], [], "mae")
    parted = error_over_time([night(0), night(1), night(2, None), night(3), night(4)], [], "mae")
    assert [str(figure).count('<polyline class="curve"') for figure in (whole, parted)] == [1, 2]
    # What was promised is known of each night.
    assert [str(figure).count('<polyline class="promise"') for figure in (whole, parted)] == [1, 1]


def test_versions_stand_with_their_intervals_or_why_there_are_none():
    lines = [
        VersionLine(EVENTS[1], State.REFUSED, {"mae": 3.0}, {"mae": (2.5, 3.5)}),
        VersionLine(EVENTS[0], State.CHAMPION, problem="metrics.json is damaged"),
    ]
    html = page(lines=lines, before=1)
    assert "2.5 to 3.5" in html
    assert "metrics.json is damaged" in html
    assert 'href="?before=1#versions"' in html


def test_two_versions_can_be_picked_and_at_first_are_the_newest_and_one_before_it():
    again = Event(3, Kind.PROMOTED, NEW, DAYS[3], OLD)
    lines = [VersionLine(event, State.CHAMPION) for event in (again, EVENTS[1], EVENTS[0])]
    html = page(lines=lines)
    assert '<form method="get" action="compare">' in html
    assert f'name="second" value="{NEW}" checked' in html
    assert f'name="first" value="{OLD}" checked' in html
    assert html.count(" checked") == 2
    assert page(lines=lines[2:]).count(" checked") == 2


def pair(rows: SameRows | str | None = None, **changes: Any) -> str:
    """The page of two versions, of the second of which something else is known."""
    return render_pair(KIOSK, compare(side(OLD, 12.0), side(NEW, 10.0, **changes)), rows)


def test_what_differs_of_two_versions_stands_open_and_what_is_the_same_folds_away():
    html = pair(code={"features.py:build": b"<b>"})
    assert '<tr class="differs"><th scope="row">as of</th>' in html
    assert html.index("rows held out") > html.index("the same in both</summary>")
    assert '<td class="n better" data-name="change">-2 ' in html
    assert "+&lt;b&gt;" in html
    assert f'href="?first={NEW}&amp;second={OLD}"' in html
    assert "Predict them by both" in html


def test_the_same_rows_stand_with_both_predictions_or_why_there_are_none():
    rows = SameRows(
        NEW, DAYS[2], "prediction", (SameRow("a", 7, 6.5, 8.5, 2.0), SameRow("b", None, 3.0, 3.0, 0.0))
    )
    html = pair(rows)
    assert "Both say the same of 1. They differ by 1 on average, by 2 at most." in html
    assert '<td class="n" data-name="change">+2</td>' in html
    assert "took &lt;longer&gt; than 30 s" in pair("took <longer> than 30 s")


def version(card: str | None, problem: str = "") -> str:
    facts = VersionFacts(
        OLD,
        State.PROMOTED,
        EVENTS[:1],
        champion=NEW,
        successor=NEW,
        lineage={"window": {"first": DAYS[0], "last": DAYS[1]}},
        card=card,
        problem=problem,
    )
    return render_version(KIOSK, facts)


def test_what_is_known_now_stands_at_the_top_of_the_card():
    html = version("<html><head></head><body><main><h1>a {card} &amp; more</h1></main></body></html>")
    assert html.index("is in force for older partitions") < html.index("a {card} &amp; more")
    assert html.index("<style>") < html.index("</head>")
    assert f'<a href="{NEW}.html"><code>{NEW}</code></a>' in html
    assert f'href="../index.html?partition={DAYS[0]}"' in html
    assert f'href="../compare?first={OLD}&amp;second={NEW}"' in html


@pytest.mark.parametrize(
    ("state", "last", "says"),
    [
        (State.CHAMPION, None, f"{OLD} is the champion"),
        (State.SUPERSEDED, None, f"{OLD} was promoted, and another took its place"),
        (State.REFUSED, None, f"{OLD} was refused"),
        (
            State.WITHDRAWN,
            Event(3, Kind.ROLLED_BACK, NEW, DAYS[1], OLD, {"why": "overshoots <holidays>"}, "at 4", "ann"),
            f"{OLD} was rolled back",
        ),
    ],
)
def test_a_card_says_what_the_version_is_now_and_who_made_it_so(state: State, last: Event | None, says: str):
    facts = VersionFacts(OLD, state, [*EVENTS[:1], *filter(None, [last])], champion=NEW, card="<main></main>")
    html = render_version(KIOSK, facts)
    assert f'<p class="says">{says}' in html
    if last:
        assert "rolled back</dt><dd>at 4 by ann" in html
        assert "overshoots &lt;holidays&gt;" in html


def test_without_a_card_it_says_why():
    assert "card.html is damaged" in version(None, "card.html is damaged")
    assert "stored without a card" in version(None)
