"""A domain classifier sees what no feature shows alone, and nothing where nothing changed."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from evergreen.drift.binning import binning, count_frame
from evergreen.drift.domain_classifier import FEWEST, ROWS, joint_drift
from evergreen.monitoring.drift import Sample, drift_of
from evergreen.signals.drift import Drift

LIMIT = 0.6


def frame(seed: int, rows: int, correlation: float = 0.0) -> pd.DataFrame:
    """Two normal features of this correlation, and others that have nothing to do with them."""
    draw = np.random.default_rng(seed)
    first, second, third = draw.normal(size=(3, rows))
    noise = np.where(draw.random(rows) < 0.1, np.nan, third)
    mixed = correlation * first + np.sqrt(1 - correlation**2) * second
    sort = draw.choice(["a", "b", "c"], rows)
    return pd.DataFrame({"noise": noise, "first": first, "second": mixed, "sort": sort})


def test_a_change_of_correlation_is_seen_where_no_feature_drifted() -> None:
    reference, night = frame(1, 1000, 0.9), frame(2, 500, -0.9)
    made = {name: binning(values) for name, values in reference.items()}
    before, now = (Sample.pooled([count_frame(made, rows)]) for rows in (reference, night))
    assert not any(found.drifted for found in drift_of(made, before, now, Drift()).values())
    found = joint_drift(reference, night, LIMIT, seed=0)
    print(f"area {found.auc:.3f}, p {found.p:.1e}, leading {found.leading}")
    assert found.drifted
    assert found.auc > 0.9
    assert set(found.leading) == {"first", "second"}


def test_a_category_that_goes_with_another_number_is_seen() -> None:
    def rows(seed: int, turned: bool) -> pd.DataFrame:
        draw = np.random.default_rng(seed)
        sort, number = draw.choice(["a", "b"], 600), draw.normal(size=600)
        number = np.where((sort == "a") != turned, number + 2, number)
        return pd.DataFrame({"sort": sort, "number": number, "other": draw.normal(size=600)})

    found = joint_drift(rows(0, False), rows(1, True), LIMIT, seed=0)
    assert found.drifted
    assert set(found.leading) == {"sort", "number"}


def test_no_drift_is_none() -> None:
    areas = []
    for seed in range(6):
        found = joint_drift(frame(seed, 1000, 0.9), frame(100 + seed, 500, 0.9), LIMIT, seed)
        areas.append(found.auc)
        assert not found.drifted
        assert found.leading == []
    print(f"areas of 6 nights without drift: {min(areas):.3f} to {max(areas):.3f}")
    assert np.mean(areas) == pytest.approx(0.5, abs=0.04)


def test_a_small_area_is_no_drift_however_sure() -> None:
    reference, night = frame(1, ROWS), frame(2, ROWS // 2)
    night["first"] += 0.4
    found = joint_drift(reference, night, 0.8, seed=0)
    assert found.p < 1e-6
    assert not found.drifted


def test_the_same_rows_and_seed_give_the_same() -> None:
    reference, night = frame(1, ROWS + 500, 0.5), frame(2, 500)
    found = joint_drift(reference, night, LIMIT, seed=7)
    assert joint_drift(reference, night, LIMIT, seed=7) == found
    json.dumps(found.to_dict(), allow_nan=False)


def test_too_few_rows_and_no_common_feature_tell_nothing_apart() -> None:
    for reference, night in (
        (frame(1, 500), frame(2, FEWEST - 1)),
        (frame(1, 500), frame(2, 500).add_prefix("other_")),
        (frame(1, 500).iloc[:0], frame(2, 500)),
    ):
        assert not joint_drift(reference, night, LIMIT, seed=0).drifted
        assert joint_drift(reference, night, LIMIT, seed=0).p == 1


def test_columns_of_any_type_are_told_apart() -> None:
    draw = np.random.default_rng(0)

    def rows(late: bool) -> pd.DataFrame:
        numbers = draw.normal(size=200)
        return pd.DataFrame(
            {
                "empty": pd.Series([None] * 200, dtype=object),
                "text": pd.Series(numbers.round(2), dtype=object if not late else "str"),
                "flag": numbers > 0 if not late else np.where(numbers > 0, 1.0, np.nan),
                "infinite": np.where(numbers > 1, np.inf, numbers),
                "many": [f"{late} {n}" for n in range(200)],
                "constant": 1,
            }
        )

    found = joint_drift(rows(False), rows(True), LIMIT, seed=0)
    assert 0 <= found.auc <= 1
    assert 0 <= found.p <= 1
