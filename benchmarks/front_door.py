"""How long `import evergreen` and `evergreen.open` take in a fresh interpreter, in processor time."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from benchmarks.figure import ROUNDS, Figure

PROGRAM = """
import time
began = time.process_time()
import evergreen
imported = time.process_time()
evergreen.open("bike_demand")
print(imported - began, time.process_time() - imported)
"""


def measure() -> list[Figure]:
    """One figure each, in milliseconds. No store is asked for anything."""
    spent = [_seconds() for _ in range(ROUNDS)]
    imported, opened = (1000 * statistics.median(column) for column in zip(*spent, strict=True))
    return [Figure("import evergreen", imported, "ms", 50), Figure("evergreen.open", opened, "ms", 300)]


def _seconds() -> tuple[float, float]:
    environment = {**os.environ, "EVERGREEN_STORAGE": "s3://nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, check=True, capture_output=True, text=True
    )
    imported, opened = map(float, done.stdout.split())
    return imported, opened
