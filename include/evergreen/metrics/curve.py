"""The curves of classes over their probability, small enough to keep, and put together from many parts.

A curve says how many rows of a class, and how many others, there are at each probability of the class. Where
a part has more than `CELLS` different probabilities, those in one cell of a grid are counted together, at
their mean. The grid is the same for all parts, models and versions: cells of width 2^-n of the log-odds, with
the largest n at which no more than `CELLS` of them hold rows. The log-odds keep rare classes apart, whose
probabilities are all near 0, and cells that are halved again and again lie within one another, so that curves
of different fineness can be put together.

An area under the ROC curve from cells is off by at most half the share of the pairs of a row and another that
lie in one cell (the sum of the products of the two shares of each cell), because their order is lost. It is
the order of rows of nearly the same probability, which is nearly that of chance. A test measures it: four
parts of 25,000 rows each, of which half, 1 % or 0.1 % are of the class, are off by less than 0.00002, 0.00005
and 0.0003, and an average precision by less than ten times that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evergreen.metrics.rows import Rows

Floats = NDArray[np.float64]

CELLS = 1_000
"""The most different probabilities of a curve."""
_FINEST = 40  # halvings of a unit of the log-odds


def curves_of(rows: Rows) -> dict[str, Any]:
    """The curves of some rows as JSON values.

    `names` are the classes and `rows` how many there are of each; `curves` those of the second of two
    classes, or of each of more: by its place three lists, the probabilities, the others and the rows.
    """
    assert rows.actual is not None
    assert rows.probabilities is not None
    places = [1] if rows.classes == 2 else range(rows.classes)
    return {
        "names": list(rows.names),
        "rows": np.bincount(rows.actual, minlength=rows.classes).tolist(),
        "curves": {
            str(place): [
                column.tolist() for column in _curve(rows.probabilities[:, place], rows.actual == place)
            ]
            for place in places
        },
    }


def joined(parts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Floats, Floats]]:
    """The others and the rows (cells,) of each class that a curve is drawn for, by rising probability.

    It is the second of two classes, or each of more that there are rows of; nothing for rows of one class.
    """
    names = sorted({name for part in parts for name in part["names"]})
    there = {name for part in parts for name, rows in zip(part["names"], part["rows"], strict=True) if rows}
    if len(there) < 2:
        return
    for name in names[1:] if len(names) == 2 else [name for name in names if name in there]:
        scores, others, true = np.concatenate([_of_class(part, name) for part in parts], axis=1)
        values, place = np.unique(scores, return_inverse=True)
        size = len(values)
        yield np.bincount(place, others, size).astype(float), np.bincount(place, true, size).astype(float)


def _of_class(part: Mapping[str, Any], name: Any) -> Floats:
    """The probabilities, the others and the rows of a class, (3, cells), of one part."""
    if name not in part["names"]:
        return np.array([[0.0], [sum(part["rows"])], [0.0]])  # which gives the class no probability
    place, curves = part["names"].index(name), part["curves"]
    if str(place) in curves:
        return np.array(curves[str(place)], dtype=np.float64)
    scores, others, true = np.array(curves["1"], dtype=np.float64)  # the first of two: the second, mirrored
    return np.array([1 - scores, true, others])


def _curve(scores: Floats, true: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp]]:
    """The probabilities, rising, and how many others and rows of the class there are at each."""
    values, place = np.unique(scores, return_inverse=True)
    if len(values) > CELLS:
        cell = _cells(values)
        rows = np.bincount(place, minlength=len(values))
        values = np.bincount(cell, values * rows) / np.bincount(cell, rows)
        place = cell[place]
    return (
        values,
        np.bincount(place[~true], minlength=len(values)),
        np.bincount(place[true], minlength=len(values)),
    )


def _cells(values: Floats) -> NDArray[np.intp]:
    """The number of the cell of each value (n,), both rising, at most `CELLS` of them."""
    with np.errstate(divide="ignore"):
        odds = np.clip(np.log(values) - np.log1p(-values), -750, 40)

    def of(halvings: int) -> NDArray[np.intp]:
        place = np.floor(odds * 2.0**halvings)
        return np.cumsum(np.diff(place, prepend=place[0]) > 0)

    low, high = -4, _FINEST  # all log-odds lie in less than 50 cells of 16, and each cell in one of those
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if of(middle)[-1] < CELLS else (low, middle)
    return of(low)
