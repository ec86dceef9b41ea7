"""The registry, and what every metric in it says of itself."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from evergreen.errors import NotFoundError
from evergreen.metrics import METRICS, metric_named, metrics_of, register
from evergreen.metrics.rates import RATES
from evergreen.task import Task


def test_every_metric_is_registered_once_by_its_name():
    assert all(metric_named(name).name == name for name in METRICS)
    assert sorted(metric.name for task in Task for metric in metrics_of(task)) == sorted(METRICS)
    with pytest.raises(ValueError, match="metric 'mae': the name is taken"):
        register(metric_named("mae"))


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(NotFoundError, match=r"no metric 'made_up': there are .*mae, rmse"):
        metric_named("made_up")


def test_every_metric_and_rate_has_its_line_in_the_docs():
    """A table for each task, in the order of the registry, with name, words, direction and formula."""
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
    for task in Task:
        section = page.split(f"## {task.capitalize()}\n")[1].split("## ")[0]
        lines = [line for line in section.splitlines() if line.startswith("| `")]
        assert len(lines) == len(metrics_of(task))
        for metric, line in zip(metrics_of(task), lines, strict=True):
            for told in (f"| `{metric.name}` |", metric.words, f"| {metric.better} |", metric.formula):
                assert told in line, metric.name
    rates = page.split("## Rates of a positive class\n")[1]
    assert [line.split("`")[1] for line in rates.splitlines() if line.startswith("| `")] == list(RATES)


def test_every_metric_has_words_of_its_own_and_says_how_it_is_computed():
    words = [metric.words for metric in METRICS.values()]
    assert all(words)
    assert len(set(words)) == len(words)
    assert all(len(metric.formula) > 20 for metric in METRICS.values())


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_the_best_value_bounds_the_range_on_the_side_that_is_better(metric):
    """No metric is better than perfect; Calinski-Harabasz has no perfect value."""
    perfect = metric.high if metric.higher_is_better else metric.low
    assert metric.low < metric.high
    assert math.isfinite(perfect) or metric.name == "calinski_harabasz"


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("mae", 0, math.inf),
        ("rmse", 0, math.inf),
        ("mape", 0, math.inf),
        ("r2", -math.inf, 1),
        ("roc_auc", 0, 1),
        ("log_loss", 0, math.inf),
        ("brier", 0, 1),
        ("silhouette", -1, 1),
        ("calinski_harabasz", 0, math.inf),
    ],
)
def test_values_are_kept_within_the_range_alone(name, low, high):
    metric = metric_named(name)
    assert metric.within(-5.0) == max(-5.0, low)
    assert metric.within(5.0) == min(5.0, high)
    assert metric.within(0.5) == 0.5


@pytest.mark.parametrize(
    ("name", "value", "allowed", "of"),
    [
        ("mae", 8.0, 2.0, "the champion's"),
        ("log_loss", 0.4, 0.1, "the champion's"),
        ("brier", 0.2, 0.05, "the champion's"),
        ("roc_auc", 0.901, 0.02475, "the champion's distance from 1"),
        ("accuracy", 0.8, 0.05, "the champion's distance from 1"),
        ("f1", 0.4, 0.15, "the champion's distance from 1"),
        ("r2", -3.0, 1.0, "the champion's distance from 1"),
        ("silhouette", -0.2, 0.3, "the champion's distance from 1"),
        ("calinski_harabasz", 200.0, 50.0, "the champion's"),  # there is no best value
    ],
)
def test_a_quarter_allows_a_quarter_of_the_distance_from_perfect_whatever_the_metric(
    name, value, allowed, of
):
    assert metric_named(name).allowance(value, 0.25) == pytest.approx(allowed)
    assert metric_named(name).share_of("the champion's") == of


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_perfect_model_allows_nothing(metric):
    assert not math.isfinite(metric.best) or metric.allowance(metric.best, 0.25) == 0
    assert not math.isfinite(metric.best) or metric.worse_by(0.5, metric.best) is None


@pytest.mark.parametrize(
    ("name", "value", "other", "share"),
    [
        ("mae", 110.0, 100.0, 0.1),
        ("mae", 90.0, 100.0, -0.1),
        ("roc_auc", 0.78, 0.80, 0.1),  # 0.22 are missing instead of 0.20
        ("roc_auc", 0.95, 0.90, -0.5),  # half of what was missing
        ("f1", 0.0, 0.2, 0.25),
        ("log_loss", 0.6, 0.4, 0.5),
        ("r2", -1.0, 0.0, 1.0),
        ("calinski_harabasz", 180.0, 200.0, 0.1),  # there is no perfect value
    ],
)
def test_how_much_worse_a_value_is_is_a_share_of_the_other_s_distance_from_perfect(name, value, other, share):
    assert metric_named(name).worse_by(value, other) == pytest.approx(share)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_what_an_allowance_permits_is_worse_by_its_share(metric):
    other = 0.6
    limit = other + (-1 if metric.higher_is_better else 1) * metric.allowance(other, 0.25)
    assert metric.worse_by(limit, other) == pytest.approx(0.25)


def test_a_loss_is_above_0_where_the_value_is_worse_whichever_way_the_metric_counts():
    assert metric_named("mae").loss(5.0, 3.0) == 2.0
    assert metric_named("accuracy").loss(0.75, 0.5) == -0.25
    assert metric_named("accuracy").loss(0.75) == -0.75
