"""A function run in a process of its own, imports aside: its seconds, and the process's peak memory."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def run_alone(module: str, *arguments: str) -> tuple[float, float]:
    """Seconds and peak megabytes of what the module's `main` tells of these arguments."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def tell(run: Callable[[], object]) -> None:
    """Run it, and print what `run_alone` reads."""
    began = time.perf_counter()
    run()
    seconds = time.perf_counter() - began
    # Not what getrusage says: that begins with the memory of the process that started this one.
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(seconds, int(peak) / 1024)


def write_pipeline(folder: Path, name: str, description: str) -> None:
    """A pipeline that expects nothing of its rows."""
    (folder / name).mkdir(parents=True)
    (folder / name / "pipeline.yaml").write_text(description)
    (folder / name / "expectations.yaml").write_text("[]\n")
