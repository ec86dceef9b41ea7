"""What is said of a hold-out before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from evergreen.evaluation.compared_by import in_words
from evergreen.spec import Spec


@pytest.mark.parametrize(
    ("partition", "holdout", "block", "words"),
    [
        ("daily", "28 days", 1, "compared by 28 days held out, as blocks of 1 day"),
        ("daily", "28 days", 7, "compared by 28 days held out, as blocks of 7 days"),
        (
            "daily",
            "7 days",
            7,
            "on trial; hold out 14 days or lower gate.champion.block",
        ),
        (
            "monthly",
            "2 months",
            1,
            "compared by 2 months held out, which is few: by stretches of 10 or more of their rows if they "
            "are alike, else by nearly nothing; hold out 4 months or more",
        ),
        ("weekly", "14 days", 1, "compared by 2 weeks held out, which is few: by stretches"),
        (
            "weekly",
            "7 days",
            1,
            "no interval, so each challenger goes on trial; hold out 4 weeks",
        ),
        ("hourly", "168 hours", 1, "compared by 168 hours held out, as blocks of 24 hours"),
        ("hourly", "2 days", 1, "which is few: by stretches of 10 or more of their rows"),
        ("daily", "20%", 1, "compared by the partitions of a hold-out of 20%"),
        ("snapshot", "20%", 1, "compared by the rows of a hold-out of 20%"),
    ],
)
def test_check_says_by_what_models_are_compared(partition: str, holdout: str, block: int, words: str) -> None:
    timed = partition != "snapshot"
    spec = Spec.model_validate(
        {
            "name": "sales",
            "description": "Sales",
            "owner": "team",
            "schedule": "0 2 * * *",
            "start": "2024-01-01",
            "partition": partition,
            "sources": {"sales": {"file": {"path": "sales.csv", **({"time_column": "at"} if timed else {})}}},
            "key": ["row"],
            "task": "regression",
            "target": "sold",
            "training": {
                "metric": "mae",
                "holdout": holdout,
                "candidates": [{"estimator": "sklearn.linear_model.Ridge"}],
            },
            "gate": {"champion": {"block": block}},
            "folder": Path("sales"),
        }
    )
    assert words in in_words(spec)
