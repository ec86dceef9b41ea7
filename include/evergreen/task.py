"""The kinds of problem a model solves."""

from __future__ import annotations

from enum import StrEnum


class Task(StrEnum):
    """The kind of problem a model solves."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"
    CLUSTERING = "clustering"
