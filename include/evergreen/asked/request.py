"""Whether a request holds the rows that its features need together. Pure.

That a partition or a group is whole cannot be seen in a request for rows that nobody has published yet, so
the request says it. What is published already is known, and must be there.
"""

from __future__ import annotations

import pandas as pd

from evergreen.asked.finding import Asked, Together
from evergreen.spec import Spec


def refusal(
    spec: Spec,
    asked: Asked,
    partition: str,
    rows: pd.DataFrame,
    *,
    whole: bool,
    published: pd.DataFrame | None = None,
) -> str | None:
    """Why rows of a partition may not be asked for, and what must be sent, in one line; None if they may.

    `whole` is what the request says: that it holds the whole partition or, where groups suffice, all rows of
    each of its groups. `published` are the partition's rows in the lake, where it has any, with the columns
    of the key and of the groups.
    """
    if asked.together is Together.ROW:
        return None
    send = f"send {asked.rows_in_words} of {partition}"
    if not whole:
        return f'{spec.name} {partition}: {send}, and say "whole": true: {asked.reason}'
    if published is None or not (missing := _missing(spec, asked, rows, published)):
        return None
    return f"{spec.name} {partition}: {send}: {missing} that are published are missing: {asked.reason}"


def _missing(spec: Spec, asked: Asked, rows: pd.DataFrame, published: pd.DataFrame) -> str:
    """How many published rows of the partition or its groups a request lacks, in words; empty if none."""
    keys = list(spec.keys)
    needed = published
    if asked.together is Together.GROUP:
        by = list(asked.by)
        needed = published[_among(published[by], rows[by])]
    count = int((~_among(needed[keys], rows[keys])).sum())
    return f"{count:,} of {len(needed):,} rows" if count else ""


def _among(rows: pd.DataFrame, others: pd.DataFrame) -> pd.Series:
    """Which rows are equal to one of the others; two missing values are equal."""
    there = pd.MultiIndex.from_frame(others)
    return pd.Series(pd.MultiIndex.from_frame(rows).isin(there), index=rows.index)
