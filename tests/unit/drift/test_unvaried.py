"""Features that hardly vary: which they are, and the words for each kind."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evergreen.drift.unvaried import binnings_of, unvaried

ROWS = 1_000
SAID = "in the training window, so a model cannot learn what other values mean."


def mostly(value: object, other: object, others: int) -> pd.Series:
    return pd.Series([value] * (ROWS - others) + [other] * others)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pd.Series([np.nan] * ROWS), "no value"),
        (pd.Series([None] * ROWS, dtype="str"), "no value"),
        (pd.Series([np.inf] * ROWS), "no value"),
        (pd.Series([7] * ROWS), "one value alone"),
        (mostly(7.5, np.nan, ROWS - 1), "one value alone"),
        (mostly("a", None, 10), "one value alone"),
        (pd.Series([True] * ROWS), "one value alone"),
        (pd.Series([pd.Timestamp("2024-01-01", tz="UTC")] * ROWS), "one value alone"),
        (mostly(0.0, 3.0, 1), "almost one value alone"),
        (mostly("no", "yes", 1), "almost one value alone"),
        (mostly(False, True, 1), "almost one value alone"),
        (mostly(0.0, 3.0, 2), None),
        (mostly("no", "yes", 2), None),
        (pd.Series(np.arange(ROWS)), None),
        (pd.Series(range(ROWS)).astype(str), None),
    ],
)
def test_a_feature_is_told_by_how_little_it_varies(values: pd.Series, words: str | None) -> None:
    expected = [] if words is None else [f"x: {words} {SAID}"]
    assert unvaried(binnings_of(pd.DataFrame({"x": values}))) == expected


def test_there_is_one_sentence_for_each_kind_and_long_lists_are_cut() -> None:
    frame = pd.DataFrame({f"c{n}": [1.0] * ROWS for n in range(12)} | {"empty": [np.nan] * ROWS})
    assert unvaried(binnings_of(frame)) == [
        f"{', '.join(f'c{n}' for n in range(10))} and 2 more: one value alone {SAID}",
        f"empty: no value {SAID}",
    ]
