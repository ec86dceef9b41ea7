"""A version of a pipeline's model as people use it in Python. It reads, and nothing of it writes."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from evergreen.registry.overview import metrics_of
from evergreen.registry.registry import as_of_version

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from evergreen.pipeline import Pipeline

_LINEAGE, _CARD = "lineage.json", "card.html"


@dataclass(frozen=True)
class Card:
    """The card of a version: a page of HTML that needs nothing beside it. A notebook shows it in a frame."""

    version: str
    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        # In a frame of its own, so that the page's styles do not reach the notebook's.
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" width="100%" height="800" frameborder="0"></iframe>'
        )


class Model:
    """A version that `Pipeline.champion` or `Pipeline.version` found.

    `version` is its id, `as_of` the partition before which it learnt, `metrics` its metrics of the hold-out
    by name (floats, NaN where one could not be computed).
    """

    def __init__(self, pipeline: Pipeline, version: str) -> None:
        self._pipeline = pipeline
        self.version = version
        self.as_of = as_of_version(version)
        metrics = metrics_of(pipeline.registry, version)
        self.metrics = {name: math.nan if value is None else float(value) for name, value in metrics.items()}

    def __repr__(self) -> str:
        said = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items())
        return f"<evergreen.Model {self.version} of {self._pipeline.name}{f': {said}' if said else ''}>"

    @cached_property
    def lineage(self) -> dict[str, Any]:
        """What it was made of: window, table versions, digests, packages, candidate, and the reason.

        Raises `NotFoundError` for a version without it, `IntegrityError` if it is damaged.
        """
        return dict(json.loads(self._pipeline.registry.read(self.version, _LINEAGE)))

    @cached_property
    def card(self) -> Card:
        """The page that says what it is worth; its `html` is the text.

        Raises `NotFoundError` for a version without one, `IntegrityError` if it is damaged.
        """
        return Card(self.version, self._pipeline.registry.read(self.version, _CARD).decode())

    @cached_property
    def estimator(self) -> Any:
        """The fitted estimator, once it has given the predictions that its golden sample promises.

        Raises `IntegrityError` if a file is damaged, or it predicts otherwise than when it was trained.
        """
        from evergreen.scoring.checked_model import load_checked_model

        return load_checked_model(self._pipeline, self.version)

    def predict(self, rows: str | pd.DataFrame | None = None) -> pd.DataFrame:
        """Predictions of a published partition, or of the rows given; by default of the newest partition.

        Rows (n, d) are given as `Pipeline.rows` gives them, with or without the target and `partition`; they
        need not be published. What their features look back on are the given rows of earlier partitions and,
        of other partitions, the published rows. The target of the partition predicted is not seen.

        A DataFrame (n, d), as the nights publish it, in the order of partition, time and key: the keys of the
        rows, `prediction`, `actual` (the target, missing where it is not known), `version` and `partition`.

        Raises `NotFoundError` for a partition that is not published, `PartitionError` for a wrong key,
        `RefusedError` for rows that lack a column, do not fit their types or share a key, and for features
        that the model did not learn from, `IntegrityError` as `estimator`.
        """
        import pyarrow as pa

        from evergreen.rows.frame import to_frame

        return to_frame(pa.concat_tables([self._predicted(key, seen) for key, seen in self._seen(rows)]))

    def _seen(self, rows: str | pd.DataFrame | None) -> Iterator[tuple[str, pa.Table]]:
        """The partitions to predict, each with all rows that its features see."""
        from evergreen.front_door.given import given_with_look_back
        from evergreen.front_door.rows import newest
        from evergreen.lake import Table
        from evergreen.scoring.score import rows_with_look_back

        if rows is None or isinstance(rows, str):
            key = newest(self._pipeline, Table.PARTITIONS) if rows is None else rows
            yield self._pipeline.spec.calendar.check(key), rows_with_look_back(self._pipeline, key)
        else:
            yield from given_with_look_back(self._pipeline, rows).items()

    def _predicted(self, key: str, seen: pa.Table) -> pa.Table:
        import pyarrow as pa

        from evergreen.lake import PARTITION
        from evergreen.scoring.score import predictions

        found = predictions(self._pipeline, self.version, self.estimator, seen, key)
        return found.append_column(PARTITION, pa.array([key] * len(found), pa.string()))
