"""How the values of a feature are counted: bins made once of the training rows, counts that add up.

A night is counted in the bins of its champion, batch by batch where it is large, and is compared by its
counts alone (see `evergreen.monitoring.drift`). A number is counted in fine bins of about equally many
training rows, and apart below and above everything the training held; a category by its values. Rows without
a value, and values never seen, are counted last. Of a number that had only few different values, like a
constant or an hour, any other value is one never seen.

A category of more than `VALUES` values keeps the most frequent ones and counts the others together. Those are
remembered by checksum, so that a value that is rare is not taken for one never seen (a new value passes for a
rare one about once in a million). A category of more than `RARE` rare values is open, like an identifier: new
values are its nature, every value that is not kept counts with the others, and none as never seen.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import (
    infer_dtype,
    is_bool_dtype,
    is_complex_dtype,
    is_datetime64_any_dtype,
    is_numeric_dtype,
    is_object_dtype,
    is_timedelta64_dtype,
)

from evergreen.drift.edges import Edges, Floats

Counts = npt.NDArray[np.int64 | np.float64]

BINS = 50
VALUES = 100
RARE = 5_000
ALIKE = 0.999  # share of one value, from which on hardly anything is known of others
SELDOM = 0.1  # share of values that occur once, above which a number is not one of few values
LONGEST = 100  # characters of a value that are kept; a longer one is told apart by its checksum
_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")


@dataclass(frozen=True)
class Binning:
    """The bins of one feature.

    `most` is the share of the commonest of the training values (0 without any), and `new` the share of values
    never seen that is to be expected of further rows of the same kind: that of the training values which
    occur once (I. J. Good, "The population frequencies of species", *Biometrika* 40, 1953).

    A number has ascending inner `edges`, at most `BINS` - 1; its bins are closed on the right, and the first
    and the last are open-ended: the first edge lies right below the smallest training value and the last one
    is the largest. `centres` are the means of the training values by bin (an empty bin: its edge) and `scale`
    their standard deviation, None where they have none. It is `discrete` if the training held few different
    values, again and again, so that each is an edge. A date or a duration counts as its seconds.

    A category has the `values` it keeps, the checksums of the `rare` ones, and is `open` if those were too
    many to remember.
    """

    kind: Literal["number", "category"]
    edges: tuple[float, ...] = ()
    centres: tuple[float, ...] = ()
    scale: float | None = None
    values: tuple[str, ...] = ()
    rare: tuple[int, ...] = ()
    open: bool = False
    new: float = 0.0
    discrete: bool = False
    most: float = 0.0

    def __len__(self) -> int:
        """How many counts there are: one a bin, then rows without a value, then values never seen."""
        if self.kind == "number":
            return len(self.edges) + 3
        return len(self.values) + self._has_rest + 2

    def count(self, values: pd.Series) -> Counts:
        """The rows in each bin, whole numbers of shape (len(self),); every row is counted once.

        Never seen are an infinity and what cannot be read as a number where a number is expected, a value
        that a discrete number did not have, and a category that the training did not have. A number may come
        as text, and a truth value as 0 or 1.
        """
        counts = np.zeros(len(self), dtype=np.int64)
        counts[-2] = np.count_nonzero(values.isna().to_numpy())
        if self.kind == "number":
            numbers = as_numbers(values)
            counts[:-2] = self._finder.count(numbers[self.known(numbers)] if self.discrete else numbers)
        else:
            for text, number in _texts(values).items():
                counts[self._place(text)] += number
        counts[-1] = len(values) - counts[:-1].sum()
        return counts

    def known(self, numbers: Floats) -> npt.NDArray[np.bool_]:
        """Which of the numbers (n,) are among the values of a discrete one."""
        return np.isin(numbers, self.edges)

    @property
    def alike(self) -> str:
        """In words how little the training values say of others; empty where they varied."""
        if not self.most:
            return "no value"
        if self.most == 1:
            return "one value alone"
        return "almost one value alone" if self.most >= ALIKE else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        shared = {"kind": self.kind, "new": self.new, "most": self.most}
        if self.kind == "number":
            edges, centres = list(self.edges), list(self.centres)
            shape = {"scale": self.scale, "discrete": self.discrete}
            return {**shared, "edges": edges, "centres": centres, **shape}
        rare = b64encode(np.array(self.rare, dtype="<u4").tobytes()).decode()
        return {**shared, "values": list(self.values), "rare": rare, "open": self.open}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Binning:
        """What `to_dict` gave; of a version that an older release trained no number is discrete."""
        shared = {"new": plain.get("new", 0.0), "most": plain.get("most", 0.5)}
        if plain["kind"] == "number":
            edges, centres = tuple(plain["edges"]), tuple(plain["centres"])
            return cls(
                "number",
                edges,
                centres,
                plain["scale"],
                discrete=plain.get("discrete", False),
                **shared,
            )
        rare = np.frombuffer(b64decode(plain["rare"]), dtype="<u4")
        return cls(
            "category",
            values=tuple(plain["values"]),
            rare=tuple(rare.tolist()),
            open=plain["open"],
            **shared,
        )

    @property
    def _has_rest(self) -> bool:
        return self.open or bool(self.rare)

    def _place(self, text: str) -> int:
        place = self._places.get(text)
        if place is not None:
            return place
        known = self.open or (bool(self.rare) and _checksum(text) in self._rare)
        return len(self.values) if known else -1

    @cached_property
    def _finder(self) -> Edges:
        return Edges(np.array(self.edges))

    @cached_property
    def _places(self) -> dict[str, int]:
        places = {value: place for place, value in enumerate(self.values)}
        if set(self.values) <= {"True", "False"}:
            # A column of truth values that has a gap comes as numbers.
            places |= {str(int(value == "True")): place for value, place in places.items()}
        return places

    @cached_property
    def _rare(self) -> frozenset[int]:
        return frozenset(self.rare)


def binning(values: pd.Series, bins: int = BINS) -> Binning:
    """The bins of a feature, from its training rows (n,).

    Numbers, dates and durations get at most `bins` bins, and few different numbers one each; everything else,
    and truth values, are categories. The same rows in any order give the same bins.
    """
    if not is_number(values):
        return _categories(_texts(values))
    numbers = as_numbers(values)
    known = np.sort(numbers[np.isfinite(numbers)])
    if not len(known):
        return Binning("number", centres=(0.0,))
    edges, (several, often) = _edges(known, bins), np.unique(known, return_counts=True)
    once = float((often == 1).sum() / len(known))
    discrete = len(several) <= bins - 2 and once <= SELDOM
    return Binning(
        "number",
        tuple(edges.tolist()),
        _centres(known, edges),
        _scale(known),
        new=once if discrete else 0.0,
        discrete=discrete,
        most=float(often.max() / len(known)),
    )


def count_frame(binnings: Mapping[str, Binning], frame: pd.DataFrame) -> dict[str, Counts]:
    """The counts of a frame's columns by feature; a feature that the frame does not have is left out."""
    return {name: made.count(frame[name]) for name, made in binnings.items() if name in frame}


def is_number(values: pd.Series) -> bool:
    """Whether the column is counted as numbers; the others are categories."""
    dtype = values.dtype
    if is_object_dtype(dtype):
        return infer_dtype(values, skipna=True) in _NUMBERS
    if is_bool_dtype(dtype) or is_complex_dtype(dtype):
        return False
    return bool(is_numeric_dtype(dtype) or is_datetime64_any_dtype(dtype) or is_timedelta64_dtype(dtype))


def as_numbers(values: pd.Series) -> Floats:
    """The values as numbers, in one array with NaN for what is none."""
    dtype = values.dtype
    if is_datetime64_any_dtype(dtype):
        values = (pd.to_datetime(values, utc=True) - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    elif is_timedelta64_dtype(dtype):
        values = values.dt.total_seconds()
    elif is_complex_dtype(dtype):
        return np.full(len(values), np.nan)
    elif not is_numeric_dtype(dtype):
        values = pd.to_numeric(values.astype(object), errors="coerce")
    if isinstance(values.dtype, np.dtype):
        return values.to_numpy(dtype=float)
    return values.to_numpy(dtype=float, na_value=np.nan)


def _edges(known: Floats, bins: int) -> Floats:
    several = known[np.append(known[1:] != known[:-1], True)]
    if len(several) > bins - 2:
        parts = np.arange(1, bins - 1)
        last = -(-len(known) * parts // (bins - 2)) - 1  # of each part, in whole numbers: no rounding
        several = np.unique(known[last])
    with np.errstate(over="ignore"):
        below = np.nextafter(known[0], -np.inf)
    return np.array([below, *several] if np.isfinite(below) else several)


def _centres(known: Floats, edges: Floats) -> tuple[float, ...]:
    places = [0, *np.searchsorted(known, edges, side="right").tolist(), len(known)]
    ends = [*edges.tolist(), float(edges[-1])]
    return tuple(
        _mean(known[start:stop]) if stop > start else end
        for start, stop, end in zip(places[:-1], places[1:], ends, strict=True)
    )


def _mean(known: Floats) -> float:
    with np.errstate(over="ignore"):
        return float(np.clip(known.mean(), known[0], known[-1]))


def _scale(known: Floats) -> float | None:
    with np.errstate(over="ignore", invalid="ignore"):
        scale = float(known.std()) if known[0] < known[-1] else 0.0
    return scale if np.isfinite(scale) and scale > 0 else None


def _categories(found: Counter[str]) -> Binning:
    ordered = sorted(found, key=lambda text: (-found[text], text))
    kept = tuple(sorted(ordered[:VALUES]))
    rest = ordered[VALUES:]
    most = found[ordered[0]] / found.total() if ordered else 0.0
    if len(rest) > RARE:
        return Binning("category", values=kept, open=True, most=most)
    rare = tuple(sorted({_checksum(text) for text in rest}))
    once = sum(number == 1 for number in found.values())
    return Binning("category", values=kept, rare=rare, new=once / max(found.total(), 1), most=most)


def _texts(values: pd.Series) -> Counter[str]:
    """How often each value occurs, by its text; missing ones are left out."""
    known = values.dropna()
    if is_object_dtype(known.dtype):
        return Counter(map(text_of, known))
    found: Counter[str] = Counter()
    for value, number in known.value_counts(sort=False).items():
        if number:  # a category that a column declares need not occur in it
            found[text_of(value)] += int(number)
    return found


def text_of(value: object) -> str:
    """The category that a value stands for."""
    # A whole number is the same category whether it comes as an integer or, beside a gap, as a float.
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({_checksum(text):08x})"


def _checksum(text: str) -> int:
    return crc32(text.encode(errors="surrogatepass"))
