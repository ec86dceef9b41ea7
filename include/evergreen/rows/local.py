"""Columns of local times to moments, by the rule of `evergreen.calendar.zone`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import Zone

TIME = pa.timestamp("us", tz="UTC")
"""The lake's type for times."""

LOCAL = pa.timestamp("us")
"""The type of times without an offset."""

_DAY = 86_400_000_000  # microseconds
_NONE = pa.scalar(None, TIME)


def moments(values: pa.Array, zone: Zone) -> tuple[pa.Array, list[int]]:
    """Local times (a timestamp without a zone) as `TIME`, and by index those that the clocks skip.

    These are null. Raises `pa.ArrowInvalid` for a time with digits behind the microseconds.
    """
    local = values.cast(LOCAL)
    if zone.name == "UTC":
        return local.cast(TIME), []
    found, exist = zone.moments(_whole(local))
    return _times(found, pc.and_(pc.is_valid(local), pa.array(exist))), _skipped(local, exist)


def day_starts(days: pa.Array, zone: Zone) -> tuple[pa.Array, list[int]]:
    """The first moments of local days as `TIME`, and by index the days that the clocks pass by, as null."""
    local = days.cast(pa.date32()).cast(LOCAL)
    found, exist = zone.day_starts(_whole(local))
    return _times(found, pc.and_(pc.is_valid(local), pa.array(exist))), _skipped(local, exist)


def local_days(times: pa.Array, zone: Zone) -> pa.Array:
    """The local days (`date32`) of moments."""
    times = times.cast(TIME)
    local = zone.locals(_whole(times)) // _DAY
    return pa.array(local.astype(np.int32), pa.int32(), mask=~_valid(times)).cast(pa.date32())


def _whole(times: pa.Array) -> npt.NDArray[np.int64]:
    whole: npt.NDArray[np.int64] = times.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return whole


def _times(whole: npt.NDArray[np.int64], valid: pa.Array) -> pa.Array:
    return pc.if_else(valid, pa.array(whole, pa.int64()).cast(TIME), _NONE)


def _valid(values: pa.Array) -> npt.NDArray[np.bool_]:
    valid: npt.NDArray[np.bool_] = values.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _skipped(local: pa.Array, exist: npt.NDArray[np.bool_]) -> list[int]:
    skipped: list[int] = np.flatnonzero(~exist & _valid(local)).tolist()
    return skipped
