"""The JSON files of a version: what cannot be JSON, and reading them back."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest

from evergreen.errors import IntegrityError
from evergreen.registry.registry import Registry
from evergreen.storage import Storage
from evergreen.training.version_files import stored, to_json


def test_numbers_that_are_not_finite_are_written_as_null() -> None:
    assert json.loads(to_json({"a": np.nan, 3: [1.5, -np.inf]})) == {"a": None, "3": [1.5, None]}


def test_numpy_s_scalars_and_dates_are_written() -> None:
    content = {"n": np.int64(3), "yes": np.bool_(True), "day": date(2024, 1, 2)}
    assert json.loads(to_json(content)) == {"n": 3, "yes": True, "day": "2024-01-02"}


def test_a_stored_file_is_read_back_and_never_if_it_was_changed(storage: Storage) -> None:
    registry = Registry(storage, "shop")
    registry.commit("2024-01-01-aa", {"gate.json": to_json({"n": 1})})
    assert stored(registry, "2024-01-01-aa", "gate.json") == {"n": 1}
    storage.stage("models/2024-01-01-aa/gate.json", to_json({"n": 2}))
    with pytest.raises(IntegrityError, match=r"gate\.json"):
        stored(registry, "2024-01-01-aa", "gate.json")
