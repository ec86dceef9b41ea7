"""The backtest's page: what it says and draws, escaped, whole, and without a script."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from evergreen.backtest.report import render_backtest
from evergreen.backtest.report_plots import error_over_time, leading_features, smoothed
from evergreen.backtest.result import Event, Night, PolicyResult
from evergreen.cli.backtest import _shown
from evergreen.monitoring.record import Decision
from evergreen.signals.record import Record
from evergreen.spec import parse_spec

KIOSK = parse_spec(Path(__file__).parents[2] / "pipelines" / "kiosk" / "pipeline.yaml")
DAYS = list(KIOSK.calendar.between("2024-01-01", "2024-01-20"))
WHY = 'retrain: <b>mae</b> 2 & "more"'


def night(key: str, error: float | None, psi: float, halted: bool = False) -> Night:
    drift = {
        "temperature": {"psi": psi, "drifted": psi > 0.1, "why": ["distribution"] if psi > 0.1 else []},
        "<level>": {"psi": 0.01, "drifted": False, "why": []},
    }
    record = Record(key, "v", 4, 4, "mae", error, 1.0, 1.0, 1.0, 0.0, drift, 1, 1)
    return Night(
        record,
        Decision(
            key, False, "no retraining", {"breaker": {"state": "open" if halted else "closed"}, "firing": []}
        ),
    )


def result(policy: str, value: float, trainings: int, **changes: Any) -> PolicyResult:
    events = tuple(
        Event(
            key,
            DAYS[0],
            "performance",
            WHY,
            "v",
            "Ridge",
            ("promoted", "worse")[place % 2],
            failed=("<i>worse</i>",),
        )
        for place, key in enumerate(DAYS[1 : trainings + 1])
    )
    nights = tuple(night(key, value + place, 0.02 * place) for place, key in enumerate(DAYS))
    found = PolicyResult(policy, "mae", value, trainings, trainings, 0, 9.0, 7.0, 1.0, 1.0)
    return replace(found, events=events, nights=nights, **changes)


RESULTS = [
    result("configured", 30.0, 6, false_alarms=1, delays={DAYS[5]: 2, DAYS[12]: None}),
    result("every 5", 80.0, 3),
    result("every 2", 28.0, 10),
]


@pytest.fixture(scope="module")
def page() -> str:
    return render_backtest(KIOSK, DAYS[0], DAYS[-1], RESULTS)


def images(page: str) -> Iterator[ET.Element]:
    for found in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        yield ET.fromstring(found)


def test_the_page_is_whole_escaped_and_has_no_script(page: str) -> None:
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "<b>mae</b>" not in page
    assert "&lt;b&gt;mae&lt;/b&gt; 2 &amp;" in page
    assert "<i>worse" not in page
    assert len([*images(page)]) == 3


def test_it_says_what_came_of_each_policy(page: str) -> None:
    # 30 against 80 - (80 - 28) * log(6 / 3) / log(10 / 3) on the curve
    assert "configured: mae 30 with 6 trainings, 40.1% better than fixed schedules" in page
    assert f"{DAYS[5]}: 2 later" in page
    assert f"{DAYS[12]}: no decision" in page
    assert page.count('<span class="mark promoted">') == 3 + 2 + 5
    assert page.count('<span class="mark worse">') == 3 + 1 + 5


def test_further_metrics_have_columns_of_their_own(page: str) -> None:
    measured = [replace(one, metrics={"r2": 0.5, "rmse": None}) for one in RESULTS]
    found = render_backtest(KIOSK, DAYS[0], DAYS[-1], measured)
    headings = [re.sub("<.*?>", "", one) for one in re.findall("<th.*?</th>", found)]
    assert headings[headings.index("to the curve") :][:4] == ["to the curve", "r2", "rmse", "trainings"]
    assert found.count('<td class="n">0.5</td><td class="n">-</td>') == len(RESULTS)
    assert ">rmse</th>" not in page


def test_the_coverage_of_each_level_has_a_column(page: str) -> None:
    covered = [
        [{"level": 0.9, "rows": rows, "covered": held, "width": 1.0}] for rows, held in ((40, 30), (60, 54))
    ]
    nights = [
        replace(night(key, 1.0, 0.0), record=replace(night(key, 1.0, 0.0).record, coverage=one))
        for key, one in zip(DAYS, covered, strict=False)
    ]
    found = replace(RESULTS[0], nights=tuple(nights))
    assert found.coverage == {0.9: 0.84}
    assert found.to_dict()["coverage"] == [{"level": 0.9, "covered": 0.84}]
    shown = render_backtest(KIOSK, DAYS[0], DAYS[-1], [found, RESULTS[1]])
    assert '<th class="n">90% hold</th>' in shown
    assert '<td class="n">84%</td>' in shown
    assert " hold</th>" not in page
    console = Console(width=250, record=True, file=io.StringIO())
    console.print(_shown([found, RESULTS[1]], None, Path("page.html")))
    assert "90% hold" in console.export_text()


def test_trainings_are_marked_under_the_error(page: str) -> None:
    error = next(images(page))
    marks = [bar for bar in error.iter("rect") if "as of" in "".join(bar.itertext())]
    assert len(marks) == 6 + 3 + 10
    refused = [bar for bar in marks if bar.get("class") == "refusal"]
    assert len(refused) == 3 + 1 + 5
    assert "configured, as of 2024-01-03: worse" in ["".join(bar.itertext()) for bar in refused]
    lines = [line for line in error.iter("polyline") if "series" in str(line.get("class"))]
    assert [len(str(line.get("points")).split()) for line in lines] == [20, 20, 20]


def test_names_in_the_curve_cover_nothing(page: str) -> None:
    curve = [*images(page)][1]
    words = [text for text in curve.iter("text") if "better" in str(text.text) or "every" in str(text.text)]
    boxes = [(float(str(t.get("x"))), float(str(t.get("y"))), 7.1 * len(str(t.text))) for t in words]
    assert len(boxes) == 3
    for place, (x, y, wide) in enumerate(boxes):
        assert 0 < x < x + wide < 640
        for other in boxes[place + 1 :]:
            apart = abs(y - other[1]) >= 13 or x + wide <= other[0] or other[0] + other[2] <= x
            assert apart


def test_the_leading_feature_is_the_one_that_drifted_most(page: str) -> None:
    assert leading_features(RESULTS[0]) == ["temperature", "<level>"]
    assert "<level>" not in page
    assert "&lt;level&gt;" in page


def test_an_open_circuit_breaker_is_told() -> None:
    stopped = result("configured", 30.0, 3)
    open_on = (*DAYS[3:6], *DAYS[15:])
    nights = [night(key, 1.0, 0.0, halted=key in open_on) for key in DAYS]
    told = render_backtest(KIOSK, DAYS[0], DAYS[-1], [replace(stopped, nights=tuple(nights))])
    when = f"{DAYS[3]} to {DAYS[5]}, {DAYS[15]} to {DAYS[-1]}"
    assert f"The circuit breaker was open from {when}" in told
    assert f"<td>{when}</td>" in told


def test_without_a_champion_there_is_a_page_too() -> None:
    empty = PolicyResult("never", "mae", None, 0, 0, 0, 0.0)
    told = render_backtest(KIOSK, DAYS[0], DAYS[-1], [empty])
    assert "No policy had a champion in this range" in told
    assert "<svg" not in told


def test_the_best_policy_is_not_cut_off_where_higher_is_better() -> None:
    two = [replace(result("never", 20.0, 1), metric="r2"), replace(result("daily", 5_000.0, 9), metric="r2")]
    assert "cut at the top" not in str(error_over_time(two))
    assert "cut at the top" in str(error_over_time([replace(one, metric="mae") for one in two]))


def test_more_policies_than_colours_and_one_far_worse() -> None:
    many = [result(f"every {n}", 20.0 + n, 11 - n) for n in range(1, 9)] + [result("never", 5_000.0, 1)]
    image = ET.fromstring(str(error_over_time(many)))
    assert "cut at the top" in "".join(image.itertext())
    heights = [
        float(point.split(",")[1])
        for line in image.iter("polyline")
        for point in str(line.get("points")).split()
    ]
    assert min(heights) >= 26
    assert max(heights) <= 310
    assert render_backtest(KIOSK, DAYS[0], DAYS[-1], many).count("<svg") == 3


@given(st.lists(st.none() | st.floats(0, 1e6), max_size=40), st.integers(1, 9))
def test_a_smoothed_value_is_the_mean_of_the_last_known(values: list[float | None], over: int) -> None:
    for place, mean in enumerate(smoothed(values, over)):
        last = [value for value in values[: place + 1] if value is not None][-over:]
        assert mean == (pytest.approx(sum(last) / len(last)) if last else None)
