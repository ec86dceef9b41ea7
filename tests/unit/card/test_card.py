"""The card a person decides by: what it says in every case, whole in itself and safe to open."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser

import pytest

from evergreen.calendar import Grain
from evergreen.card.card import reason_sentence, render_card
from evergreen.card.comparison import slice_lines
from evergreen.evaluation.bootstrap import Interval
from evergreen.evaluation.compare import Comparison
from evergreen.evaluation.coverage import ClassResult, CoverageResult, SizeResult
from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.fairness import FairnessResult, GroupResult
from evergreen.evaluation.gate import judge
from evergreen.evaluation.resources import ResourceUse
from evergreen.evaluation.slices import SliceResult
from evergreen.evaluation.verdict import Check, Outcome, Verdict
from evergreen.spec import Gate, load_spec

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
        "preprocess": [
            "sklearn.preprocessing.StandardScaler",
            {"step": "a.B", "params": {"n": 2}, "columns": None},
        ],
        "target_transform": "log1p",
        "params": {"alpha": 0.5},
    },
    "trials": [
        {"estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 0.5}, "score": 51.0},
        {"estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 9.0}, "score": 71.0},
        {"estimator": "sklearn.dummy.DummyRegressor", "params": {}, "score": None},
    ],
}
OLD = {"version": "old-1", "as_of": "x", "metrics": {"mae": 45.0, "rmse": 59.0}, "problem": None}
RULES = {"limits": {"mae": {"max": 120}}, "champion": {"margin": 0.1}}


def compared(loss=-1.5, low=-3.0, high=-0.25, champion=45.0, rows=96) -> Comparison:
    return Comparison("mae", rows, 7, champion + loss, champion, loss, low, high, 0.95, 1_000)


def evaluation_of(champion=None, comparison=None, **more) -> Evaluation:
    return Evaluation(
        metric="mae",
        challenger={"rmse": 61.25, "mae": 41.5},
        baseline={"rmse": 170.0, "mae": 130.0},
        champion=champion,
        challenger_on_champion_rows={"mae": 43.5, "rmse": 60.0} if champion else None,
        rows=168,
        compared_rows=96 if champion else 0,
        comparison=comparison,
        against_baseline=Comparison("mae", 168, 7, 41.5, 130.0, -88.5, -95.0, -82.0, 0.95, 1_000),
        **more,
    )


def spec_of(gate=RULES, name="bike_demand"):
    return load_spec(name).model_copy(update={"gate": Gate.model_validate(gate)})


def card(evaluation=None, gate=RULES, lineage=LINEAGE, explanation=None, verdict=None) -> str:
    spec, evaluation = spec_of(gate), evaluation or evaluation_of()
    return render_card(spec, lineage, evaluation, verdict or judge(spec, evaluation), explanation)


class Text(HTMLParser):
    """Collects the words of a page, and checks that what is opened is closed and ids are unique."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        assert not [name for name, _ in attrs if name.startswith("on")], "no script"
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)


def text_of(html: str) -> str:
    page = Text()
    page.feed(html)
    page.close()
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    return " ".join(" ".join(page.words).split())


def test_it_says_what_why_how_and_what_the_gate_found():
    text = text_of(card())
    for said in (
        VERSION,
        "trained as of 2011-06-01",
        "promoted The gate promotes this version: it is the first champion from 2011-06-01 on.",
        "All 4 checks passed.",
        "mae 70 over the last 5 partitions against 50 promised",
        "mae (decides) lower 41.5 130",
        "mae 41.5 is better than the dummy baseline's 130",
        "There is no champion yet.",
        "3,600 rows in 151 partitions, 2011-01-01 to 2011-05-31",
        "alpha = 0.5",
        "StandardScaler",
        '{"step": "a.B", "params": {"n": 2}, "columns": null}',
        "d" * 64,
        "scikit-learn 1.9.1",
        f"evergreen models show bike_demand {VERSION}",
    ):
        assert said in text


def test_the_metric_that_decides_comes_first():
    text = text_of(card())
    assert text.index("mae (decides)") < text.index("rmse lower 61.25")


def test_intervals_stand_beside_the_metrics_they_are_of():
    intervals = {"mae": Interval(40.25, 42.75), "rmse": Interval(math.nan, math.nan)}
    text = text_of(card(evaluation_of(intervals=intervals)))
    assert "mae (decides) lower 41.5 40.25 to 42.75 130" in text
    assert "rmse lower 61.25 170" in text
    assert "nan" not in text


def test_the_champion_stands_beside_on_the_shared_rows():
    text = text_of(card(evaluation_of(OLD, compared())))
    assert "mae (decides) lower 41.5 130 43.5 45 -1.5 (-3.33%)" in text
    assert "Shared are the 96 of them on which the champion was not trained either." in text
    assert "it replaces champion old-1 from 2011-06-01 on" in text
    assert "In mae the challenger is 1.5 (3.33%) better than the champion: 43.5 against 45." in text
    assert "With 95% confidence its true loss is between -3 and -0.25 (below 0 is better)" in text
    assert "to be a loss of 4.5 (10% of the champion's) or less" in text


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"test": "superiority", "margin": 0.1}, "to be a gain of more than 4.5 (10% of the champion's)"),
        ({"test": "superiority", "margin": 0}, "the whole interval to be a gain."),
        ({"margin": 0}, "the whole interval to be no loss"),
    ],
)
def test_what_is_asked_of_the_interval_in_words(rule, said):
    assert said in text_of(card(evaluation_of(OLD, compared()), {"champion": rule}))


def test_the_figure_of_the_loss_names_interval_and_margin():
    html = card(evaluation_of(OLD, compared()))
    assert "all rows: -1.5, -3 to -0.25, allowed +4.5" in html


@pytest.mark.parametrize(
    ("grain", "said"),
    [
        ("hourly", "7 blocks of days"),
        ("daily", "7 blocks of partitions"),
        ("monthly", "7 blocks of partitions"),
        ("snapshot", "7 groups of rows"),
    ],
)
def test_what_is_resampled_is_said_by_grain(grain, said):
    spec = spec_of().model_copy(update={"partition": Grain(grain)})
    evaluation = evaluation_of(OLD, compared())
    page = render_card(spec, LINEAGE, evaluation, judge(spec, evaluation), None)
    assert f"1,000 resamples of {said}." in text_of(page)


def test_a_refusal_says_what_stays_and_why_first():
    text = text_of(card(evaluation_of(OLD, compared(20.0, 18.0, 22.0)), {"limits": {"mae": {"max": 20}}}))
    top = text[: text.index("Why it was trained")]
    assert "worse This version is worse than the gate allows: champion old-1 stays in force." in top
    assert "mae 41.5 is above its limit of 20" in top
    assert "is worse than champion old-1" in top


def test_many_reasons_are_cut_at_the_top_alone():
    checks = tuple(Check(f"check {number}", False, f"reason {number}") for number in range(9))
    text = text_of(card(verdict=Verdict(Outcome.WORSE, checks)))
    top, _, below = text.partition("Why it was trained")
    assert "reason 5 and 3 more: see below" in top
    assert "reason 6" not in top
    assert "reason 8" in below


@pytest.mark.parametrize("when", ["always", "inconclusive"])
def test_a_person_is_told_what_is_open_and_what_an_answer_means(when):
    gate = {**RULES, "champion": {"margin": 0}, "approval": {"when": when, "by": ["ann", "bob"]}}
    text = text_of(card(evaluation_of(OLD, compared(-1.0, -3.0, 2.0)), gate))
    top = text[: text.index("Why it was trained")]
    assert "a person decides The comparison with the champion is inconclusive" in top
    assert "Approve it replaces champion old-1" in top
    assert "Reject champion old-1 stays in force; also without an answer in time" in top
    assert "Who may answer ann, bob" in top
    assert "inconclusive champion mae" in text


def test_an_approval_that_is_always_asked_for_says_that_all_checks_hold():
    text = text_of(card(gate={**RULES, "approval": {"when": "always"}}))
    top = text[: text.index("Why it was trained")]
    assert "All checks of the gate passed, and this pipeline requires approval" in top
    assert "Reject there is still no champion" in top
    assert "Who may answer" not in top


def test_a_challenger_that_waits_for_its_shadow_says_so():
    verdict = Verdict(Outcome.PROMOTED, (Check("a", True, "fine"),), True, shadow=1000)
    text = text_of(card(evaluation_of(OLD, compared(-3.0, -3.5, -2.5)), verdict=verdict))
    top = text[: text.index("Why it was trained")]
    assert "waits for its shadow No check of the gate failed, and this pipeline asks for a shadow: " in top
    assert "champion old-1 stays in force until its shadow has been asked 1,000 rows beside it" in top
    assert "Who may answer" not in top


def test_a_champion_that_could_not_be_measured_is_said_so():
    champion = {**OLD, "metrics": None, "problem": "it does not fit"}
    text = text_of(card(evaluation_of(champion)))
    assert "It cannot be compared: it does not fit." in text
    assert "mae (decides) lower 41.5 130 43.5 - -" in text


def test_a_comparison_without_an_interval_says_that_there_is_too_little_data():
    text = text_of(card(evaluation_of(OLD, compared(-1.0, math.nan, math.nan))))
    assert "a difference cannot be distinguished from chance" in text
    text = text_of(card(evaluation_of(OLD, compared(math.nan, math.nan, math.nan))))
    assert "nan" not in text


def test_slices_that_did_worse_come_first_and_small_ones_are_called_so():
    gate = {**RULES, "slices": [{"column": "holiday", "margin": 0.1, "minimum": 30, "required": ["gone"]}]}
    slices = (
        SliceResult("holiday", "no", 80, False, compared(1.0, -2.0, 4.0)),
        SliceResult("holiday", "yes", 40, False, compared(9.0, 5.0, 13.0)),
        SliceResult("holiday", "maybe", 40, False, compared(9.0, -5.0, 23.0)),
        SliceResult("holiday", "odd", 35, True, compared(math.nan, math.nan, math.nan)),
        SliceResult("holiday", "vague", 40, False, compared(9.0, math.nan, math.nan)),
        SliceResult("holiday", "rare", 3, False, None),
        SliceResult("holiday", "gone", 0, True, None),
    )
    text = text_of(card(evaluation_of(OLD, compared(), slices=slices), gate))
    names = ("yes", "vague", "odd", "rare", "gone", "no", "maybe")
    table = text[text.index("Slices slice") : text.index("Checks of the gate")]
    places = [table.index(f"holiday = {name} ") for name in names]
    assert places == sorted(places)
    assert "holiday = yes worse than its margin allows 40 54 45 +9 +5 to +13 +4.5" in table
    assert "holiday = no within its margin 80" in table
    assert "holiday = maybe above its margin, perhaps by chance" in table
    assert "holiday = odd mae cannot be computed, and it is required" in table
    assert "holiday = gone too few rows to judge, and it is required" in table
    assert "Too few rows to judge these slices: holiday = rare (3), holiday = gone (0)." in text
    assert "nan" not in text


def test_slices_without_a_champion_say_so():
    gate = {**RULES, "slices": ["holiday"]}
    text = text_of(card(evaluation_of(slices=(SliceResult("holiday", "no", 80, False, None),)), gate))
    assert "holiday = no nothing to compare it with 80" in text


def test_groups_stand_with_their_difference_and_what_is_allowed():
    gate = {**RULES, "fairness": [{"column": "sex", "metric": "mae", "max_difference": 5}]}
    groups = (
        GroupResult("f", 70, True, 40.0),
        GroupResult("m", 60, True, 46.0),
        GroupResult("x", 4, False, math.nan),
    )
    text = text_of(card(evaluation_of(fairness=(FairnessResult("sex", "mae", groups),)), gate))
    assert "f: 40 (70 rows) , m: 46 (60 rows) , x: too few rows (4 rows) 6 at most 5 too unequal" in text
    assert "Too few rows to judge these groups: sex = x (4)." in text


def test_what_the_model_needs_stands_beside_its_limits():
    gate = {**RULES, "resources": {"latency": {"row": 5, "thousand_rows": 50}, "size": "1 MB"}}
    used = ResourceUse(row=7.25, thousand_rows=math.nan, size=512 * 1024.0)
    text = text_of(card(evaluation_of(resources=used), gate))
    assert "one row, 95th percentile 7.25 ms at most 5 ms above the limit" in text
    assert "1,000 rows, 95th percentile - ms at most 50 ms above the limit" in text
    assert "size of the model's file 512 kB at most 1 MB held" in text
    assert "memory once loaded" not in text


def test_a_window_that_begins_at_a_break_says_who_found_it():
    change = {"since": "2011-02-20", "signal": "cusum", "partition": "2011-03-02"}
    window = {**LINEAGE["window"], "first": "2011-02-20", "change": change}
    assert (
        "Rows before 2011-02-20 are left out: CUSUM of the error found in the night of 2011-03-02 that the "
        "data changed with 2011-02-20."
    ) in text_of(card(lineage={**LINEAGE, "window": window}))
    assert "left out" not in text_of(card())


def test_a_champion_that_has_seen_the_rows_is_among_the_limits():
    text = text_of(card(evaluation_of({**OLD, "seen": True}, compared())))
    assert "The champion may have been trained on rows it is compared on, which makes it look better." in text


def test_the_best_settings_come_first_and_those_without_a_score_not_at_all():
    text = text_of(card())
    assert "Best of 3 settings tried" in text
    assert text.index("alpha = 0.5 51") < text.index("alpha = 9 71")
    assert "DummyRegressor" not in text


HOSTILE = "</style><script>alert('x')</script>\"><img src=x onerror=y> {{ 7 * 7 }}"


def hostile(value):
    """The value with every text in it replaced, keys of free choice included."""
    if isinstance(value, dict):
        return {key: hostile(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [hostile(entry) for entry in value]
    return f"{HOSTILE}{value}" if isinstance(value, str) else value


def test_everything_is_escaped():
    lineage = hostile(LINEAGE) | {"packages": {HOSTILE: "1"}, "digests": {HOSTILE: "1"}}
    lineage["candidate"]["params"] = {HOSTILE: HOSTILE}
    champion = {**OLD, "version": HOSTILE, "problem": HOSTILE}
    evaluation = evaluation_of(
        champion,
        compared(),
        slices=(SliceResult(HOSTILE, HOSTILE, 50, True, compared()),),
        fairness=(FairnessResult(HOSTILE, "mae", (GroupResult(HOSTILE, 50, True, 1.0),)),),
    )
    verdict = Verdict(Outcome.WORSE, (Check(HOSTILE, False, HOSTILE),))
    spec = spec_of().model_copy(update={"description": HOSTILE, "owner": HOSTILE})
    html = render_card(spec, lineage, evaluation, verdict)
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("</style>") == 1
    assert "&lt;script&gt;" in html
    assert "{{ 7 * 7 }}" in text_of(html)


def test_the_page_is_whole_in_itself():
    html = card(evaluation_of(OLD, compared()))
    assert not re.search(r"(src|href)\s*=|@import|url\(|https?://|<script|<link|<iframe", html)


def test_an_evaluation_of_before_comparisons_still_makes_a_card():
    old = evaluation_of(OLD).to_dict()
    kept = (
        "metric",
        "challenger",
        "baseline",
        "champion",
        "challenger_on_champion_rows",
        "rows",
        "compared_rows",
    )
    evaluation = Evaluation.from_dict({name: old[name] for name in kept})
    verdict = Verdict.from_dict({"promote": True, "checks": [{"name": "a", "passed": True, "detail": "b"}]})
    text = text_of(card(evaluation, verdict=verdict))
    assert "it replaces champion old-1" in text
    assert "mae (decides) lower 41.5 130 43.5 45" in text


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


@pytest.mark.parametrize("champion", [OLD, None])
@pytest.mark.parametrize("rows", [3, 40])
@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("loss", [-1.0, 4.0, 9.0, math.nan])
@pytest.mark.parametrize("low", [-5.0, 0.5, math.nan])
def test_a_slice_is_told_as_the_gate_judges_it(champion, rows, required, loss, low):
    found = compared(loss, low, 20.0) if champion and rows >= 30 else None
    part = SliceResult("holiday", "yes", rows, required, found)
    evaluation = evaluation_of(champion, compared() if champion else None, slices=(part,))
    spec = spec_of({**RULES, "slices": [{"column": "holiday", "margin": 0.1, "required": required}]})
    passed = all(check.passed for check in judge(spec, evaluation).checks if "holiday" in check.name)
    (line,) = slice_lines(spec, evaluation)
    told = line.outcome not in ("worse", "unknown") and "required" not in line.said
    if champion:
        assert told is passed
    else:
        assert line.said == "nothing to compare it with"


def test_the_promise_of_the_intervals_beside_what_they_hold():
    sizes = (
        SizeResult(low=0.0, high=9.5, rows=84, covered=0.94, width=20.0),
        SizeResult(low=9.6, high=400.0, rows=84, covered=0.82, width=80.0),
    )
    results = (
        CoverageResult(0.9, 0.881, Interval(0.84, 0.92), 50.0, sizes),
        CoverageResult(0.99, 1.0, Interval(math.nan, math.nan), math.nan, sizes),
    )
    said = text_of(card(evaluation_of(coverage=results)))
    assert "promised 90%: covered mean width promised 99%: covered mean width" in said
    assert "all 168 88.1% (84% to 92%) 50 100% -" in said
    assert "0 to 9.5 84 94% 20 94% 20 9.6 to 400 84 82% 80" in said
    assert "far more in one" in said
    assert "Intervals" not in text_of(card())


def test_the_coverage_of_sets_by_class_the_least_covered_of_many():
    classes = tuple(
        ClassResult(name=f"k{number:02}", rows=7, covered=number / 25, width=1.5) for number in range(24)
    )
    result = CoverageResult(0.9, 0.881, Interval(0.84, 0.92), 1.25, by_class=classes)
    said = text_of(card(evaluation_of(coverage=(result,))))
    assert "true class rows promised 90%: covered classes in a set all 168 88.1% (84% to 92%) 1.25" in said
    assert "k00 7 0% 1.5 k01 7 4% 1.5" in said
    assert "k19" in said
    assert "k20" not in said
    assert "The least covered of 24 classes are shown" in said
    assert "Intervals" not in said
