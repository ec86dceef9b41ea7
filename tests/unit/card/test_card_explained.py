"""Cards of pipelines of every kind, from rows to page: the figures are there, whole and in their frames."""

from __future__ import annotations

import html as entities
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evergreen.candidates.fit import fit_challenger
from evergreen.card.card import render_card
from evergreen.evaluation.champion import Champion
from evergreen.evaluation.evaluate import Evaluation, evaluate
from evergreen.evaluation.explain import explain, trial_scores
from evergreen.evaluation.gate import judge
from evergreen.evaluation.verdict import Outcome, Verdict
from evergreen.numbers import number, percent
from evergreen.pages import plots
from evergreen.pages.plots.choice import Loss
from evergreen.pages.plots.svg import WIDTH, Scale, cut, spanned
from evergreen.spec import Gate, Spec, load_spec
from evergreen.training_set.assemble import assemble

PIPELINES = Path(__file__).resolve().parents[3] / "include" / "pipelines"
DAILY = {
    "name": "sales",
    "description": "Sales",
    "owner": "team",
    "schedule": "@daily",
    "start": "2024-01-01",
    "partition": "daily",
    "sources": {"sales": {"file": {"path": "sales.csv", "time_column": "at"}}},
    "task": "regression",
    "target": "sold",
    "training": {
        "window": "60 days",
        "holdout": "12 days",
        "metric": "mae",
        "candidates": [
            {"estimator": "sklearn.linear_model.Ridge", "search": {"alpha": [0.01, 10, "log"]}},
            {"estimator": "sklearn.tree.DecisionTreeRegressor", "params": {"max_depth": 3}},
        ],
        "tuning": {"trials": 3, "folds": 2},
    },
    "gate": {
        "champion": {"margin": 0.2},
        "slices": [{"column": "shop", "margin": 0.2}],
        "fairness": [{"column": "shop", "metric": "mae", "max_difference": 50}],
    },
    "folder": Path("sales"),
}


def daily_rows() -> pd.DataFrame:
    random = np.random.default_rng(3)
    at = pd.date_range("2024-01-01", periods=50 * 12, freq="2h", tz="UTC").as_unit("us")
    price, shop = random.uniform(1, 5, len(at)), random.choice([1, 2], len(at))
    sold = 60 - 9 * price + 4 * shop + random.normal(0, 2, len(at))
    rows = pd.DataFrame({"at": at, "price": price, "shop": shop, "sold": sold})
    rows["partition"] = at.strftime("%Y-%m-%d")
    return rows[rows["partition"] != "2024-01-20"]


def binary_rows() -> pd.DataFrame:
    random = np.random.default_rng(5)
    x = random.normal(size=(1_500, 2))
    loyal = random.random(1_500) < 1 / (1 + np.exp(-2 * x[:, 0]))
    return pd.DataFrame(
        {
            "person": np.arange(1_500),
            "spent": x[:, 0],
            "visits": x[:, 1],
            "loyal": np.where(loyal, "yes", "no"),
            "partition": "snapshot",
        }
    )


BINARY = DAILY | {
    "partition": "snapshot",
    "start": None,
    "sources": {"people": {"file": {"path": "people.csv"}}},
    "key": ["person"],
    "task": "classification",
    "target": "loyal",
    "explain": 2,
    "training": {
        "metric": "roc_auc",
        "candidates": [{"estimator": "sklearn.linear_model.LogisticRegression"}],
    },
    "gate": {},
}


DECIDED = BINARY | {
    "positive": "no",
    "training": BINARY["training"]
    | {"metric": "cost", "decision": {"costs": {"false_negative": 5, "false_positive": 1}}},
}


def made(spec: Spec, rows: pd.DataFrame, as_of: str, champion_as_of: str | None = None):
    """The card, the explanation and the evaluation of a training on these rows."""
    champion = None
    if champion_as_of:
        older = assemble(spec, rows, champion_as_of, {"partitions": 1}, {})
        champion = Champion(older.version, champion_as_of, fit_challenger(spec, older).final)
    data = assemble(spec, rows, as_of, {"partitions": 2}, {"sentence": "a test"})
    challenger = fit_challenger(spec, data)
    evaluation = evaluate(spec, data, challenger, champion)
    evaluation = Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict())))
    explanation = json.loads(json.dumps(explain(spec, data, challenger, evaluation)))
    lineage = {**data.lineage, "candidate": challenger.candidate, "trials": challenger.trials}
    lineage = json.loads(json.dumps(lineage, default=str))
    page = render_card(spec, lineage, evaluation, judge(spec, evaluation), explanation)
    return {
        "spec": spec,
        "page": page,
        "explanation": explanation,
        "evaluation": evaluation,
        "lineage": lineage,
    }


@pytest.fixture(scope="module")
def cards():
    def snapshot(name: str, file: str):
        return made(
            load_spec(name), pd.read_csv(PIPELINES / name / file).assign(partition="snapshot"), "snapshot"
        )

    return {
        "regression": made(Spec.model_validate(DAILY), daily_rows(), "2024-02-15", "2024-02-01"),
        "binary": made(Spec.model_validate(BINARY), binary_rows(), "snapshot"),
        "decided": made(Spec.model_validate(DECIDED), binary_rows(), "snapshot"),
        "multi-class": snapshot("iris", "flowers.csv"),
        "clustering": snapshot("wine_segments", "wines.csv"),
    }


FIGURES = {
    "regression": {
        *("losses", "residuals", "over-time", "histogram", "importance", "trials", "window", "target"),
    },
    "binary": {"confusion", "reliability", "contributions", "importance", "target"},
    "decided": {"threshold", "confusion", "reliability", "contributions", "importance", "target"},
    "multi-class": {"confusion", "importance", "trials", "target"},
    "clustering": {"sizes", "plane", "importance", "trials"},
}


def figures_of(page: str) -> dict[str, ET.Element]:
    """The images of a page by name, parsed as the XML they must be."""
    images = [ET.fromstring(image) for image in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    return {image.attrib["aria-labelledby"].split("-t ")[0]: image for image in images}


@pytest.mark.parametrize("kind", FIGURES)
def test_every_kind_has_the_figures_it_needs(cards, kind):
    assert set(figures_of(cards[kind]["page"])) == FIGURES[kind]


@pytest.mark.parametrize("kind", FIGURES)
def test_every_figure_is_named_described_and_inside_its_frame(cards, kind):
    for name, image in figures_of(cards[kind]["page"]).items():
        check_inside(name, image)


def check_inside(name: str, image: ET.Element) -> None:
    assert image.find("title").text, name
    assert image.find("desc").text, name
    *_, width, height = (float(value) for value in image.attrib["viewBox"].split())
    places = 0
    for shape in image.iter():
        across = [shape.get(key) for key in ("x", "x1", "x2", "cx")]
        down = [shape.get(key) for key in ("y", "y1", "y2", "cy")]
        across += [pair.split(",")[0] for pair in shape.get("points", "").split()]
        down += [pair.split(",")[1] for pair in shape.get("points", "").split()]
        for values, most in ((across, width), (down, height)):
            for value in filter(None, values):
                places += 1
                assert -0.5 <= float(value) <= most + 0.5, (name, shape.tag, shape.attrib)
        if shape.get("width") and shape.tag == "rect":
            assert float(shape.get("x")) + float(shape.get("width")) <= width + 0.5, (name, shape.attrib)
    assert places > 5, name


@pytest.mark.parametrize("kind", FIGURES)
def test_no_page_reaches_out(cards, kind):
    page = cards[kind]["page"]
    assert not re.search(r"(src|href)\s*=|@import|url\(|https?://|<script|<link|<iframe", page)
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL).lower().replace(
        "finance", ""
    )


def test_the_figures_tell_what_was_measured(cards):
    texts = {
        (kind, name): image.find("desc").text
        for kind in cards
        for name, image in figures_of(cards[kind]["page"]).items()
    }
    confusion = np.array(cards["multi-class"]["explanation"]["confusion"]["counts"])
    share = cards["multi-class"]["evaluation"].challenger["accuracy"]
    assert np.trace(confusion) / confusion.sum() == pytest.approx(share)
    assert (
        texts["multi-class", "confusion"]
        == f"{np.trace(confusion)} of 30 rows are predicted as what they are"
    )
    assert texts["regression", "importance"].startswith("price ")
    assert texts["binary", "importance"].startswith("spent ")
    assert re.fullmatch(
        r"spent [\d.]+, larger values move it up; visits [\d.]+.*", texts["binary", "contributions"]
    )
    comparison = cards["regression"]["evaluation"].comparison
    assert "all rows: " in texts["regression", "losses"]
    assert "shop = 1: " in texts["regression", "losses"]
    assert comparison.low < comparison.loss < comparison.high


def test_the_decision_is_told_by_its_threshold_its_curve_and_its_errors(cards):
    case = cards["decided"]
    threshold = case["lineage"]["candidate"]["decision"]["threshold"]
    page, curve = entities.unescape(case["page"]), case["explanation"]["decision"]
    assert f"'no' from a probability of {number(threshold)} on" in page
    image = figures_of(case["page"])["threshold"]
    assert image.find("desc").text.startswith(
        f"{number(min(curve['values']))} at the chosen threshold {number(threshold)}; between "
    )
    (mark,) = image.iter("circle")
    assert mark.find("title").text == f"from {number(threshold)} on: {number(min(curve['values']))}"
    # The lowest point: a larger y is further down.
    line = next(image.iter("polyline")).attrib["points"].split()
    assert float(mark.attrib["cy"]) == max(float(point.split(",")[1]) for point in line)

    confusion = case["explanation"]["confusion"]
    assert confusion["labels"] == ["no", "yes"]
    (_, missed), (false, _) = confusion["counts"]
    cost = case["evaluation"].challenger["cost"]
    assert (5 * missed + false) / 300 == pytest.approx(cost)
    assert (
        f"{missed} missed at 5 each and {false} false alarms at 1 cost {number(5 * missed + false)}, "
        f"{number(cost)} a row." in page
    )
    assert f"cost a row {cost:.4g} is better than the dummy baseline's" in page
    shares = [text.text for text in figures_of(case["page"])["confusion"].iter("text")]
    assert f"{missed} ({percent(missed / sum(confusion['counts'][0]))})" in shares


def test_a_written_threshold_has_no_curve(cards):
    case = cards["binary"]
    candidate = {**case["lineage"]["candidate"], "decision": {"threshold": 0.3, "positive": "yes"}}
    page = render_card(
        case["spec"],
        {**case["lineage"], "candidate": candidate},
        case["evaluation"],
        Verdict(Outcome.PROMOTED, ()),
        case["explanation"],
    )
    assert "Predicted to be 'yes' from a probability of 0.3 on." in entities.unescape(page)
    assert set(figures_of(page)) == FIGURES["binary"]
    assert "from a probability of" not in case["page"]


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=60, unique=True).map(sorted),
    st.data(),
)
@example([0.0, 1.0], None)
@example([1e-9, 2e-9, 3e-9], None)
def test_any_curve_of_a_decision_is_drawn_within_its_frame(thresholds, data):
    values = (
        [abs(at - 0.3) for at in thresholds]
        if data is None
        else data.draw(st.lists(st.floats(0, 1e6), min_size=len(thresholds), max_size=len(thresholds)))
    )
    curve = {"thresholds": thresholds, "values": values, "best": values.index(min(values))}
    image = figures_of(plots.threshold_curve(curve, "cost a row", "a class of a long name " * 9))["threshold"]
    check_inside("threshold", image)


def test_what_it_was_not_tried_on_is_said(cards):
    page = entities.unescape(cards["regression"]["page"])
    assert "1 partitions of the window have no rows: 2024-01-20." in page
    assert "The model was trained on 2024-01-01 to 2024-02-14 only" in page
    few = entities.unescape(cards["multi-class"]["page"])
    assert "Little is known about classes with fewer than 30 held-out rows: setosa (10)" in few


def test_an_inconclusive_comparison_asks_a_person(cards):
    case = cards["regression"]
    gate = {"champion": {"margin": 0, "test": "superiority"}, "approval": {"when": "inconclusive"}}
    spec = case["spec"].model_copy(update={"gate": Gate.model_validate(gate)})
    verdict = judge(spec, case["evaluation"])
    page = render_card(spec, case["lineage"], case["evaluation"], verdict, case["explanation"])
    clear = case["evaluation"].comparison.high < 0
    assert verdict.outcome is (Outcome.PROMOTED if clear else Outcome.INCONCLUSIVE)
    assert ("you decide" in page) is not clear


def test_a_card_without_an_explanation_has_no_figures_of_it(cards):
    case = cards["binary"]
    verdict = Verdict(Outcome.PROMOTED, ())
    for explanation in (None, {}):
        page = render_card(case["spec"], case["lineage"], case["evaluation"], verdict, explanation)
        assert figures_of(page) == {}
        assert "Errors" not in page


@pytest.mark.parametrize("kind", FIGURES)
def test_parts_that_could_not_be_explained_are_left_out(cards, kind):
    case = cards[kind]
    for name in case["explanation"]:
        if name in ("metric", "rows", "window"):
            continue
        part = {**case["explanation"], name: None}
        page = render_card(
            case["spec"], case["lineage"], case["evaluation"], Verdict(Outcome.PROMOTED, ()), part
        )
        assert (
            len(figures_of(page)) < len(figures_of(case["page"]))
            or case["explanation"][name] is None
            or (kind, name) == ("multi-class", "reliability")
            or (kind in ("binary", "decided") and name == "search")
        )


def test_hostile_names_of_features_classes_and_clusters_are_escaped(cards):
    evil = "</text></svg><script>alert(1)</script><b onclick='x'>&\""
    for case in cards.values():
        text = json.dumps(case["explanation"])
        for name in (
            "price",
            "spent",
            "petal_width",
            "proline",
            "yes",
            "setosa",
            "virginica",
            "sold",
            "loyal",
        ):
            text = text.replace(json.dumps(name), json.dumps(evil))
        verdict = Verdict(Outcome.PROMOTED, ())
        page = render_card(case["spec"], case["lineage"], case["evaluation"], verdict, json.loads(text))
        assert evil not in page
        assert "<script" not in page
        assert len(figures_of(page)) == len(figures_of(case["page"]))


LOSSES = st.floats(-1e6, 1e6)


@given(
    losses=st.lists(
        st.builds(
            Loss,
            label=st.text(max_size=80),
            loss=LOSSES,
            low=st.none() | LOSSES,
            high=st.none() | LOSSES,
            allowed=st.none() | LOSSES,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_losses_stay_inside_the_frame(losses):
    drawn = str(plots.loss_intervals("losses", "mae", losses))
    drawn = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", drawn)
    check_inside("losses", ET.fromstring(drawn))


SCORES = st.none() | st.floats(-1e9, 1e9)


@given(
    scores=st.lists(SCORES, min_size=2, max_size=30).filter(lambda found: any(s is not None for s in found))
)
@example(scores=[2.0, 0.0, 0.0, 0.0, 0.0])
def test_any_trials_stay_inside_the_frame(scores):
    trials = [{"estimator": f"a.{'AB'[place % 2]}", "score": score} for place, score in enumerate(scores)]
    check_inside("trials", ET.fromstring(str(plots.trial_scores(trial_scores("mae", trials), "mae"))))


@given(values=st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=20))
def test_ticks_lie_in_the_range_and_are_not_many(values):
    low, high = spanned(values)
    ticks = Scale(low, high, 0, 100).ticks()
    assert 1 <= len(ticks) <= 12
    assert all(low - 1e-6 * (high - low) <= tick <= high + 1e-6 * (high - low) for tick in ticks)


@given(text=st.text(max_size=200), room=st.floats(0, WIDTH))
def test_a_label_is_cut_to_its_room(text, room):
    assert len(cut(text, room)) <= max(4, room / 7)
