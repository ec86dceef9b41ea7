"""Logged rows beside the published ones, and what was answered beside what is predicted of these. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evergreen.errors import IntegrityError
from evergreen.request_log.columns import ANSWER, LOOK_BACK, VERSION, rows_of
from evergreen.scoring.published import PREDICTION, PROBABILITIES, PROBABILITY

_SAID = (PREDICTION, PROBABILITY, PROBABILITIES)
"""What is compared of a prediction: bounds may adapt to labels that came meanwhile."""

_CLOSE = 1e-9
"""Relative: what differs less in a float is rounding."""


class Cause(StrEnum):
    """Why the prediction of a row changed, the first that applies."""

    INPUTS = "inputs"
    """Its own inputs changed."""
    LOOK_BACK = "look_back"
    """What its features look back to was published again, with other rows."""
    TOGETHER = "together"
    """Features look at rows that were sent together with it, and inputs of some of these changed."""
    UNEXPLAINED = "unexplained"
    """All that is known of the inputs is equal: the same version gives another prediction."""


@dataclass(frozen=True)
class Example:
    """A row's key, and a value that was `served` beside the one that is `published` or predicted of it."""

    key: Mapping[str, Any]
    served: Any
    published: Any


@dataclass(frozen=True)
class Changed:
    """How many rows changed, their share of those compared, and one of them."""

    rows: int
    share: float
    example: Example = field(repr=False)


@dataclass(frozen=True)
class Again:
    """A version that answered, as it predicts the published partition (n, with the keys) now.

    `look_back` is the digest of what its features look back to now, None where they do not. `together`:
    features look at other rows of the partition.
    """

    predictions: pa.Table = field(repr=False)
    look_back: str | None
    together: bool


@dataclass(frozen=True)
class Skew:
    """What the logged rows of a partition differ in from the lake.

    Of `rows`, `unpublished` are not published. The others are compared: `inputs` have other values than
    published, by column in `columns`. Of the `predicted` ones, whose version can be used, `predictions`
    changed, by their cause. `equal` is how many of the predicted ones have the same inputs. `unusable` says
    why a version could not predict again.
    """

    rows: int = 0
    unpublished: int = 0
    inputs: int = 0
    columns: Mapping[str, Changed] = field(default_factory=dict)
    predicted: int = 0
    equal: int = 0
    predictions: Mapping[Cause, Changed] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)

    @property
    def compared(self) -> int:
        """The rows that are published."""
        return self.rows - self.unpublished

    @property
    def figures(self) -> dict[str, Any]:
        """The numbers as JSON values, without examples: these hold values that are not kept for ever."""
        numbers = {
            name: getattr(self, name) for name in ("rows", "unpublished", "inputs", "predicted", "equal")
        }
        return {
            **numbers,
            "columns": {name: _plain(found) for name, found in self.columns.items()},
            "predictions": {cause.value: _plain(found) for cause, found in self.predictions.items()},
            "unusable": dict(self.unusable),
        }

    @property
    def document(self) -> dict[str, Any]:
        """The numbers and examples."""
        found = self.figures
        for name, changed in self.columns.items():
            found["columns"][name]["example"] = asdict(changed.example)
        for cause, changed in self.predictions.items():
            found["predictions"][cause.value]["example"] = asdict(changed.example)
        return found


def compare(
    keys: Sequence[str],
    logged: pa.Table,
    published: pa.Table,
    again: Mapping[str, Again],
    unusable: Mapping[str, str] | None = None,
) -> Skew:
    """Compare the logged rows of a partition, as `RequestLog` gives them, with the `published` ones.

    `again` are the versions that answered, and `unusable` those that cannot be used any more, with the
    reason. Raises `IntegrityError` where a column was logged in a type that does not fit the published one.
    """
    if not logged.num_rows:
        return Skew()
    rows = rows_of(logged)
    places = _places(keys, rows, published)
    there = np.flatnonzero(places >= 0)
    own, lake = rows.take(pa.array(there)), published.take(pa.array(places[there]))
    named = own.select(list(keys)).to_pylist()
    changes = {
        name: _differs(own.column(name), lake.column(name), name)
        for name in own.column_names
        if name not in keys and name in lake.column_names
    }
    inputs = np.any([np.zeros(len(there), bool), *changes.values()], axis=0)
    causes = _causes(logged.take(pa.array(there)), named, inputs, len(there) < len(rows), again)
    told = list(causes)
    return Skew(
        rows=len(rows),
        unpublished=len(rows) - len(there),
        inputs=int(inputs.sum()),
        columns={
            name: _changed(changed, named, own.column(name), lake.column(name))
            for name, changed in changes.items()
            if changed.any()
        },
        predicted=len(told),
        equal=sum(not inputs[one.at] for one in told),
        predictions=_by_cause(told, named),
        unusable=dict(unusable or {}),
    )


@dataclass(frozen=True)
class _Told:
    """What was answered to a compared row beside what is predicted now; the cause if they differ."""

    at: int
    served: Any
    now: Any
    cause: Cause | None


def _places(keys: Sequence[str], rows: pa.Table, published: pa.Table) -> NDArray[np.int64]:
    """Where each row is among the published ones; -1 where it is not."""
    at = {tuple(row.values()): place for place, row in enumerate(published.select(list(keys)).to_pylist())}
    asked = rows.select(list(keys)).to_pylist()
    return np.array([at.get(tuple(row.values()), -1) for row in asked], np.int64)


def _differs(served: pa.ChunkedArray, published: pa.ChunkedArray, name: str) -> NDArray[np.bool_]:
    """Where two columns differ; a missing value equals a missing one, NaN equals NaN."""
    try:
        served = served.cast(published.type)
    except pa.ArrowException as error:
        raise IntegrityError(
            f"column '{name}' was logged as {served.type} and is published as {published.type} ({error}): "
            "delete what was logged in the former type"
        ) from None
    if pa.types.is_nested(published.type):
        pairs = zip(served.to_pylist(), published.to_pylist(), strict=True)
        return np.array([not _same(one, other) for one, other in pairs], bool)
    if pa.types.is_floating(published.type):
        one, other = served.to_numpy(), published.to_numpy()
        alike = np.isclose(one, other, rtol=_CLOSE, atol=0, equal_nan=True)
        return np.asarray(~alike | (_nulls(served) != _nulls(published)))
    alike = pc.fill_null(pc.equal(served, published), False).to_numpy()
    return np.asarray(~alike & ~(_nulls(served) & _nulls(published)))


def _nulls(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(pc.is_null(column).to_numpy())


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, floats but for rounding."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=_CLOSE) or (math.isnan(one) and math.isnan(other))
    return bool(one == other)


def _causes(
    logged: pa.Table,
    named: Sequence[Mapping[str, Any]],
    inputs: NDArray[np.bool_],
    some_missing: bool,
    again: Mapping[str, Again],
) -> Iterator[_Told]:
    """Each row whose version predicts again."""
    now = {version: _said_by_key(found, named) for version, found in again.items()}
    others_changed = some_missing or bool(inputs.any())
    columns = (logged.column(name).to_pylist() for name in (VERSION, LOOK_BACK, ANSWER))
    for at, (version, look_back, answer) in enumerate(zip(*columns, strict=True)):
        if version not in again:
            continue
        found, said = again[version], msgspec.json.decode(answer)
        served = {name: said[name] for name in _SAID if name in said}
        predicted = now[version][tuple(named[at].values())]
        cause = None
        if served.keys() != predicted.keys() or not all(
            _same(served[name], predicted[name]) for name in served
        ):
            if inputs[at]:
                cause = Cause.INPUTS
            elif look_back != found.look_back:
                cause = Cause.LOOK_BACK
            else:
                cause = Cause.TOGETHER if found.together and others_changed else Cause.UNEXPLAINED
        yield _Told(at, served, predicted, cause)


def _said_by_key(again: Again, named: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """What a version predicts now, as JSON has it, by the values of the key."""
    keys = list(named[0]) if named else []
    columns = [name for name in _SAID if name in again.predictions.column_names]
    said = msgspec.json.decode(msgspec.json.encode(again.predictions.select(columns).to_pylist()))
    places = again.predictions.select(keys).to_pylist()
    return {tuple(key.values()): row for key, row in zip(places, said, strict=True)}


def _by_cause(told: Sequence[_Told], named: Sequence[Mapping[str, Any]]) -> dict[Cause, Changed]:
    counts = Counter(one.cause for one in told if one.cause)
    first = {one.cause: one for one in reversed(told) if one.cause}
    return {
        cause: Changed(
            counts[cause],
            counts[cause] / len(told),
            Example(named[first[cause].at], first[cause].served, first[cause].now),
        )
        for cause in Cause
        if counts[cause]
    }


def _changed(
    changed: NDArray[np.bool_],
    named: Sequence[Mapping[str, Any]],
    served: pa.ChunkedArray,
    published: pa.ChunkedArray,
) -> Changed:
    at = int(changed.argmax())
    example = Example(named[at], served[at].as_py(), published[at].as_py())
    return Changed(int(changed.sum()), float(changed.mean()), example)


def _plain(found: Changed) -> dict[str, Any]:
    return {"rows": found.rows, "share": found.share}
