"""The output of the demo: one line a night, and the closing table, from the lake and the registry."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from rich.markup import escape
from rich.table import Table as Grid

from evergreen.errors import NotFoundError
from evergreen.lake import PARTITION, Table
from evergreen.monitoring.record import decisions_in, records_in
from evergreen.registry.history import Event, Kind
from evergreen.scoring.predict import predict
from evergreen.scoring.published import ACTUAL, PREDICTION, VERSION
from evergreen.scoring.score import rows_with_look_back

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from evergreen.monitoring.record import Decision
    from evergreen.pipeline import Pipeline
    from evergreen.signals.record import Record


@dataclass(frozen=True)
class Night:
    """What one night did: rows published and quarantined, what the monitor found, what was trained."""

    partition: str
    rows: int
    quarantined: int
    record: Record | None
    decision: Decision | None
    trained: tuple[Event, ...]

    def line(self) -> str:
        """The night in one line."""
        parts = [f"{self.partition}  {self.rows:3d} rows, {self.quarantined} quarantined"]
        if self.rows == 0:
            parts.append("not published")
        if self.record is not None and self.record.error is not None:
            promised = "" if self.record.promised is None else f" (promised {self.record.promised:.1f})"
            parts.append(f"{self.record.metric} {self.record.error:6.1f}{promised}")
        if self.decision is not None:
            parts.append(escape(self.decision.reason))
        parts += [f"[bold]{event.kind} {event.version}[/bold]" for event in self.trained]
        return " | ".join(parts)


@dataclass(frozen=True)
class Errors:
    """Mean absolute errors of the replayed nights, over all their hours with a known target."""

    served: float
    first_week: float
    last_week: float
    never_replaced: float


@dataclass(frozen=True)
class Summary:
    """The whole demo in figures; `errors` is None where nothing was scored."""

    partitions: int
    rows: int
    quarantined: int
    versions: int
    promoted: int
    refused: int
    errors: Errors | None


def night(pipeline: Pipeline, partition: str, after: int = 0) -> Night:
    """The stored results of one night; for the models, the events after number `after`."""
    monitoring = _read(pipeline, Table.MONITORING, partition, partition)
    return Night(
        partition=partition,
        rows=_rows(pipeline, Table.PARTITIONS, partition),
        quarantined=_rows(pipeline, Table.QUARANTINE, partition),
        record=records_in(monitoring)[0] if monitoring else None,
        decision=decisions_in(monitoring)[0] if monitoring else None,
        trained=tuple(event for event in pipeline.registry.history() if event.seq > after),
    )


def published(pipeline: Pipeline) -> set[str]:
    """The partitions that are in the lake."""
    return set(pipeline.lake.partitions())


def monitored(pipeline: Pipeline) -> set[str]:
    """The partitions that were scored and monitored."""
    return set(pipeline.lake.partitions(Table.MONITORING))


def last_event(pipeline: Pipeline) -> int:
    """The number of the newest event of the pipeline's models."""
    return max((event.seq for event in pipeline.registry.history()), default=0)


def summarise(pipeline: Pipeline, keys: Sequence[str], replayed: Sequence[str]) -> Summary:
    """The figures for the partitions `keys`, of which `replayed` were scored night by night."""
    happened = Counter(event.kind for event in pipeline.registry.history())
    return Summary(
        partitions=len(published(pipeline) & set(keys)),
        rows=_count(_read(pipeline, Table.PARTITIONS, keys[0], keys[-1])),
        quarantined=_count(_read(pipeline, Table.QUARANTINE, keys[0], keys[-1])),
        versions=len(pipeline.registry.versions()),
        promoted=happened[Kind.PROMOTED],
        refused=happened[Kind.REFUSED],
        errors=_errors(pipeline, replayed),
    )


def grid(pipeline: Pipeline, summary: Summary, replayed: Sequence[str]) -> Grid:
    """The closing table."""
    rows = {
        "partitions published": f"{summary.partitions}",
        "rows published": f"{summary.rows:,}",
        "rows quarantined": f"{summary.quarantined:,}",
        "versions trained": f"{summary.versions}",
        "promoted / refused by the gate": f"{summary.promoted} / {summary.refused}",
    }
    if errors := summary.errors:
        rows |= {
            f"mean absolute error, {replayed[0]} to {replayed[-1]}:": "",
            "  before: the first champion, never replaced": f"{errors.never_replaced:.1f}",
            "  after: as served, kept fresh": f"{errors.served:.1f}",
            "  as served, first 7 nights": f"{errors.first_week:.1f}",
            "  as served, last 7 nights": f"{errors.last_week:.1f}",
        }
    table = Grid(title=f"{pipeline.spec.name}: what happened", show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _errors(pipeline: Pipeline, replayed: Sequence[str]) -> Errors | None:
    table = _read(pipeline, Table.PREDICTIONS, replayed[0], replayed[-1])
    if table is None:
        return None
    served = table.to_pandas().dropna(subset=[ACTUAL])
    served["error"] = (served[PREDICTION] - served[ACTUAL]).abs()
    scored = sorted(served[PARTITION].unique())
    first = served.loc[served[PARTITION] == scored[0], VERSION].iloc[0]
    return Errors(
        served=served["error"].mean(),
        first_week=served.loc[served[PARTITION].isin(scored[:7]), "error"].mean(),
        last_week=served.loc[served[PARTITION].isin(scored[-7:]), "error"].mean(),
        never_replaced=_error_of(pipeline, first, scored),
    )


def _error_of(pipeline: Pipeline, version: str, partitions: Sequence[str]) -> float:
    """The mean absolute error that one version would have made on these partitions."""
    model = pipeline.registry.load(version)
    found = []
    for partition in partitions:
        rows = rows_with_look_back(pipeline, partition).to_pandas()
        predictions = predict(pipeline.spec, model, rows, partition).dropna(subset=[ACTUAL])
        found.append((predictions[PREDICTION] - predictions[ACTUAL]).abs())
    return float(pd.concat(found).mean())


def _rows(pipeline: Pipeline, table: Table, partition: str) -> int:
    return _count(_read(pipeline, table, partition, partition))


def _count(table: pa.Table | None) -> int:
    return 0 if table is None else int(table.num_rows)


def _read(pipeline: Pipeline, table: Table, first: str, last: str) -> pa.Table | None:
    """The rows of a table; None if there are none."""
    try:
        rows = pipeline.lake.read(table, first, last)
    except NotFoundError:
        return None
    assert PARTITION in rows.column_names
    return rows if rows.num_rows else None
