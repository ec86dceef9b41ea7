"""A version that answers requests: its model, and what its rows must hold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa

from evergreen.asked.finding import Asked, Together, stored_asked
from evergreen.asked.request import refusal
from evergreen.features.columns import columns_given, columns_read
from evergreen.features.lookups import with_lookups
from evergreen.labels.join import label_schema
from evergreen.lake import PARTITION
from evergreen.metrics.predictions import classes_of
from evergreen.pipeline import Pipeline
from evergreen.rows.frame import to_frame
from evergreen.scoring.checked_model import CheckedModel
from evergreen.scoring.golden import Golden
from evergreen.scoring.published import ACTUAL
from evergreen.scoring.score import predictions_of
from evergreen.serving.direct import Direct
from evergreen.serving.fast import fast_model
from evergreen.serving.levels import Levels
from evergreen.serving.look_back import LookBack, LookedBack
from evergreen.serving.row_checks import RowChecks
from evergreen.serving.row_types import RowTypes
from evergreen.spec import Spec


@dataclass(frozen=True, eq=False)
class Served:
    """A checked model beside the columns that are published; nothing of it changes while it answers.

    `asked` is which rows must be sent together. `way` says for people which way the model goes with few rows.
    `features` are those of a golden row, which show their names and types, and `golden` are the golden rows
    as a client would send them. `label` is the target's column where labels come later than rows. `direct` is
    the direct way of the version, if it has one.
    """

    model: CheckedModel = field(repr=False)
    published: pa.Schema = field(repr=False)
    types: RowTypes = field(repr=False)
    checks: RowChecks = field(repr=False)
    look_back: LookBack = field(repr=False)
    asked: Asked
    way: str
    features: pd.DataFrame = field(repr=False)
    golden: list[dict[str, Any]] = field(repr=False)
    levels: Levels = field(repr=False)
    label: pa.Field | None = field(default=None, repr=False)
    direct: Direct | None = field(default=None, repr=False)

    @classmethod
    def of(cls, model: CheckedModel, published: pa.Schema) -> Served:
        """The model, ready to answer.

        Raises `SpecError` or `RefusedError` where the suite does not fit the columns, or the time is none.
        """
        pipeline = model.pipeline
        golden = Golden.of(pipeline.name, pipeline.registry, model.version)
        features = golden.features(pipeline.spec)
        fast = fast_model(model.estimator, features)
        types = RowTypes.of(pipeline.spec, published)
        return cls(
            replace(model, estimator=fast.model),
            published,
            types,
            RowChecks(pipeline.spec, types.schema),
            LookBack(pipeline),
            stored_asked(pipeline, model.version),
            fast.way,
            features.head(1),
            _as_sent(pipeline.spec, golden, types),
            Levels(model),
            _label(pipeline),
        )

    @property
    def version(self) -> str:
        """The version's id."""
        return self.model.version

    @property
    def spec(self) -> Spec:
        """The pipeline's description, with the features of the version."""
        return self.model.pipeline.spec

    @property
    def classes(self) -> tuple[Any, ...]:
        """The classes that `probabilities` are of, in their order; none if the model gives none."""
        return classes_of(self.model.estimator)

    @property
    def target_type(self) -> pa.DataType | None:
        """The type that the target is published in, of its rows or of labels that come later."""
        target = self.spec.target
        if target is None:
            return None
        field = self.label or self.published.field(target)
        return field.type

    @property
    def takes_single_rows(self) -> bool:
        """Whether a row is predicted by itself, whatever other rows are sent."""
        return self.asked.together is Together.ROW

    def why_not(self, own: pa.Table, partition: str, *, whole: bool) -> str | None:
        """Why these rows of a partition may not be asked for, with what must be sent; None if they may.

        `whole` is what the request says: that no row is missing that must be sent together with them.
        """
        if self.takes_single_rows:
            return None
        columns = list(dict.fromkeys([*self.spec.keys, *self.asked.by]))
        there = self.look_back.of(partition) if whole else None
        return refusal(
            self.spec,
            self.asked,
            partition,
            to_frame(own.select(columns)),
            whole=whole,
            published=None if there is None else to_frame(there.select(columns)),
        )

    def predict(self, own: pa.Table, partition: str, before: LookedBack | None) -> pa.Table:
        """What a night would publish of a partition's rows (n, d), in the order of time and key.

        `own` has the columns of `types`, and `before` is what the partition's features look back to. The
        result has the keys, what `evergreen.scoring.published` names and `version`, a row each. Raises as
        `evergreen.scoring.score.predictions` does, and what features and model raise.
        """
        rows = self._as_published(own, partition)
        if before is not None and len(before.rows):
            earlier = before.rows
            rows = pa.concat_tables([earlier, rows.select(earlier.column_names).cast(earlier.schema)])
        rows = with_lookups(self.model.pipeline, rows)
        if self.label is not None:
            rows = rows.append_column(self.label, pa.nulls(len(rows), self.label.type))
        found = predictions_of(self.model, rows, partition, self.levels.of(partition))
        return found.drop_columns([ACTUAL]) if ACTUAL in found.column_names else found

    @cached_property
    def _read(self) -> list[pa.Field]:
        """The published columns that are read."""
        return [self.published.field(name) for name in columns_read(self.spec, self.published.names)]

    def _as_published(self, own: pa.Table, partition: str) -> pa.Table:
        """The rows as a night reads them from the lake, without their targets."""
        columns = {
            column.name: own.column(column.name)
            if column.name in own.column_names
            else pa.nulls(len(own), column.type)
            for column in self._read
        }
        return pa.table({**columns, PARTITION: pa.array([partition] * len(own), pa.string())})


def _as_sent(spec: Spec, golden: Golden, types: RowTypes) -> list[dict[str, Any]]:
    """The golden rows that are predicted, as JSON has them; none if they have other columns than now.

    A request has all columns: here those are null that functions do not get and the sample does not have.
    """
    own = golden.rows[golden.rows[PARTITION] == golden.partition]
    names = types.schema.names
    if not {*columns_given(spec, names)} <= {*own.columns}:
        return []
    own = own.assign(**{name: None for name in names if name not in own.columns})
    try:
        rows = pa.Table.from_pandas(own, schema=types.schema, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return []
    found: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(rows.to_pylist()))
    return found


def _label(pipeline: Pipeline) -> pa.Field | None:
    spec = pipeline.spec
    if spec.labels is None or spec.target is None:
        return None
    return label_schema(pipeline).field(spec.target)
