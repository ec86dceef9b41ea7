"""The golden sample: raw rows stored with a version, and the predictions that its model must give for them.

It shows whether features, packages and model still fit: if one of them changes so that predictions change,
the version is neither promoted nor used for scoring.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evergreen.errors import EvergreenError, IntegrityError, one_line
from evergreen.features.build import rows_to_score
from evergreen.lake import PARTITION
from evergreen.rows.frame import to_frame
from evergreen.scoring.predict import PREDICTION, predict
from evergreen.spec import Spec
from evergreen.training_set.digest import packages

if TYPE_CHECKING:
    from evergreen.registry.registry import Registry

GOLDEN = "golden.parquet"

_LINEAGE = "lineage.json"
_ROWS = 50
_CONTEXT = 2_000


def golden_sample(spec: Spec, model: Any, rows: pd.DataFrame) -> bytes:
    """Raw rows of the newest partition with its look-back, as parquet, and the predictions they must give.

    `prediction` is set for the last rows, at most 50, and null before. At most 2,000 rows of look-back are
    kept. The predictions are made from the kept rows alone, so nothing else is needed to repeat them.
    """
    newest = str(rows[PARTITION].iloc[-1])
    seen = rows_to_score(spec, rows, newest)
    now = seen[seen[PARTITION] == newest].tail(_ROWS)
    before = seen[seen[PARTITION] != newest].tail(_CONTEXT)
    sample = rows.loc[[*before.index, *now.index]].reset_index(drop=True)
    column = pa.array([None] * len(before) + _predicted(spec, model, sample))
    table = pa.Table.from_pandas(sample, preserve_index=False).append_column(PREDICTION, column)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def check_golden(spec: Spec, registry: Registry, version: str, model: Any) -> None:
    """Raise `IntegrityError`, saying what differs, unless the model gives its version's golden predictions.

    Labels must be equal, numbers agree to nine digits: another processor may round the last ones otherwise.
    """
    if GOLDEN not in registry.files(version):
        raise IntegrityError(
            f"{spec.name}: version {version} has no golden sample to check it against: it is not used: train "
            f"a new one: evergreen train {spec.name}"
        )
    table = pq.read_table(pa.BufferReader(registry.read(version, GOLDEN)))
    promised = [value for value in table.column(PREDICTION).to_pylist() if value is not None]
    try:
        found = _predicted(spec, model, to_frame(table.drop_columns([PREDICTION])))
    except Exception as error:
        # A user's features, and an estimator of another release, may raise anything.
        what = str(error) if isinstance(error, EvergreenError) else f"{type(error).__name__}: {error}"
        raise _broken(spec, registry, version, f"they cannot be predicted ({one_line(what)})") from error
    if difference := _difference(found, promised):
        raise _broken(spec, registry, version, difference)


def _predicted(spec: Spec, model: Any, sample: pd.DataFrame) -> list[Any]:
    return list(predict(spec, model, sample, str(sample[PARTITION].iloc[-1]))[PREDICTION].tolist())


def _difference(found: list[Any], promised: list[Any]) -> str | None:
    """What differs, in words; None if nothing does."""
    if len(found) != len(promised):
        return f"{len(found)} predictions instead of {len(promised)}"
    numbers = all(isinstance(value, float) for value in [*found, *promised])
    same = [left == right for left, right in zip(found, promised, strict=True)]
    equal = np.isclose(found, promised, rtol=1e-9, atol=1e-9) if numbers else np.array(same, dtype=bool)
    if equal.all():
        return None
    first = int(np.argmin(equal))
    return (
        f"{int((~equal).sum())} of {len(equal)} are predicted differently, the first {_plain(found[first])} "
        f"instead of {_plain(promised[first])}"
    )


def _broken(spec: Spec, registry: Registry, version: str, difference: str) -> IntegrityError:
    return IntegrityError(
        f"{spec.name}: version {version} does not predict its golden rows as when it was trained: "
        f"{difference}{_changed_packages(registry, version)}: train a new one: evergreen train {spec.name}, "
        "or go back to the features and packages it was trained with"
    )


def _changed_packages(registry: Registry, version: str) -> str:
    if _LINEAGE not in registry.files(version):
        return ""
    then = json.loads(registry.read(version, _LINEAGE)).get("packages", {})
    now = packages()
    changed = [f"{name} {then[name]} is now {now[name]}" for name in then if then[name] != now.get(name)]
    return f" ({', '.join(changed)})" if changed else ""


def _plain(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else repr(value)
