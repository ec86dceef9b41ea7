"""A pipeline in a temporary folder whose expectations a test writes."""

from __future__ import annotations

import pytest

from evergreen.spec import Spec


@pytest.fixture
def spec(tmp_path):
    """Builds a daily pipeline with the key `at` and the given `expectations.yaml`."""

    def build(expectations, **changes):
        (tmp_path / "expectations.yaml").write_text(expectations)
        values = {
            "name": "p",
            "description": "-",
            "owner": "-",
            "schedule": "@daily",
            "start": "2011-01-01",
            "partition": "daily",
            "sources": {"a": {"file": {"path": "a.csv", "time_column": "at"}}},
            "validation": {"max_quarantined": "50%"},
            "task": "regression",
            "target": "y",
            "training": {
                "metric": "mae",
                "candidates": [{"estimator": "sklearn.linear_model.LinearRegression"}],
            },
            "folder": tmp_path,
        }
        return Spec(**{**values, **changes})

    return build
