"""What two versions predict of the same rows: those of the later one's golden sample.

The later version's predictions are stored with the sample. The other one is loaded and asked in a clean
interpreter, which has a few seconds: see docs/adr/0095-two-versions-predict-the-same-golden-rows.md.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.errors import UnavailableError
from evergreen.interpreter import NoAnswerError, run_clean
from evergreen.registry.ids import as_of_version

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

SECONDS = 30
"""How long the version that is asked may take; the start of the interpreter does not count."""

_asking = threading.Lock()


@dataclass(frozen=True)
class SameRow:
    """A row by its keys, what it came to, and what either version predicts of it.

    `change` is what the second adds to the first; None of what are no numbers.
    """

    key: str
    actual: Any
    first: Any
    second: Any
    change: float | None

    @property
    def same(self) -> bool:
        """Whether both say the same."""
        return bool(self.first == self.second)


@dataclass(frozen=True)
class SameRows:
    """The predictions of two versions of the golden rows of the version `of`, which are of a partition.

    `what` names the published column that is compared.
    """

    of: str
    partition: str
    what: str
    rows: tuple[SameRow, ...] = field(repr=False)

    @property
    def equal(self) -> int:
        """How many rows both predict the same of."""
        return sum(row.same for row in self.rows)

    @property
    def mean(self) -> float | None:
        """The mean of the absolute changes; None where there are no numbers."""
        found = [abs(row.change) for row in self.rows if row.change is not None]
        return sum(found) / len(found) if found else None

    @property
    def most(self) -> float | None:
        """The largest absolute change; None where there are no numbers."""
        return max((abs(row.change) for row in self.rows if row.change is not None), default=None)


def predicted(pipeline: Pipeline, first: str, second: str) -> SameRows:
    """What both versions predict of the golden rows of the later one, of two of the same as-of the second.

    Neither is loaded in this process. Raises `NotFoundError` for an unknown version, `IntegrityError` if a
    file is damaged, or the other version no longer predicts as it did; `UnavailableError` if it takes too
    long, or others are being asked at this moment.
    """
    from evergreen.scoring.afresh import environment_of

    later, other = (first, second) if as_of_version(first) > as_of_version(second) else (second, first)
    if not _asking.acquire(blocking=False):
        raise UnavailableError(
            f"{pipeline.name}: two versions are being asked already, and one pair is at a time: try again in "
            "a moment"
        )
    try:
        found = run_clean(
            ask_golden, pipeline.name, later, other, environment=environment_of(pipeline), seconds=SECONDS
        )
    except NoAnswerError as died:
        raise UnavailableError(
            f"{pipeline.name}: version {other} gave no predictions in a process of its own, which {died}: "
            f"try again, or see evergreen models verify {pipeline.name}"
        ) from died
    finally:
        _asking.release()
    own, theirs = found.pop("later"), found.pop("other")
    columns = (own, theirs) if later == first else (theirs, own)
    return SameRows(later, found["partition"], found["what"], _rows(found["keys"], found["actual"], *columns))


def ask_golden(name: str, later: str, other: str) -> dict[str, Any]:
    """The golden rows of a version with its own predictions and those of another, as plain values.

    Of the pipeline that the environment's variables lead to. Of two classes the probability is compared, else
    the prediction.
    """
    from evergreen.pipeline import Pipeline
    from evergreen.scoring.checked_model import load_checked_model
    from evergreen.scoring.golden import Golden
    from evergreen.scoring.predict import predict
    from evergreen.scoring.published import ACTUAL, PREDICTION, PROBABILITY

    pipeline = Pipeline.open(name)
    golden = Golden.of(name, pipeline.registry, later)
    model = load_checked_model(pipeline, other)
    spec = model.pipeline.spec.model_copy(update={"explain": None})
    found = predict(spec, model.estimator, golden.rows, golden.partition)
    what = PROBABILITY if PROBABILITY in found and PROBABILITY in golden.promised else PREDICTION
    return {
        "partition": golden.partition,
        "what": what,
        "keys": [", ".join(map(str, key)) for key in zip(*(found[key] for key in spec.keys), strict=True)],
        "actual": found[ACTUAL].tolist() if ACTUAL in found else [None] * len(found),
        "later": golden.promised[what],
        "other": found[what].tolist(),
    }


def _rows(
    keys: Sequence[str], actual: Sequence[Any], first: Sequence[Any], second: Sequence[Any]
) -> tuple[SameRow, ...]:
    return tuple(
        SameRow(key, known, one, other, other - one if _are_numbers(one, other) else None)
        for key, known, one, other in zip(keys, actual, first, second, strict=True)
    )


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, float) for value in values)
