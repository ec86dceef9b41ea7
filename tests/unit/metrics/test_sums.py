"""Metrics from sums are those of the rows themselves, whatever rows are taken how often."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from evergreen.metrics import metric_named, metrics_of
from evergreen.metrics.measured import measured
from evergreen.metrics.sums import BINS, binned
from evergreen.task import Task
from tests.unit.metrics.compute import COSTS, compute

ROWS, UNITS = 240, 8


def regression(random):
    actual = random.normal(1000, 10, ROWS)
    return Task.REGRESSION, actual, actual + random.normal(0, 3, ROWS), {}


def classification(random, classes=3, digits=12):
    probabilities = random.dirichlet(np.ones(classes), ROWS).round(digits)
    names = np.array(["a", "b", "c", "d"][:classes])
    actual = names[random.integers(0, classes, ROWS)]
    known = {"probabilities": probabilities, "classes": names.tolist()}
    return Task.CLASSIFICATION, actual, names[probabilities.argmax(axis=1)], known


def decision(random):
    task, actual, predicted, known = classification(random, classes=2)
    return task, actual, predicted, {**known, "costs": COSTS}


def clustering(random):
    labels = random.integers(0, 3, ROWS)
    return Task.CLUSTERING, None, labels, {"space": random.normal(labels[:, None], 1, (ROWS, 2))}


CASES = [
    (world, metric.name)
    for world, task in (
        (regression, Task.REGRESSION),
        (classification, Task.CLASSIFICATION),
        (decision, Task.CLASSIFICATION),
        (clustering, Task.CLUSTERING),
    )
    for metric in metrics_of(task)
    if metric.of_costs == (world is decision)
]


def taken(more, rows):
    """What `measured` is given beside labels, of some rows."""
    return {
        key: known if key in ("classes", "costs") else np.asarray(known)[rows] for key, known in more.items()
    }


@pytest.mark.parametrize(("world", "name"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_units_drawn_by_their_sums_have_the_metric_of_their_rows(world, name):
    random = np.random.default_rng(0)
    task, actual, predicted, more = world(random)
    unit = random.integers(0, UNITS, ROWS)
    rows = measured(task, actual, predicted, **more)
    counts = np.vstack([np.ones(UNITS), random.multinomial(UNITS, np.full(UNITS, 1 / UNITS), 20)])
    found = np.mean(
        [part.metric(counts @ part.values) for part in metric_named(name).sums(rows, unit, UNITS)], axis=0
    )
    assert found[0] == pytest.approx(rows.value(name))
    for value, count in zip(found, counts, strict=True):
        if name == "silhouette":  # distances to the rows of all units, so that only their mean is drawn
            continue
        drawn = np.repeat(np.arange(ROWS), count[unit].astype(int))
        truth = None if actual is None else actual[drawn]
        assert value == pytest.approx(compute(task, truth, predicted[drawn], **taken(more, drawn))[name])


@pytest.mark.parametrize(("world", "name"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_a_metric_pools_over_partitions_as_it_says(world, name):
    """The mean over partitions, weighted by rows, is the value of all rows for `mean` and for no other."""
    random, metric = np.random.default_rng(4), metric_named(name)
    task, actual, predicted, more = world(random)
    unit = np.minimum(random.geometric(0.3, ROWS) - 1, UNITS - 1)
    rows = measured(task, actual, predicted, **more)
    parts = list(metric.sums(rows, unit, UNITS))
    if metric.pools != "rows":
        assert len(parts) == 1, "groups of rows are measured by these sums"
    if task is not Task.CLUSTERING:  # which is never measured by partition
        counts = np.bincount(unit, minlength=UNITS)
        by_partition = np.mean([part.metric(part.values) for part in parts], axis=0)
        pooled = (by_partition * counts).sum() / ROWS
        assert (pooled == pytest.approx(rows.value(name))) == (metric.pools == "mean")


@pytest.mark.parametrize(
    ("world", "name"),
    [case for case in CASES if case[0] is not clustering],
    ids=lambda v: getattr(v, "__name__", v),
)
def test_a_row_of_weight_three_counts_as_three_rows(world, name):
    random = np.random.default_rng(3)
    task, actual, predicted, more = world(random)
    unit, weights = random.integers(0, UNITS, ROWS), random.integers(1, 4, ROWS)
    drawn = np.repeat(np.arange(ROWS), weights)
    repeated = measured(task, actual[drawn], predicted[drawn], **taken(more, drawn))
    weighted = measured(task, actual, predicted, weights=weights, **more)
    counts = random.multinomial(UNITS, np.full(UNITS, 1 / UNITS), 20)
    found, wanted = (
        np.mean(
            [part.metric(counts @ part.values) for part in metric_named(name).sums(rows, of, UNITS)], axis=0
        )
        for rows, of in ((weighted, unit), (repeated, unit[drawn]))
    )
    assert found == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc"])
@pytest.mark.parametrize("share", [0.5, 0.01])
def test_areas_from_bins_are_off_by_little(name, share):
    random = np.random.default_rng(1)
    n = 100_000
    actual = (random.random(n) < share).astype(int)
    scores = 1 / (1 + np.exp(-random.normal(actual * 1.5, 1, n)))
    rows = measured(
        Task.CLASSIFICATION,
        actual,
        (scores > 0.5).astype(int),
        probabilities=np.column_stack([1 - scores, scores]),
        classes=[0, 1],
    )
    (part,) = metric_named(name).sums(rows, np.zeros(n, dtype=int), 1)
    error = abs(part.metric(part.values)[0] - rows.value(name))
    print(f"{name}, {share:.0%} of the class: {BINS} bins are off by {error:.1e} of {rows.value(name):.3f}")
    assert error < (5e-5 if name == "roc_auc" else 2e-3)


def test_few_different_scores_have_a_bin_each():
    scores = np.array([0.3, 0.1, 0.3, 0.9])
    bins, size = binned(scores, np.array([True, False, False, True]))
    assert len(set(bins[[0, 2]])) == 1
    assert bins[1] < bins[0] < bins[3] < size


def test_bins_rise_with_the_score_and_are_few():
    scores = np.random.default_rng(0).random(50_000) ** 5
    bins, size = binned(scores, scores > 0.999)
    assert size <= BINS + 1
    assert (np.diff(bins[np.argsort(scores)]) >= 0).all()


def test_what_cannot_be_computed_has_no_sums_or_is_nan():
    one = measured(Task.CLASSIFICATION, ["a", "a"], ["a", "a"], probabilities=np.eye(2), classes=["a", "b"])
    assert list(metric_named("roc_auc").sums(one, np.arange(2), 2)) == []
    rows = measured(Task.CLASSIFICATION, ["a", "b"], ["a", "b"], probabilities=np.eye(2), classes=["a", "b"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("roc_auc", "pr_auc", "f1"):
            (part,) = metric_named(name).sums(rows, np.arange(2), 2)
            alone = part.metric(np.array([[2.0, 0.0]]) @ part.values)
            # Only rows of the other class: no curve, and what was found is all there is.
            assert np.isnan(alone[0]) if name != "f1" else alone[0] == 1
