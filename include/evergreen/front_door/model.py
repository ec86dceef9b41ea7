"""A version of a pipeline's model for use in Python. Read-only."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from evergreen.registry.ids import as_of_version
from evergreen.registry.overview import coverage_of, metrics_of
from evergreen.registry.versions import CARD, EXPLANATION, LINEAGE

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from evergreen.pipeline import Pipeline
    from evergreen.scoring.checked_model import CheckedModel


@dataclass(frozen=True)
class Card:
    """The card of a version: a self-contained HTML page, which a notebook shows in a frame."""

    version: str
    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        # In a frame of its own, so that the page's styles do not reach the notebook's.
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" width="100%" height="800" frameborder="0"></iframe>'
        )


class Model:
    """A version that `Pipeline.champion` or `Pipeline.version` found.

    `version` is its id, `as_of` the partition before which it was trained, `metrics` its metrics on the
    hold-out by name (floats, NaN where one could not be computed).
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
        """Its lineage: window, table versions, digests, packages, candidate, and the reason of its training.

        Raises `NotFoundError` for a version without it, `IntegrityError` if it is damaged.
        """
        return self._pipeline.registry.content(self.version, LINEAGE, dict)

    @cached_property
    def coverage(self) -> dict[float, float]:
        """By level of its intervals or sets, such as 0.9, the share of hold-out rows that they hold, 0 to 1.

        Empty for a version without either, and for one that an older release trained. Raises
        `IntegrityError` if the file of its metrics is damaged.
        """
        return coverage_of(self._pipeline.registry, self.version)

    @cached_property
    def card(self) -> Card:
        """Its model card; `html` is the text of the page.

        Raises `NotFoundError` for a version without one, `IntegrityError` if it is damaged.
        """
        return Card(self.version, self._pipeline.registry.read(self.version, CARD).decode())

    @cached_property
    def importance(self) -> pd.DataFrame:
        """How important its features are on the hold-out, a row for each by name, the most important first.

        `loss` is how much worse the metric gets when the feature's values are shuffled, in the metric's unit,
        and `spread` its standard deviation over the repeats. A version that was trained with `explain` also
        has `contribution`, the mean absolute contribution in the unit that `attrs["unit"]` says, and
        `direction`, the rank correlation of values and contributions: above 0, larger values move the
        prediction up. NaN where one cannot be told. What contributes most comes first, or else what has the
        largest loss.

        Raises `NotFoundError` for a version without an explanation, `IntegrityError` if it is damaged.
        """
        from evergreen.front_door.tables import importance

        return self._pipeline.registry.content(self.version, EXPLANATION, importance)

    @cached_property
    def estimator(self) -> Any:
        """The fitted estimator, after it has reproduced the predictions of its golden sample.

        Raises `IntegrityError` if a file is damaged, or its predictions have changed since it was trained.
        """
        return self._checked.estimator

    @cached_property
    def _checked(self) -> CheckedModel:
        """The estimator with the features that it was trained on."""
        from evergreen.scoring.checked_model import load_checked_model

        return load_checked_model(self._pipeline, self.version)

    def predict(self, rows: str | pd.DataFrame | None = None) -> pd.DataFrame:
        """Predictions for a published partition, or for the given rows; default: the newest partition.

        The features are those that the version was trained on, also where the description has others by now.
        Given rows (n, d) have the form of `Pipeline.rows`, with or without the target and `partition`; they
        need not be published. Their look-back consists of the given rows of earlier partitions and the
        published rows of all others. The target of the predicted partition is not used.

        Returns a DataFrame (n, d), as scoring publishes it, in the order of partition, time and key: the keys
        of the rows, `prediction`, `actual` (the target, missing if unknown), `version` and `partition`.

        Raises `NotFoundError` for a partition that is not published, `PartitionError` for an invalid key,
        `RefusedError` for rows that lack a column, do not fit the types or share a key, and for features that
        the model was not trained on, `IntegrityError` as `estimator`.
        """
        import pyarrow as pa

        from evergreen.rows.frame import to_frame

        return to_frame(pa.concat_tables([self._predicted(key, seen) for key, seen in self._seen(rows)]))

    def _seen(self, rows: str | pd.DataFrame | None) -> Iterator[tuple[str, pa.Table]]:
        """The partitions to predict, each with all rows that its features use."""
        from evergreen.front_door.given import given_with_look_back
        from evergreen.front_door.rows import newest
        from evergreen.lake import Table
        from evergreen.scoring.score import rows_with_look_back

        if rows is None or isinstance(rows, str):
            key = newest(self._pipeline, Table.PARTITIONS) if rows is None else rows
            yield self._pipeline.spec.calendar.check(key), rows_with_look_back(self._checked.pipeline, key)
        else:
            yield from given_with_look_back(self._checked.pipeline, rows).items()

    def _predicted(self, key: str, seen: pa.Table) -> pa.Table:
        import pyarrow as pa

        from evergreen.lake import PARTITION
        from evergreen.scoring.score import predictions

        found = predictions(self._checked, seen, key)
        return found.append_column(PARTITION, pa.array([key] * len(found), pa.string()))
