"""Features that are constant, almost constant or empty in the rows of a training, and how people are told."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from evergreen.drift.binning import Binning, binning

_NAMED = 10


def binnings_of(features: pd.DataFrame) -> dict[str, Binning]:
    """The bins of each column of (n, features) rows."""
    return {str(name): binning(values) for name, values in features.items()}


def unvaried(binnings: Mapping[str, Binning]) -> list[str]:
    """A sentence for each kind of feature that says little because its training values hardly vary.

    A feature belongs here if it has no value, one value alone, or the same value in 999 of 1,000 rows that
    have one (see `Binning.alike`). No sentence if all vary.
    """
    by_words: dict[str, list[str]] = {}
    for name, made in binnings.items():
        if made.alike:
            by_words.setdefault(made.alike, []).append(name)
    return [
        f"{_listed(names)}: {words} in the training window, so a model cannot learn what other values mean."
        for words, names in by_words.items()
    ]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
