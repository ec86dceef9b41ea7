"""A million rows of twenty numbers against a stored reference: PSI, Jensen-Shannon and Kolmogorov-Smirnov."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.figure import ROUNDS, Figure
from evergreen.drift.binning import Binning, Counts, binning, count_frame
from evergreen.monitoring.drift import Sample, drift_of
from evergreen.signals.drift import Drift

FEATURES = 20
BATCH = 100_000
TRAINING = 100_000
LIMIT = 1.5
FLAT = 1.05
SIZES = (1_000_000, 4_000_000)


def measure() -> list[Figure]:
    """Seconds of counting and comparing a night on one core, and how the peak memory grows with four of them.

    The memory is that of a process that is given the rows batch by batch, so that what it holds is its own.
    """
    few, many = (_peak(rows) for rows in SIZES)
    seconds = statistics.median(_seconds(SIZES[0], seed) for seed in range(ROUNDS))
    name = f"drift of {SIZES[0]:,} rows x {FEATURES} numbers, PSI, JS and KS, one core"
    return [
        Figure(name, seconds, "s", LIMIT),
        Figure(f"drift, peak memory of {SIZES[1]:,} rows / of {SIZES[0]:,}", many / few, "x", FLAT),
    ]


def _seconds(rows: int, seed: int) -> float:
    """CPU seconds of the process: another's use of the core does not count, a second core would."""
    stored = _stored()
    spent = 0.0
    counts: dict[str, Counts] = {}
    began = time.process_time()
    binnings, reference = _loaded(stored)
    spent += time.process_time() - began
    for frame in _batches(rows, seed):
        began = time.process_time()
        for name, part in count_frame(binnings, frame).items():
            counts[name] = counts[name] + part if name in counts else part
        spent += time.process_time() - began
    began = time.process_time()
    found = drift_of(binnings, reference, Sample.pooled([counts]), Drift())
    spent += time.process_time() - began
    assert [name for name, one in found.items() if one.drifted] == ["f00"], found
    assert all(one.rows == rows for one in found.values())
    return spent


def _peak(rows: int) -> float:
    """The largest resident size, in the system's unit, of a process that measures this many rows."""
    code = (
        "import resource; from benchmarks import drift;"
        f"drift._seconds({rows}, 0); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def _stored() -> str:
    """What a champion keeps of its training rows."""
    training = next(_batches(TRAINING, seed=1000, shifted=0))
    binnings = {str(name): binning(values) for name, values in training.items()}
    counts = {name: found.tolist() for name, found in count_frame(binnings, training).items()}
    return json.dumps({"binnings": {n: b.to_dict() for n, b in binnings.items()}, "counts": counts})


def _loaded(stored: str) -> tuple[dict[str, Binning], Sample]:
    plain = json.loads(stored)
    binnings = {name: Binning.from_dict(made) for name, made in plain["binnings"].items()}
    return binnings, Sample.pooled([plain["counts"]])


def _batches(rows: int, seed: int, shifted: float = 0.5) -> Iterator[pd.DataFrame]:
    """Normal and skewed features, every fourth with gaps; the first one is shifted."""
    draw = np.random.default_rng(seed)
    for _ in range(0, rows, BATCH):
        numbers = draw.normal(size=(BATCH, FEATURES))
        numbers[:, 1::2] = np.exp(numbers[:, 1::2])
        numbers[:, 3::4][draw.random((BATCH, FEATURES // 4)) < 0.02] = np.nan
        numbers[:, 0] += shifted
        yield pd.DataFrame(numbers, columns=[f"f{n:02d}" for n in range(FEATURES)])
