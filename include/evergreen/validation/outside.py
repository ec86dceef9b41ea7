"""Rows whose event time lies outside their partition: refused, or set aside for the quarantine."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.errors import RefusedError
from evergreen.rows.batches import Rejected
from evergreen.sources.text.lines import Rejections
from evergreen.spec import Spec
from evergreen.validation.quarantine import to_text


class Inside:
    """Takes a partition's blocks and gives back the rows inside it; `strays` are those in quarantine.

    What is done with the others is said by `outside` of the source that has the event time. Those that it
    ignores never come here.
    """

    def __init__(self, spec: Spec, partition: str, schema: pa.Schema) -> None:
        self._where = f"{spec.name} {partition}: refused: "
        timed = (source.config.outside for source in spec.sources.values() if source.time_column)
        self._policy = next(timed, "refuse")
        name = spec.time_column
        self._name = name if name in schema.names and spec.calendar.has_time else None
        self._rejections = Rejections()
        if self._name is None:
            return
        kind = schema.field(self._name).type
        self._times = pa.types.is_timestamp(kind)
        if self._times:
            self._bounds = tuple(
                pa.scalar(bound(partition), kind) for bound in (spec.calendar.start, spec.calendar.end)
            )

    @property
    def strays(self) -> list[Rejected]:
        """The rows for the quarantine, in their order."""
        return self._rejections.found

    def of(self, block: pa.Table) -> pa.Table:
        """The block's rows inside the partition; raises `RefusedError` for one outside, unless allowed."""
        if self._name is None or not block.num_rows:
            return block
        times = block.column(self._name)
        if not self._times:
            raise RefusedError(f"{self._where}'{self._name}' is {times.type} and no time: fix the source")
        start, end = self._bounds
        outside = pc.or_(pc.less(times, start), pc.greater_equal(times, end)).fill_null(False)
        if not (count := pc.sum(outside).as_py()):
            return block
        strays = block.filter(outside)
        if self._policy != "quarantine":
            first = strays.column(self._name)[0].as_py().isoformat()
            raise RefusedError(
                f"{self._where}{count} rows lie outside the partition, the first at {first} in "
                f"'{self._name}': fix the source, or what it is asked, or write under it what is done with "
                "such rows: 'outside: quarantine' or 'outside: ignore'"
            )
        self._rejections.add(map(self._stray, strays.to_pylist()))
        return block.filter(pc.invert(outside))

    def _stray(self, row: dict[str, object]) -> Rejected:
        time = row[self._name or ""]
        reason = f"{self._name} is {time}, outside the partition"
        return Rejected(to_text(row), "a row outside the partition", reason)
