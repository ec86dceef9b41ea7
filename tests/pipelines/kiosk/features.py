"""Features of the kiosk: the hour, the day's temperature, and what was sold on the three days before."""

from __future__ import annotations

import pandas as pd


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Hour, temperature, and the mean sold on the up to three days before a row's own."""
    day = rows["at"].dt.normalize()
    sums = rows["sold"].astype(float).groupby(day).agg(["sum", "count"])
    # By the calendar, so that a day which is not published is a gap and not skipped over.
    sums = sums.asfreq("D", fill_value=0)
    before = sums.shift(1).rolling(3, min_periods=1).sum()
    level = (before["sum"] / before["count"]).reindex(day).to_numpy()
    return pd.DataFrame(
        {"hour": rows["at"].dt.hour, "temperature": rows["temperature"], "level": level}, index=rows.index
    )
