"""What a task read and wrote, in the terms of OpenLineage: datasets, and facets as JSON values.

Operators keep a `Lineage` of names and counts, which costs nothing. Only where Airflow's OpenLineage provider
asks for it are schemas, versions and figures of columns looked up, and made into that provider's classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from airflow.providers.openlineage.extractors import OperatorLineage

    from evergreen.ingestion.publish import Published
    from evergreen.pipeline import Pipeline
    from evergreen.scoring.score import Scored
    from evergreen.signals.record import Record
    from evergreen.training.stage import Committed
    from evergreen.validation.report import ValidationReport

MODELS = "models"
"""The name of the models, whose versions are those of the registry."""
_SEVERITIES = {"critical": "error", "warning": "warn", "info": "info"}


@dataclass(frozen=True)
class Data:
    """A dataset of a task: a table of the lake, the models, or rows on their way (`staging/...`).

    `rows` is how many were read or written. `version` is known of a model only. `report` says how the rows
    were validated, and `columns_of` is the published partition whose columns had those figures.
    """

    name: str
    rows: int | None = None
    version: str | None = None
    report: ValidationReport | None = None
    columns_of: str | None = None


@dataclass(frozen=True)
class Lineage:
    """What a task read and wrote."""

    reads: tuple[Data, ...] = ()
    writes: tuple[Data, ...] = ()


@dataclass(frozen=True)
class Looked:
    """What the storage says of a dataset: its columns with their types, its version, figures of its columns.

    `place` is the bucket's address and the path there, by which other programs know the same dataset.
    """

    place: tuple[str, str]
    schema: Mapping[str, str] = field(default_factory=dict)
    version: str | None = None
    profile: Mapping[str, Any] = field(default_factory=dict)


def staged(source: str = "rows", **known: Any) -> Data:
    """The rows of a source on their way to validation; of none: those that all sources gave together."""
    return Data(f"staging/{source}", **known)


def of_publication(published: Sequence[Published]) -> Lineage:
    """Validated rows become partitions and quarantine; what was found of the newest partition is told."""
    newest = published[-1]
    rows, quarantined = (sum(getattr(each, name) for each in published) for name in ("rows", "quarantined"))
    validated = staged(rows=rows, report=newest.report, columns_of=newest.partition)
    return Lineage((validated,), (Data("partitions", rows), Data("quarantine", quarantined)))


def of_validation(sources: Iterable[str], reports: Sequence[ValidationReport]) -> Lineage:
    """Rows of all sources are joined, and those that are valid go on."""
    valid = sum(each.rows - each.quarantined for each in reports if not each.refused)
    return Lineage(tuple(staged(source) for source in sources), (staged(rows=valid),))


def of_refusal(sources: Iterable[str], report: ValidationReport) -> Lineage:
    """A refused partition: nothing goes on, and the assertions say why."""
    return Lineage((*(staged(source) for source in sources), staged(rows=report.rows, report=report)))


def of_scoring(scored: Scored) -> Lineage:
    """A partition's rows become predictions by a version of the model."""
    reads = (Data("partitions", scored.rows), Data(MODELS, version=scored.version))
    return Lineage(reads, (Data("predictions", scored.rows),))


def of_monitoring(record: Record) -> Lineage:
    """A scored partition is held against what its model was trained on."""
    reads = (Data("partitions", record.rows), Data("predictions", record.rows))
    return Lineage((*reads, Data(MODELS, version=record.version)), (Data("monitoring"),))


def of_commit(committed: Committed) -> Lineage:
    """The partitions before its as-of become a version of the model."""
    return Lineage((Data("partitions"),), (Data(MODELS, version=committed.version),))


def facets(data: Data, looked: Looked, *, written: bool) -> dict[str, dict[str, Any]]:
    """The facets of a dataset by their names in OpenLineage. Pure."""
    namespace, name = looked.place
    found: dict[str, dict[str, Any]] = {
        "symlinks": {"identifiers": [{"namespace": namespace, "name": name, "type": "LOCATION"}]}
    }
    if looked.schema:
        found["schema"] = {"fields": [{"name": key, "type": kind} for key, kind in looked.schema.items()]}
    if version := data.version or looked.version:
        found["version"] = {"datasetVersion": version}
    if data.rows is not None:
        found["outputStatistics" if written else "inputStatistics"] = {"rowCount": data.rows}
    if data.report is not None and data.report.results:
        found["dataQualityAssertions"] = {"assertions": _assertions(data.report)}
    if looked.profile:
        found["dataQualityMetrics"] = _metrics(looked.profile)
    return found


def _assertions(report: ValidationReport) -> list[dict[str, Any]]:
    return [
        {
            "assertion": one["name"] or one["expectation"],
            "success": one["success"],
            "column": (one["arguments"] or {}).get("column"),
            "severity": _SEVERITIES.get(one["severity"], one["severity"]),
            "name": one["expectation"],
            "actual": one["detail"] or None,
            "params": one["arguments"] or {},
        }
        for one in report.to_dict()["results"]
    ]


def _metrics(profile: Mapping[str, Any]) -> dict[str, Any]:
    """OpenLineage has extremes of numbers only."""
    rows = profile["rows"]
    columns = {
        name: {
            "nullCount": one["nulls"],
            "count": rows - one["nulls"],
            **{key: one[key] for key in ("min", "max") if isinstance(one.get(key), int | float)},
            "quantiles": dict(one.get("quantiles", {})),
        }
        for name, one in profile["columns"].items()
    }
    return {"rowCount": rows, "columnMetrics": columns}


def look(pipeline: Pipeline, data: Data) -> Looked:
    """Look up what the storage says of a dataset; a table has its version of this moment."""
    from evergreen.lake import Table

    storage = pipeline.storage
    bucket = f"s3://{storage.bucket}"
    is_table = data.name in set(Table)
    key = f"{pipeline.name}/lake/{data.name}" if is_table else f"{pipeline.name}/{data.name}"
    place = (bucket, storage.uri(key).removeprefix(f"{bucket}/"))
    of = data.columns_of
    profile = pipeline.lake.records([of]).get(of, {}).get("profile", {}) if of else {}
    schema = pipeline.lake.schema(Table(data.name)) if is_table else None
    if schema is None:
        return Looked(place, profile=profile)
    return Looked(place, _types(schema), str(pipeline.lake.version(Table(data.name))), profile)


def _types(schema: pa.Schema) -> dict[str, str]:
    return {column.name: str(column.type) for column in schema}


def operator_lineage(pipeline: Pipeline, lineage: Lineage) -> OperatorLineage:
    """A task's lineage in the provider's classes, which are imported here and nowhere else.

    A dataset is named `<pipeline>/<table>`, in the namespace of the storage's address.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset

    def dataset(data: Data, *, written: bool) -> Any:
        found = {
            name: _classes()[name](values)
            for name, values in facets(data, look(pipeline, data), written=written).items()
        }
        of_run = {name: found.pop(name) for name in [*found] if name in _OF_THE_RUN}
        named = {"namespace": pipeline.storage.uri(), "name": f"{pipeline.name}/{data.name}", "facets": found}
        if written:
            return OutputDataset(**named, outputFacets=of_run)
        return InputDataset(**named, inputFacets=of_run)

    return OperatorLineage(
        inputs=[dataset(data, written=False) for data in lineage.reads],
        outputs=[dataset(data, written=True) for data in lineage.writes],
    )


_OF_THE_RUN = ("inputStatistics", "outputStatistics", "dataQualityAssertions", "dataQualityMetrics")
"""The facets that are of one run's reading or writing, and not of the dataset at all times."""


def _classes() -> dict[str, Any]:
    from openlineage.client import facet_v2 as v2

    schema, quality, metrics, symlinks = (
        v2.schema_dataset,
        v2.data_quality_assertions_dataset,
        v2.data_quality_metrics_input_dataset,
        v2.symlinks_dataset,
    )
    return {
        "symlinks": lambda it: symlinks.SymlinksDatasetFacet(
            [symlinks.Identifier(**one) for one in it["identifiers"]]
        ),
        "schema": lambda it: schema.SchemaDatasetFacet(
            [schema.SchemaDatasetFacetFields(**one) for one in it["fields"]]
        ),
        "version": lambda it: v2.dataset_version_dataset.DatasetVersionDatasetFacet(**it),
        "inputStatistics": lambda it: v2.input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
            **it
        ),
        "outputStatistics": lambda it: v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            **it
        ),
        "dataQualityAssertions": lambda it: quality.DataQualityAssertionsDatasetFacet(
            [quality.Assertion(**one) for one in it["assertions"]]
        ),
        "dataQualityMetrics": lambda it: metrics.DataQualityMetricsInputDatasetFacet(
            rowCount=it["rowCount"],
            columnMetrics={name: metrics.ColumnMetrics(**one) for name, one in it["columnMetrics"].items()},
        ),
    }
