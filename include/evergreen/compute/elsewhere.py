"""What runs on a worker of Dask or Spark: an item, in a cell of that worker."""

from __future__ import annotations

import hashlib
import pickle
import platform
import threading
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from evergreen.compute.cells import Cell
from evergreen.compute.steps import Told
from evergreen.compute.task import How, Outcome
from evergreen.errors import EvergreenError

_PACKAGES = (
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "skops",
    "optuna",
    "onnxruntime",
    "deltalake",
)
_KEPT = 2  # tasks that idle cells are kept of

_lock = threading.Lock()
_idle: dict[str, list[Cell]] = {}


@cache
def code() -> dict[str, str]:
    """What a result depends on beside its task: Evergreen's code as a digest, and versions by package."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    found = {"evergreen": digest.hexdigest()[:12], "python": platform.python_version()}
    return found | {name: _version(name) for name in _PACKAGES}


def call_here(
    task: bytes, name: str, item: bytes, seconds: float, expected: Mapping[str, str]
) -> tuple[bytes, list[tuple[str, int]]]:
    """What comes of an item, as a pickled `Outcome`, and the steps that were told.

    `name` is the task's. What was computed by other code than is `expected` would be another result: it is
    refused.
    """
    steps: list[tuple[str, int]] = []
    if differing := [name for name, wanted in expected.items() if code().get(name) != wanted]:
        return pickle.dumps(Outcome(How.RAISED, _other_code(differing, expected))), steps

    def told(done: str, count: int) -> None:
        steps.append((done, count))

    cell = _taken(name) or Cell(task)
    outcome = cell.call(item, seconds, told)
    _give_back(name, cell)
    return pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL), steps


def forget(name: str) -> None:
    """End the idle cells of a task."""
    with _lock:
        cells = _idle.pop(name, [])
    for cell in cells:
        cell.close()


def called(answer: tuple[bytes, list[tuple[str, int]]], told: Told) -> Outcome:
    """The outcome in an answer of `call_here`; its steps are told."""
    body, steps = answer
    for done, count in steps:
        told(done, count)
    outcome: Outcome = pickle.loads(body)  # noqa: S301 - from a worker, which runs what it is sent
    return outcome


def _taken(name: str) -> Cell | None:
    with _lock:
        cells = _idle.get(name)
        return cells.pop() if cells else None


def _give_back(name: str, cell: Cell) -> None:
    with _lock:
        _idle[name] = [*_idle.pop(name, []), cell]
        old = [one for stale in list(_idle)[:-_KEPT] for one in _idle.pop(stale)]
    for one in old:
        one.close()


def _other_code(differing: list[str], expected: Mapping[str, str]) -> EvergreenError:
    name = differing[0]
    return EvergreenError(
        f"the workers have {name} {code().get(name)} and {expected[name]} is here, which might give other "
        "results: install the same there"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
