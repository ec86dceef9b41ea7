"""A pipeline opened in Python. Read-only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from evergreen.connections import from_environment
from evergreen.description import pipelines_folder
from evergreen.environment import variables
from evergreen.errors import NotFoundError
from evergreen.pipeline import Pipeline as StagePipeline
from evergreen.spec import load_spec, pipeline_names, pipelines_of
from evergreen.storage import Credentials, Storage

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.front_door.model import Model
    from evergreen.training_set.assemble import TrainingSet


def open(name: str) -> Pipeline:  # noqa: A001 - it is read as evergreen.open
    """The pipeline called `name`, with the storage of this process's variables or of a running stack.

    `EVERGREEN_STORAGE`, `EVERGREEN_PIPELINES`, `AWS_*` and `AIRFLOW_CONN_*` are read from this process's
    variables and, if not set there, from the file `env` of an embedded stack: in `EVERGREEN_HOME`, in
    `.evergreen` of the current folder, or in `.evergreen` of the repository. Their values are used only for
    this pipeline: no variable is set. Nothing is contacted yet.

    Raises `NotFoundError` for an unknown pipeline, `SpecError` for an invalid description, `StorageError` if
    there is neither a stack nor `EVERGREEN_STORAGE`.
    """
    return Pipeline(find(name))


def find(name: str) -> StagePipeline:
    """The pipeline object of the stages, found as by `open`; raises as `open` does."""
    found = variables()
    spec = load_spec(name, pipelines_folder(found))
    storage = Storage.open(found.get("EVERGREEN_STORAGE"), Credentials.from_environment(found))
    return StagePipeline(spec, storage, partial(from_environment, variables=found))


def find_all(name: str) -> list[StagePipeline]:
    """The pipelines that a name stands for: those of all targets for a folder's; raises as `open` does."""
    return [find(one) for one in pipelines_of(name, pipelines_folder(variables()))]


def pipelines() -> list[str]:
    """The sorted names of the pipelines in the folder where `open` looks for them.

    Their descriptions are not read. Raises `SpecError` if there is no such folder.
    """
    return pipeline_names(pipelines_folder(variables()))


class Pipeline:
    """A pipeline that `evergreen.open` opened: its rows, models, training sets, and their history.

    Every call reads what is published at that moment; none writes. All times are aware, in UTC.
    A partition is named by its key, such as `2011-04-30`; a snapshot's is `snapshot`. All methods raise
    `UnavailableError` if the storage cannot be reached and `StorageError` if it refuses; methods that
    take a key raise `PartitionError` for an invalid one.
    """

    def __init__(self, pipeline: StagePipeline) -> None:
        self._pipeline = pipeline

    def __repr__(self) -> str:
        spec = self._pipeline.spec
        what = f"{spec.task} of {spec.target}" if spec.target else str(spec.task)
        where = self._pipeline.storage.uri(spec.name)
        return f"<evergreen.Pipeline {spec.name}: {what}, {spec.partition}, at {where}>"

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self._pipeline.name

    def partitions(self) -> list[str]:
        """The keys of the published partitions, oldest first."""
        return self._pipeline.lake.partitions()

    def rows(
        self,
        first: str | None = None,
        last: str | None = None,
        columns: Sequence[str] | None = None,
        as_of: str | None = None,
    ) -> pd.DataFrame:
        """The published rows of partitions, as feature functions get them, in the order of time and key.

        Only `first`: one partition. `first` and `last`: the published partitions of a range (both included).
        Only `last`: all up to it. Neither: the newest partition. `as_of` leaves out what a training as of
        that partition does not know: partitions from it on, and labels that came later.

        Returns a DataFrame (n, d) with index 0 to n - 1: the columns of the sources, `<lookup>_<column>` of
        lookups, the target if known, and `partition`; or only `columns`, in their order. Decimals are
        float64, dates and times datetime64, lists tuples. With delayed labels the target is missing until it
        is known, and its column does not exist before any label was read.

        Raises `NotFoundError` if none of the partitions is published, or for an unknown column.
        """
        from evergreen.front_door.rows import published_frame

        return published_frame(self._pipeline, first, last, columns, as_of)

    def champion(self, as_of: str | None = None) -> Model:
        """The champion as of the partition `as_of`; default: the current champion.

        Raises `NotFoundError` if there is none.
        """
        from evergreen.front_door.model import Model

        if as_of is not None:
            self._pipeline.spec.calendar.check(as_of)
        version = self._pipeline.registry.champion(as_of)
        if version is None:
            raise NotFoundError(self._no_champion(as_of))
        return Model(self._pipeline, version)

    def version(self, prefix: str) -> Model:
        """The model whose version starts with `prefix`, in any state.

        Raises `NotFoundError` if no version or more than one does.
        """
        from evergreen.front_door.model import Model

        return Model(self._pipeline, self._pipeline.registry.version_by(prefix))

    def training_set(self, as_of: str | None = None) -> TrainingSet:
        """The training set of a training as of a partition, built by the same functions.

        Default: as of the partition after the newest published one. It has `features` (n, d), `target` (n,)
        or None for clustering, `weights` (n,) or None if all rows have the same weight, `holdout` (n,), True
        for rows held out, and the raw `rows`, all aligned by position; `version` is the id that the model
        would have, and `lineage` the origin of its data and code.

        Raises `NotFoundError` if nothing was ever published, `NothingToDoError` for too little history, and
        `SpecError` for features that differ from those of scoring.
        """
        from evergreen.training.stage import next_as_of
        from evergreen.training_set.read import read_training_set

        found, _ = read_training_set(self._pipeline, as_of or next_as_of(self._pipeline), {})
        return found

    def predictions(self, first: str | None = None, last: str | None = None) -> pd.DataFrame:
        """The published predictions; `first` and `last` as in `rows`.

        Returns a DataFrame (n, d): the keys of the rows, `prediction`, `actual` (missing if unknown), the
        `version` that predicted, and `partition`. Raises `NotFoundError` if none of the partitions is scored.
        """
        from evergreen.front_door.rows import predictions_frame

        return predictions_frame(self._pipeline, first, last)

    def decisions(self) -> pd.DataFrame:
        """The measurements and decisions of monitoring, one row per scored partition, oldest first.

        Columns: `partition`, `version` (str); `rows`, `labelled` (int64); `metric` (str), its value `error`
        and its value on the hold-out `promised`; `metrics`, a dict of this metric and those of
        `monitoring.metrics` by name: the `value`, what was `promised`, the value `pooled` over the last
        nights, and in words why it is `undefined`; `coverage`, a list with a dict for each level of the
        intervals; `bias`, `estimated`, `drifted_share` (float64, missing if not measured); `age`, the
        published partitions since the champion's training (int64); `retrain` (bool), `reason` (str), and
        `evidence` (a dict). docs/monitoring.md explains each. No rows if nothing was monitored yet.
        """
        from evergreen.front_door.tables import decisions

        return decisions(self._pipeline)

    def versions(self) -> pd.DataFrame:
        """The versions of the model with their current state, newest first.

        Columns: `version`, `as_of`, `state` (str: champion, promoted, superseded, withdrawn, refused, trial,
        canary or committed); `at`, the time of the last change (datetime64[us, UTC]), `by` (str) and
        `reason` (a dict); `problem` (str), missing unless its metrics cannot be read; then a column (float64)
        for each metric on the hold-out. No rows if nothing was trained yet.
        """
        from evergreen.front_door.tables import versions

        return versions(self._pipeline)

    def quarantine(self, partition: str | None = None) -> pd.DataFrame:
        """The rows in quarantine, of one partition or of all.

        Columns (str): `partition`, `id` (which `evergreen quarantine` takes), the `expectation` that the row
        breaks, `reason`, and `place`, the position of a record that could not be read, else empty; `values`
        is the row as a dict, None for such a record, whose raw text is in `text`. No rows if none are
        quarantined.
        """
        from evergreen.front_door.tables import quarantine

        return quarantine(self._pipeline, partition)

    def _no_champion(self, as_of: str | None) -> str:
        if as_of is None:
            return f"{self.name}: there is no champion yet: train one: evergreen train {self.name}"
        return (
            f"{self.name} {as_of}: no champion was in force as of this partition: train one as of it or "
            f"earlier: evergreen train {self.name} --as-of {as_of}"
        )
