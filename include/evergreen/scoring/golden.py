"""The golden sample: raw rows stored with a version, and the predictions that its model must give for them.

It shows whether features, packages and model still fit: if one of them changes so that predictions change,
the version is neither promoted nor used for scoring.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evergreen.boosters.catalogue import BOOSTERS
from evergreen.errors import ChangedError, EvergreenError, IntegrityError, NotInstalledError, one_line
from evergreen.features.build import rows_to_score
from evergreen.lake import PARTITION
from evergreen.registry.versions import LINEAGE
from evergreen.rows.frame import to_frame
from evergreen.scoring.predict import partition_features, predict
from evergreen.scoring.published import BASE, CONTRIBUTIONS, PREDICTION, is_published
from evergreen.spec import Spec
from evergreen.training_set.digest import packages

if TYPE_CHECKING:
    from evergreen.registry.registry import Registry

GOLDEN = "golden.parquet"

_ROWS = 50
_CONTEXT = 2_000


def golden_sample(spec: Spec, model: Any, rows: pd.DataFrame) -> bytes:
    """Raw rows of the newest partition with its look-back, as parquet, and the predictions they must give.

    `prediction` is set for the last rows, at most 50, and null before; so is `prediction.<name>` for each
    further column of `evergreen.scoring.published`. At most 2,000 rows of look-back are kept. The predictions
    are made from the kept rows alone, so nothing else is needed to repeat them.
    """
    newest = str(rows[PARTITION].iloc[-1])
    seen = rows_to_score(spec, rows, newest)
    now = seen[seen[PARTITION] == newest].tail(_ROWS)
    before = seen[seen[PARTITION] != newest].tail(_CONTEXT)
    sample = rows.loc[[*before.index, *now.index]].reset_index(drop=True)
    table = pa.Table.from_pandas(sample, preserve_index=False)
    for name, values in _predicted(spec, model, sample).items():
        column = pa.array([None] * len(before) + values)
        table = table.append_column(_kept_as(name, list(sample.columns)), column)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


@dataclass(frozen=True)
class Golden:
    """A version's golden sample: its raw `rows` with their look-back, and what it must say of the newest.

    `promised` has for each column of the predictions a value for each of the rows that are predicted.
    """

    rows: pd.DataFrame = field(repr=False)
    promised: dict[str, list[Any]] = field(repr=False)

    @property
    def partition(self) -> str:
        """The partition whose rows are predicted."""
        return str(self.rows[PARTITION].iloc[-1])

    @classmethod
    def of(cls, pipeline: str, registry: Registry, version: str) -> Golden:
        """The sample that is stored with a pipeline's version; raises `IntegrityError` if there is none."""
        if GOLDEN not in registry.files(version):
            raise IntegrityError(
                f"{pipeline}: version {version} has no golden sample to check it against: it is not used: "
                f"train a new one: evergreen train {pipeline}"
            )
        table = pq.read_table(pa.BufferReader(registry.read(version, GOLDEN)))
        columns = _promised_columns(table.column_names)
        predicted = table.column(columns[PREDICTION]).is_valid()
        return cls(
            to_frame(table.drop_columns(list(columns.values()))),
            {name: table.column(column).filter(predicted).to_pylist() for name, column in columns.items()},
        )

    def features(self, spec: Spec) -> pd.DataFrame:
        """The features (n, d) of the rows that are predicted, at most 50, by the description."""
        return partition_features(spec, self.rows, self.partition)


def check_golden(spec: Spec, registry: Registry, version: str, model: Any) -> None:
    """Raise `IntegrityError`, saying what differs, unless the model gives its version's golden predictions.

    Labels must be equal, numbers agree to nine digits: another processor may round the last ones otherwise.
    How many contributions are published may change in the description: what a model says does not depend on
    it. Raises `NotInstalledError` where a package is missing here that the model needs.
    """
    golden = Golden.of(spec.name, registry, version)
    promised = golden.promised
    if spec.explain is None:
        promised = {name: values for name, values in promised.items() if name not in (CONTRIBUTIONS, BASE)}
    elif explained := promised.get(CONTRIBUTIONS):
        spec = spec.model_copy(update={"explain": max(map(len, explained))})
    try:
        found = _predicted(spec, model, golden.rows)
    except NotInstalledError:
        raise  # on another machine it may well predict as it did
    except Exception as error:
        # A user's features, and an estimator of another release, may raise anything.
        what = str(error) if isinstance(error, EvergreenError) else f"{type(error).__name__}: {error}"
        raise _broken(spec, registry, version, f"they cannot be predicted ({one_line(what)})") from error
    for name, values in promised.items():
        if difference := _difference(name, found.get(name, []), values):
            raise _broken(spec, registry, version, difference)


def _predicted(spec: Spec, model: Any, sample: pd.DataFrame) -> dict[str, list[Any]]:
    """What the model says of the newest rows, each column of it by its name."""
    found = predict(spec, model, sample, str(sample[PARTITION].iloc[-1]))
    said = [name for name in map(str, found) if name == PREDICTION or is_published(name)]
    return {name: [*map(_plain_value, found[name])] for name in said}


def _plain_value(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _kept_as(name: str, taken: Sequence[str]) -> str:
    """What a column of the predictions is called in the sample, whose raw columns are `taken`."""
    column = PREDICTION if name == PREDICTION else f"{PREDICTION}.{name}"
    return f"({column})" if column in taken else column


def _promised_columns(names: Sequence[str]) -> dict[str, str]:
    """The columns of a sample that hold predictions, by what they are called in predictions."""
    endings = [name.strip("()").removeprefix(f"{PREDICTION}.") for name in names]
    kept = {name: _kept_as(name, ()) for name in (PREDICTION, *filter(is_published, endings))}
    of_both = {name: (f"({column})", column) for name, column in kept.items()}
    return {
        name: next(c for c in both if c in names) for name, both in of_both.items() if set(both) & set(names)
    }


def _difference(name: str, found: list[Any], promised: list[Any]) -> str | None:
    """What differs of a column, in words; None if nothing does."""
    what = "predictions" if name == PREDICTION else f"values of '{name}'"
    if len(found) != len(promised):
        return f"{len(found)} {what} instead of {len(promised)}"
    equal = np.array([_agree(*both) for both in zip(found, promised, strict=True)], dtype=bool)
    if equal.all():
        return None
    first = int(np.argmin(equal))
    of = "" if name == PREDICTION else f" {what}"
    return (
        f"{int((~equal).sum())} of {len(equal)}{of} are predicted differently, the first "
        f"{_plain(found[first])} instead of {_plain(promised[first])}"
    )


def _agree(found: Any, promised: Any) -> bool:
    """Whether a label is the same, or a number, and each of several, within nine digits."""
    if isinstance(promised, list):
        return len(found) == len(promised) and all(map(_agree, found, promised))
    if isinstance(promised, dict):
        return found.keys() == promised.keys() and all(
            _agree(found[name], promised[name]) for name in promised
        )
    if isinstance(found, float) and isinstance(promised, float):
        return math.isclose(found, promised, rel_tol=1e-9, abs_tol=1e-9)
    return bool(found == promised)


def _broken(spec: Spec, registry: Registry, version: str, difference: str) -> ChangedError:
    what = "does not predict its golden rows as when it was trained: "
    what += f"{difference}{_changed_packages(registry, version)}"
    return ChangedError(
        f"{spec.name}: version {version} {what}: train a new one: evergreen train {spec.name}, or go back to "
        "the features and packages it was trained with",
        f"it {what}",
    )


def _changed_packages(registry: Registry, version: str) -> str:
    if LINEAGE not in registry.files(version):
        return ""
    then = registry.content(version, LINEAGE, lambda lineage: dict(lineage.get("packages", {})))
    now = packages(BOOSTERS.values())
    changed = [f"{name} {then[name]} is now {now[name]}" for name in then if then[name] != now.get(name)]
    return f" ({', '.join(changed)})" if changed else ""


def _plain(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else repr(value)
