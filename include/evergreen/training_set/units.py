"""What the hold-out of a snapshot is drawn from: rows, or groups of rows, by digests of their names. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from evergreen.errors import IntegrityError, one_line
from evergreen.spec import Spec
from evergreen.training_set.folds import group_values

_BYTES = 8  # of a digest: among a million units, two have the same one in 1 of 37 million cases
_DIGEST, _COLUMNS = "digest", b"columns"


@dataclass(frozen=True)
class Units:
    """The unit that each of n rows belongs to: the row itself, or its group where there is `tuning.group`.

    `columns` name a unit: the column of the group or those of the key, each with its kind (number, text, time
    or truth). `digests` (n,) depend on the values in them and on nothing else.
    """

    columns: dict[str, str]
    digests: NDArray[np.uint64] = field(repr=False)

    @classmethod
    def of(cls, spec: Spec, rows: pd.DataFrame) -> Units:
        """The units of some rows; raises `SpecError` if the rows have no column of the group."""
        group = group_values(spec, rows)
        values = [rows[name] for name in spec.keys] if group is None else [group]
        names = map("".join, zip(*map(_texts, values), strict=True))
        columns = {str(column.name): _kind(column) for column in values}
        return cls(columns, _digests(name.encode() for name in names))

    def lots(self, seed: int) -> NDArray[np.uint64]:
        """A number (n,) drawn for each unit by the seed: the same in every snapshot that has the unit."""
        body, prefix = self.digests.astype("<u8").tobytes(), f"{seed} ".encode()
        starts = range(0, len(body), _BYTES)
        return _digests(prefix + body[start : start + _BYTES] for start in starts)

    def distinct(self, rows: NDArray[np.bool_]) -> Units:
        """The units of the rows that the mask (n,) names, each once and in the order of their digests."""
        return replace(self, digests=np.unique(self.digests[rows]))

    def among(self, others: Units) -> NDArray[np.bool_]:
        """Which of these units (n,) are among the others, that must be named by the same columns."""
        return np.isin(self.digests, others.digests)

    def to_parquet(self) -> bytes:
        """The units as a file: a column of digests, and the columns that name a unit in its metadata."""
        metadata = {_COLUMNS: json.dumps(self.columns).encode()}
        schema = pa.schema([(_DIGEST, pa.uint64())], metadata=metadata)
        sink = pa.BufferOutputStream()
        # Digests have no pattern that a compression or a dictionary could use.
        pq.write_table(
            pa.table([pa.array(self.digests)], schema=schema), sink, compression="none", use_dictionary=False
        )
        return bytes(sink.getvalue().to_pybytes())

    @classmethod
    def from_parquet(cls, body: bytes) -> Units:
        """What `to_parquet` gave; raises `IntegrityError` for anything else."""
        try:
            table = pq.read_table(pa.BufferReader(body))
            columns = json.loads(table.schema.metadata[_COLUMNS])
            digests = table.column(_DIGEST).to_numpy().astype(np.uint64)
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise IntegrityError(f"not a list of units: {one_line(error)}") from error
        return cls({str(name): str(kind) for name, kind in columns.items()}, digests)


def _digests(names: Iterable[bytes]) -> NDArray[np.uint64]:
    found = b"".join(hashlib.blake2b(name, digest_size=_BYTES).digest() for name in names)
    return np.frombuffer(found, dtype="<u8").astype(np.uint64)


def _kind(values: pd.Series) -> str:
    types = pd.api.types
    if types.is_bool_dtype(values):
        return "truth"
    if types.is_numeric_dtype(values):
        return "number"
    return "time" if types.is_datetime64_any_dtype(values) else "text"


def _texts(values: pd.Series) -> list[str]:
    """Each value as text with its length before it, so that values next to one another cannot be confused.

    A number is written the same whether its column holds integers or, since values are missing, decimals.
    """
    missing = values.isna().tolist()
    texts = ["" if gone else _text(value) for value, gone in zip(values.tolist(), missing, strict=True)]
    return ["-" if gone else f"{len(text)}:{text}" for text, gone in zip(texts, missing, strict=True)]


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
