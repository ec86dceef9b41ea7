"""The rows of a source that sends all of history, cut by their event time into partitions.

They are read once, whatever the number of partitions: those of the partitions that are wanted are kept in a
temporary file without a name, in the order in which they came.
"""

from __future__ import annotations

import json
import re
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, time
from mmap import ACCESS_READ, mmap
from threading import Lock

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from evergreen.calendar import Zone
from evergreen.errors import UnavailableError
from evergreen.rows.batches import Rejected, Rows
from evergreen.sources.composed_times import moment_of
from evergreen.sources.event_time import ComposedTime
from evergreen.sources.files.description import FileSource
from evergreen.sources.http.description import HttpSource
from evergreen.sources.kind import SourceConfig
from evergreen.sources.spans import Spans
from evergreen.sources.text.csv_records import records
from evergreen.sources.text.declared import declared_array

_Places = npt.NDArray[np.int64]
_NUMBER = re.compile("[0-9]+$")  # of the line or row at the end of a place


class Cut:
    """The rows of some partitions, read from a source's whole history.

    A record that could not be read is rejected in the partition of its time, which is `told` by its text, or
    else in that of the row before it. Raises what reading the rows raises.
    """

    def __init__(self, rows: Rows, name: str, spans: Spans, told: Told) -> None:
        self._schema = rows.schema
        self._parts: dict[str, list[tuple[int, int, int]]] = {key: [] for key in spans.keys}
        self._rejected: dict[str, list[Rejected]] = {key: [] for key in spans.keys}
        self._order = _Order()
        self._lock = Lock()
        self._written = 0
        self._file = self._kept(rows, name, spans)
        for number, one in enumerate(rows.rejected):
            self._place(one, number, spans, told)

    def rows(self, partition: str) -> Rows:
        """The rows of one of the partitions."""
        return Rows(self._schema, self._batches(partition), list(self._rejected[partition]))

    def _batches(self, partition: str) -> Iterator[pa.RecordBatch]:
        for number, begin, length in self._parts[partition]:
            with self._lock:
                batch = self._file.get_batch(number)
            yield batch.slice(begin, length)

    def _kept(self, rows: Rows, name: str, spans: Spans) -> pa.ipc.RecordBatchFileReader:
        with closing(rows), tempfile.TemporaryFile(prefix="evergreen-") as file:
            try:
                with pa.ipc.new_file(file, rows.schema) as writer:
                    for batch in rows:
                        self._keep(writer, batch, spans.places(batch.column(name)), spans.keys)
                file.flush()
            except OSError as error:
                raise UnavailableError(
                    f"the temporary folder {tempfile.gettempdir()} cannot be written ({error.strerror}): "
                    "make room there, then run again"
                ) from None
            # Mapped, so that the rows cost no memory; the map stays when the file is closed.
            return pa.ipc.open_file(pa.py_buffer(mmap(file.fileno(), 0, access=ACCESS_READ)))

    def _keep(
        self,
        writer: pa.ipc.RecordBatchFileWriter,
        batch: pa.RecordBatch,
        places: _Places,
        keys: Sequence[str],
    ) -> None:
        """Write the rows that are wanted, by partition."""
        self._order.add(places)
        order = np.argsort(places, kind="stable")
        order = order[np.searchsorted(places[order], 0) :]
        if not len(order):
            return
        number, self._written = self._written, self._written + 1
        writer.write_batch(batch.take(pa.array(order)))
        there, begins, lengths = np.unique(places[order], return_index=True, return_counts=True)
        for at, begin, length in zip(there, begins, lengths, strict=True):
            self._parts[keys[at]].append((number, int(begin), int(length)))

    def _place(self, one: Rejected, number: int, spans: Spans, told: Told) -> None:
        """Note a rejected record, the `number`th (from 0), where it belongs."""
        moment = told.time(one)
        if moment is not None:
            found = spans.places(pa.array([moment], pa.timestamp("us", "UTC")))[:1].tolist()
        elif self._order.rows:
            found = [self._order.place(told.number(one) - number - 1)]
        else:
            found = list(range(len(spans.keys)))  # where no row has a time, nothing is published
        for at in found:
            if at >= 0:
                self._rejected[spans.keys[at]].append(one)


class _Order:
    """The places of all rows in their order, as stretches of rows of the same place."""

    def __init__(self) -> None:
        self.rows = 0
        self._begins: list[int] = []
        self._places: list[int] = []

    def add(self, places: _Places) -> None:
        if not len(places):
            return
        begins = np.flatnonzero(np.diff(places, prepend=self._places[-1:] or places[0] - 1))
        self._begins += (begins + self.rows).tolist()
        self._places += places[begins].tolist()
        self.rows += len(places)

    def place(self, row: int) -> int:
        """The place of a row; of the first or last one if there is none of this number."""
        return self._places[bisect_right(self._begins, min(max(row, 0), self.rows - 1)) - 1]


class Told:
    """What text and place of a source's rejected records tell: their event time, and where they stood."""

    def __init__(self, config: SourceConfig, names: Sequence[str], zone: Zone) -> None:
        """Records of a source whose own columns are `names`, of a pipeline in `zone`."""
        self._config, self._names = config, names
        self._column = config.time_column or ""
        self._zone = config.local_zone(zone)
        is_declared = self._column in config.types
        self._types = [config.types[self._column]] if is_declared else ["time", "date"]

    def time(self, one: Rejected) -> datetime | None:
        """The event time in its text; None if there is none that can be read."""
        values = _values(self._config, self._names, one.text)
        if isinstance(self._column, ComposedTime):
            return moment_of(values, self._column, self._zone)
        return _moment(values.get(self._column), self._types, self._zone)

    def number(self, one: Rejected) -> int:
        """How many records stood before it, by the number of its line or row; 0 if its place has none."""
        found = _NUMBER.search(one.place)
        if found is None:
            return 0
        is_line = ":" in one.place[: found.start()] and not one.text.lstrip().startswith("{")
        csv = getattr(self._config, "csv", None)
        above = csv.skip + (csv.columns is None) if is_line and csv else 0
        return int(found[0]) - 1 - above


def _moment(value: object, types: Iterable[str], zone: Zone) -> datetime | None:
    for name in types:
        array, _ = declared_array([value], name, zone)
        if array is not None and array[0].is_valid:
            found = array[0].as_py()
            if isinstance(found, datetime):
                return found
            return zone.first_of(datetime.combine(found, time())).replace(tzinfo=UTC)
    return None


def _values(config: SourceConfig, names: Sequence[str], text: str) -> dict[str, object]:
    """The record's values by column, as far as they can be told."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    if not isinstance(config, FileSource | HttpSource):
        return {}
    record = next(records(text.encode(), config.csv), None)
    return dict(zip(names, record.fields, strict=False)) if record else {}
