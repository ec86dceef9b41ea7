from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.gate import judge
from evergreen.reports.card import reason_sentence, render_card
from evergreen.spec import Gate, Limit, load_spec

VERSION = "2011-06-01-0123456789ab"
LINEAGE = {
    "as_of": "2011-06-01",
    "version": VERSION,
    "reason": {"sentence": "mae 70 over the last 5 partitions against 50 promised", "kind": "drift"},
    "window": {"first": "2011-01-01", "last": "2011-05-31", "partitions": 151, "rows": 3600},
    "table_versions": {"partitions": 12},
    "digests": {"data": "d" * 64, "spec": "e" * 64, "code": "f" * 64},
    "git_commit": None,
    "packages": {"python": "3.11.7", "scikit-learn": "1.9.1"},
    "candidate": {
        "estimator": "sklearn.linear_model.Ridge",
        "preprocess": ["sklearn.preprocessing.StandardScaler"],
        "target_transform": "log1p",
        "params": {"alpha": 0.5},
    },
    "trials": [
        {"estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 0.5}, "score": 51.0},
        {"estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 9.0}, "score": 71.0},
        {"estimator": "sklearn.dummy.DummyRegressor", "params": {}, "score": None},
    ],
}


def evaluation_of(champion=None) -> Evaluation:
    return Evaluation(
        metric="mae",
        challenger={"rmse": 61.25, "mae": 41.5},
        baseline={"rmse": 170.0, "mae": 130.0},
        champion=champion,
        challenger_on_champion_rows={"mae": 43.5, "rmse": 60.0} if champion else None,
        rows=168,
        compared_rows=96 if champion else 0,
    )


def card(lineage=LINEAGE, champion=None) -> str:
    described = load_spec("bike_demand")
    spec = described.model_copy(update={"gate": Gate(limits={"mae": Limit(max=120)})})
    evaluation = evaluation_of(champion)
    return render_card(spec, lineage, evaluation, judge(spec, evaluation))


class Text(HTMLParser):
    """Collects the words of a page, and checks that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)


def text_of(html: str) -> str:
    page = Text()
    page.feed(html)
    assert page.open == []
    return " ".join(" ".join(page.words).split())


def test_it_says_what_why_how_and_what_the_gate_found():
    text = text_of(card())
    for said in (
        VERSION,
        "trained as of 2011-06-01",
        "accepted: all 4 checks passed",
        "mae 70 over the last 5 partitions against 50 promised",
        "mae (decides) 41.5 130 lower",
        "mae 41.5 is better than the dummy baseline's 130",
        "There is no champion yet.",
        "3600 rows in 151 partitions, 2011-01-01 to 2011-05-31",
        "alpha = 0.5",
        "d" * 64,
        "scikit-learn 1.9.1",
    ):
        assert said in text


def test_the_metric_that_decides_comes_first():
    text = text_of(card())
    assert text.index("mae (decides)") < text.index("rmse 61.25")


def test_the_champion_stands_beside_on_the_shared_rows():
    champion = {"version": "old-1", "as_of": "x", "metrics": {"mae": 40.0, "rmse": 59.0}, "problem": None}
    text = text_of(card(champion=champion))
    assert "mae (decides) 41.5 130 43.5 40" in text
    assert "the shared rows are the 96 of them" in text
    assert "refused: mae 43.5 is worse than champion old-1's 40 on the same 96 rows" in text


def test_a_champion_that_could_not_be_measured_is_said_so():
    champion = {"version": "old-1", "as_of": "x", "metrics": None, "problem": "it does not fit"}
    assert "it does not fit" in text_of(card(champion=champion))


def test_the_best_settings_come_first_and_those_without_a_score_not_at_all():
    text = text_of(card())
    assert "Best of 3 settings tried" in text
    assert text.index("alpha = 0.5 51") < text.index("alpha = 9 71")
    assert "DummyRegressor" not in text


def test_everything_is_escaped():
    html = card({**LINEAGE, "reason": {"sentence": "<script>alert(1)</script>"}})
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_the_page_is_whole_in_itself():
    html = card()
    assert not re.search(r"(src|href)\s*=|@import|url\(|https?://", html)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ({"sentence": "it drifted", "kind": "drift"}, "it drifted"),
        ({"trigger": "shell"}, "trigger: shell"),
        ({}, "no reason was given"),
    ],
)
def test_a_reason_in_words(reason, words):
    assert reason_sentence(reason) == words
