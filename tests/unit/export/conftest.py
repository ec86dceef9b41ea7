"""The kiosk of the tests of scoring, with versions of any model; and the converters of this environment."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from evergreen.export.conversion import PYTHON
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.predict import partition_features
from tests.unit.scoring.conftest import kiosk, sales

__all__ = ["kiosk"]

VERSION = "2024-01-12-0123456789ab"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversions run by this interpreter: it has `onnx`, which is all that trees need."""
    monkeypatch.setenv(PYTHON, sys.executable)


@pytest.fixture
def commit(kiosk: Pipeline) -> Callable[[Any], str]:
    """Fits a model to the days 5 to 11, and commits it with its golden sample."""

    def make(model: Any) -> str:
        rows = sales(12)
        spec = kiosk.spec
        features = pd.concat([partition_features(spec, rows, f"2024-01-{day:02d}") for day in range(5, 12)])
        model.fit(features, rows.loc[features.index, "sold"])
        sample = golden_sample(spec, model, rows[rows["partition"] < "2024-01-12"])
        kiosk.registry.commit(VERSION, {"model.skops": dump_model(model), "golden.parquet": sample})
        return VERSION

    return make
