"""The answer to a request: a prediction for each row, or the reason why it has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from evergreen.calendar import PartitionError
from evergreen.errors import EvergreenError, UnavailableError, one_line
from evergreen.features.build import in_order
from evergreen.features.functions import places
from evergreen.rows.frame import to_frame
from evergreen.serving.body import WRONG, Body
from evergreen.serving.canary import ServedCanary
from evergreen.serving.direct import Direct
from evergreen.serving.entrance import Part
from evergreen.serving.look_back import LookedBack
from evergreen.serving.refused import RequestRefusedError
from evergreen.serving.row_partitions import partitions_of
from evergreen.serving.row_types import Reasons
from evergreen.serving.served import Served
from evergreen.serving.typed_rows import TypedRows
from evergreen.spec import Spec

_MOST_TRIES = 64
"""How often rows that fail together are tried in smaller parts."""


@dataclass(frozen=True)
class Answer:
    """The answers to the rows of a request in their order: each a prediction, or `{"error": why}`.

    `look_backs` are what the rows of each partition looked back to, by its key, where they do. `part` is what
    was asked of the canary, and `beside` what its predictions are of if there are any.
    """

    version: str
    rows: list[dict[str, Any]]
    classes: tuple[Any, ...]
    failed: int
    look_backs: dict[str, LookedBack]
    part: Part | None = None
    beside: dict[str, Any] | None = None

    def document(self, pipeline: str) -> dict[str, Any]:
        """The answer as JSON; `model_classes` says which classes the values of `probabilities` are of."""
        said = _told(self.version, self.look_backs, self.classes)
        document = {"pipeline": pipeline, "version": said.pop("version"), "predictions": self.rows, **said}
        return document | ({"canary": self.beside} if self.beside else {})


def _told(version: str, look_backs: dict[str, LookedBack], classes: tuple[Any, ...]) -> dict[str, Any]:
    """What a version's predictions are of, as JSON."""
    told: dict[str, Any] = {"version": version}
    if look_backs:
        told["look_back"] = {key: found.document for key, found in look_backs.items()}
    return told | ({"model_classes": list(classes)} if classes else {})


@dataclass(frozen=True)
class _Asked:
    """The rows of a request that were read: where each stands in it, its partition, whether it is good."""

    body: Body
    rows: pa.Table = field(repr=False)
    places: np.ndarray
    partitions: np.ndarray
    good: np.ndarray


@dataclass
class _Found:
    """Predictions by the row's index, why others have none, and what they looked back to by partition."""

    said: dict[int, dict[str, Any]] = field(default_factory=dict)
    reasons: Reasons = field(default_factory=dict)
    look_backs: dict[str, LookedBack] = field(default_factory=dict)


def answer(served: Served, body: Body, canary: ServedCanary | None = None) -> Answer:
    """Predict the rows of a request by a version, those of the canary's keys by the canary, as a night would.

    What the canary cannot predict, the version does. Each partition is predicted by itself. Raises
    `RequestRefusedError` where what was sent cannot be predicted rightly; where features look at whole
    partitions, also for a single bad row.
    """
    spec = served.spec
    read = served.types.read(body.rows)
    rows, places, reasons = read.rows, np.array(read.places, np.int64), dict(read.reasons)
    for at, why in served.checks.broken(rows).items():
        reasons[int(places[at])] = why
    partitions = partitions_of(spec, rows)
    for at, why in _keyless(spec, rows, partitions).items():
        reasons.setdefault(int(places[at]), why)
    if reasons and not served.takes_single_rows:
        first = min(reasons)
        raise RequestRefusedError(
            WRONG, f"row {first} {reasons[first]}; features look at all rows: mend or leave it out"
        )
    good = np.array([place not in reasons for place in places.tolist()], bool)
    asked = _Asked(body, rows, places, np.array(partitions, object), good)
    beside, part = (_Found(), None) if canary is None else _by_canary(canary, asked)
    left = good.copy()
    left[list(beside.said)] = False
    found = _predicted(served, asked, left)
    reasons |= {int(places[at]): why for at, why in found.reasons.items()}
    said = {int(places[at]): one for at, one in (found.said | beside.said).items()}
    answers = [said[at] if at in said else {"error": reasons[at]} for at in range(len(body.rows))]
    told = None
    if canary is not None and beside.said:
        told = _told(canary.served.version, beside.look_backs, canary.served.classes)
    return Answer(served.version, answers, served.classes, len(reasons), found.look_backs, part, told)


def answer_directly(served: Served, text: bytes, most_rows: int) -> Answer | None:
    """The answer to a request in JSON by the version's direct way.

    None for more rows, and where that way leaves them to `answer`, which says the same of all others.
    """
    if served.direct is None:
        return None
    try:
        said = served.direct.predictions(text, most_rows)
    except Exception:  # noqa: BLE001 - the general way finds the rows that fail
        return None
    return None if said is None else Answer(served.version, said, served.classes, 0, {})


def with_direct_way(served: Served) -> Served:
    """The version with a direct way, if it has one that says of the golden rows what `answer` says."""
    direct = _direct(served)
    if direct is None or not served.golden:
        return served
    try:
        found = answer(served, Body(served.golden))
        said = direct.predictions(msgspec.json.encode({"rows": served.golden}), len(served.golden))
    except Exception:  # noqa: BLE001 - golden rows may be of columns that have changed since
        return served
    return replace(served, direct=direct) if said == found.rows and not found.look_backs else served


def _direct(served: Served) -> Direct | None:
    """The direct way of a version whose rows are predicted alone, from their columns; None of any other."""
    spec, features = served.spec, tuple(map(str, served.features.columns))
    if not served.takes_single_rows or spec.explain is not None or served.levels.adapt:
        return None
    rows = TypedRows.of(served.types)
    if rows is None or places(spec) or not {*features} <= {*served.types.schema.names}:
        return None
    target = (served.label or served.published.field(spec.target)).type if spec.target else None
    return Direct(spec, served.version, served.model.estimator, features, target, rows, served.checks)


def _by_canary(canary: ServedCanary, asked: _Asked) -> tuple[_Found, Part | None]:
    """What the canary predicts of its keys, and how that went; whatever it raises fails no request."""
    wanted = asked.good & canary.takes(asked.rows)
    count, version = int(wanted.sum()), canary.served.version
    if not count:
        return _Found(), None
    try:
        found = _predicted(canary.served, asked, wanted)
    except RequestRefusedError as refused:
        return _Found(), Part(version, count, count, refused.status, one_line(refused))
    except Exception as error:  # noqa: BLE001 - features and estimators of others may raise anything
        return _Found(), Part(version, count, count, 500, f"{type(error).__name__}: {one_line(error)}")
    failed = count - len(found.said)
    why = next(iter(found.reasons.values()), "")
    return found, Part(version, count, failed, 200 if failed < count else WRONG, why)


def _predicted(served: Served, asked: _Asked, wanted: np.ndarray) -> _Found:
    """Predict the wanted rows, where features look at others together with all rows of their partition."""
    found = _Found()
    for partition in sorted(set(asked.partitions[wanted])):
        own = (wanted if served.takes_single_rows else asked.good) & (asked.partitions == partition)
        together = np.flatnonzero(own)
        if not served.takes_single_rows:
            _check_together(served, asked.rows.take(pa.array(together)), partition, asked.body)
        if (before := _looked_back(served, partition)) is not None:
            found.look_backs[partition] = before
        for at, said in _Predicting(served, asked.rows, partition, before).each(together):
            if not wanted[at]:
                continue
            if isinstance(said, str):
                found.reasons[at] = said
            else:
                found.said[at] = said
    return found


def _check_together(served: Served, own: pa.Table, partition: str, body: Body) -> None:
    try:
        why = served.why_not(own, partition, whole=body.whole)
    except EvergreenError as error:
        raise RequestRefusedError(503, f"{error}") from error
    if why:
        raise RequestRefusedError(WRONG, why)


def _looked_back(served: Served, partition: str) -> LookedBack | None:
    try:
        return served.look_back.before(partition)
    except PartitionError as error:
        raise RequestRefusedError(WRONG, f"{error}") from error
    except EvergreenError as error:
        raise RequestRefusedError(503, f"{error}") from error


@dataclass
class _Predicting:
    """Predicts rows of one partition; where they fail together, it looks for those that fail."""

    served: Served
    rows: pa.Table
    partition: str
    before: LookedBack | None
    tries: int = _MOST_TRIES

    def each(self, own: np.ndarray) -> Iterator[tuple[int, dict[str, Any] | str]]:
        """For each of the rows `own` (their numbers) its prediction, or why there is none."""
        try:
            yield from self._together(own)
        except UnavailableError as error:
            raise RequestRefusedError(503, f"{error}") from error
        except Exception as error:  # noqa: BLE001 - features and estimators of others may raise anything
            self.tries -= 1
            if len(own) > 1 and self.tries > 0 and self.served.takes_single_rows:
                for half in np.array_split(own, 2):
                    yield from self.each(half)
                return
            what = str(error) if isinstance(error, EvergreenError) else f"{type(error).__name__}: {error}"
            for at in own.tolist():
                yield at, f"cannot be predicted: {one_line(what)}"

    def _together(self, own: np.ndarray) -> list[tuple[int, dict[str, Any] | str]]:
        rows = self.rows.take(pa.array(own)) if len(own) < len(self.rows) else self.rows
        said = self.served.predict(rows, self.partition, self.before).to_pylist()
        return list(zip(own[_order(self.served.spec, rows)].tolist(), said, strict=True))


def _order(spec: Spec, rows: pa.Table) -> np.ndarray:
    """Where each row of the predictions is among `rows` (n, d)."""
    if len(rows) == 1:
        return np.zeros(1, np.int64)
    by = {*spec.keys, *([spec.time_column] if spec.time_column else [])}
    return in_order(spec, to_frame(rows.select(list(by)))).index.to_numpy()


def _keyless(spec: Spec, rows: pa.Table, partitions: list[str]) -> Reasons:
    """Why rows cannot be told apart or placed, by their index."""
    reasons: Reasons = {}
    columns = [rows.column(name).to_pylist() for name in spec.keys]
    first: dict[tuple[Any, ...], int] = {}
    for at, (partition, *values) in enumerate(zip(partitions, *columns, strict=True)):
        if not partition:
            reasons[at] = f"has no time in '{spec.time_column}' that is in a partition"
        elif None in values:
            reasons[at] = f"has no key: send {', '.join(spec.keys)}"
        elif (before := first.setdefault((partition, *map(str, values)), at)) != at:
            reasons[at] = f"has the key of another row: send each {', '.join(spec.keys)} once"
            reasons[before] = reasons[at]
    return reasons
