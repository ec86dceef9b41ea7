"""What a description asks predictions to hold beside the prediction itself, and of which tasks it may."""

from __future__ import annotations

from collections.abc import Sequence

from evergreen.task import Task


def check_predicted(
    task: Task,
    *,
    positive: object | None,
    explain: int | None,
    intervals: object | None,
    sets: Sequence[float],
) -> None:
    """Raise `ValueError`, naming the key, for what predictions of the task cannot hold."""
    if positive is not None and task is not Task.CLASSIFICATION:
        raise ValueError(f"positive: {task} has no classes, leave it out")
    if explain is not None and task is Task.CLUSTERING:
        raise ValueError("explain: clusters cannot be explained, leave it out")
    if intervals is not None and task is not Task.REGRESSION:
        raise ValueError(f"intervals: {task} predicts no numbers, {_instead(task, 'sets')}")
    if sets and task is not Task.CLASSIFICATION:
        raise ValueError(f"sets: {task} predicts no classes, {_instead(task, 'intervals')}")


def _instead(task: Task, key: str) -> str:
    return "leave it out" if task is Task.CLUSTERING else f"write '{key}' instead"
