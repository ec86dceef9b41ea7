"""The JSON files of a version: what cannot be JSON, and reading them back."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from evergreen.errors import IntegrityError
from evergreen.evaluation.compare import Comparison
from evergreen.registry.registry import Registry
from evergreen.storage import Storage
from evergreen.training.version_files import comparisons, to_json


def test_numbers_that_are_not_finite_are_written_as_null() -> None:
    assert json.loads(to_json({"a": np.nan, 3: [1.5, -np.inf]})) == {"a": None, "3": [1.5, None]}


def test_numpy_s_scalars_and_dates_are_written() -> None:
    content = {"n": np.int64(3), "yes": np.bool_(True), "day": date(2024, 1, 2)}
    assert json.loads(to_json(content)) == {"n": 3, "yes": True, "day": "2024-01-02"}


def test_a_stored_file_is_read_back_and_never_if_it_was_changed(storage: Storage) -> None:
    registry = Registry(storage, "shop")
    registry.commit("2024-01-01-aa", {"gate.json": to_json({"n": 1})})
    assert registry.content("2024-01-01-aa", "gate.json", dict) == {"n": 1}
    storage.stage("models/2024-01-01-aa/gate.json", to_json({"n": 2}))
    with pytest.raises(IntegrityError, match=r"gate\.json"):
        registry.content("2024-01-01-aa", "gate.json", dict)


def test_the_comparisons_of_the_newest_versions(storage: Storage) -> None:
    registry = Registry(storage, "shop")

    def commit(day: int, comparison: Comparison | None) -> str:
        version = f"2024-01-{day:02d}-aa"
        content = {"evaluation": {"comparison": comparison and comparison.to_dict()}}
        registry.commit(version, {"metrics.json": to_json(content)})
        return version

    found = Comparison("mae", 70, 7, 9.0, 10.0, -1.0, -2.0, 0.5, 0.95, 1_000, 7)
    nothing = replace(found, low=math.nan, high=math.nan)
    commit(1, None)
    commit(2, found)
    third, fourth = commit(3, found), commit(4, nothing)
    registry.commit("2024-01-05-aa", {"gate.json": to_json({})})
    read = comparisons(registry, 2)
    assert list(read) == [fourth, third]
    assert read[third] == found
    assert math.isnan(read[fourth].high)
    assert len(comparisons(registry, 10)) == 3
    storage.stage(f"models/{fourth}/metrics.json", b"{}")
    with pytest.raises(IntegrityError, match=r"metrics\.json"):
        comparisons(registry, 2)
