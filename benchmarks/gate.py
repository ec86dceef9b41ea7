"""Challenger against champion on a million hold-out rows: seconds and memory of the bootstrap of the gate."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figure import ROUNDS, Figure
from evergreen.evaluation.compare import compare, intervals
from evergreen.metrics.predictions import Predictions
from evergreen.spec import ChampionRule, Task

ROWS = 1_000_000
DAYS = 28
RULE = ChampionRule(rounds=1_000)
SECONDS = 10
MEGABYTES = 1_000


def measure() -> list[Figure]:
    """Seconds of a comparison and of the intervals of all metrics, and the most memory that they took.

    The worse of a regression by days (mae) and a classification of independent rows (roc_auc), each measured
    in a process of its own; the memory is that of the whole process, with interpreter, libraries and rows.
    """
    worlds = (_regression, _classification)
    found = [[_alone(world) for world in worlds] for _ in range(ROUNDS)]
    seconds = max(statistics.median(one[world][0] for one in found) for world in range(len(worlds)))
    megabytes = max(statistics.median(one[world][1] for one in found) for world in range(len(worlds)))
    name = f"gate of {ROWS:,} hold-out rows, {RULE.rounds:,} rounds"
    return [
        Figure(f"{name}: time", seconds, "s", SECONDS),
        Figure(f"{name}: memory", megabytes, "MB", MEGABYTES),
    ]


def _alone(world: Callable[[], tuple[Any, ...]]) -> tuple[float, float]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    worker = context.Process(target=_measured, args=(world, theirs))
    worker.start()
    theirs.close()
    found: tuple[float, float] = ours.recv()
    worker.join()
    return found


def _measured(world: Callable[[], tuple[Any, ...]], answer: Connection) -> None:
    task, metric, actual, challenger, champion, units = world()
    began = time.perf_counter()
    own, theirs = (side.beside(task, actual) for side in (challenger, champion))
    found = compare(metric, own, theirs, units=units, rule=RULE, seed=0)
    around = intervals(own, units=units, rule=RULE, seed=0)
    spent = time.perf_counter() - began
    assert found.low < found.loss < found.high, found
    assert metric in around, around
    answer.send((spent, _peak_megabytes()))


def _peak_megabytes() -> float:
    """The peak of this process alone: Linux counts its parent's to what `getrusage` gives."""
    status = Path("/proc/self/status")
    if status.exists():
        return float(status.read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _regression() -> tuple[Any, ...]:
    random = np.random.default_rng(0)
    actual = random.normal(1000, 100, ROWS)
    days = np.arange(ROWS) * DAYS // ROWS
    sides = [Predictions(actual + random.normal(0, size, ROWS)) for size in (9.9, 10)]
    return Task.REGRESSION, "mae", actual, *sides, days


def _classification() -> tuple[Any, ...]:
    random = np.random.default_rng(0)
    actual = random.integers(0, 2, ROWS)
    sides = [_scored(actual + random.normal(0, size, ROWS)) for size in (0.99, 1)]
    return Task.CLASSIFICATION, "roc_auc", np.array(["no", "yes"], dtype=object)[actual], *sides, None


def _scored(score: NDArray[np.float64]) -> Predictions:
    likely = 1 / (1 + np.exp(0.5 - score))
    labels = np.array(["no", "yes"], dtype=object)[(likely > 0.5).astype(int)]
    return Predictions(labels, np.column_stack([1 - likely, likely]), ("no", "yes"))
