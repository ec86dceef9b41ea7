"""Every connection that a description names is found, by its type: no list of places has to be kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import AfterValidator

from evergreen.description import Described, connection_ids
from evergreen.spec import Spec, parse_spec
from evergreen.units import ConnectionId, ConnectionName

# Each connection is called by the model and the field that name it.
DESCRIPTION = """
name: shop
description: Sales of a shop
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  sales: {postgres: {conn_id: PostgresSource_conn_id, table: sales, time_column: at}}
  visits: {sql: {conn_id: SqlSource_conn_id, table: visits, time_column: at}}
  events: {delta: {conn_id: DeltaSource_conn_id, path: "s3://lake/events", time_column: at}}
  stock: {iceberg: {conn_id: IcebergSource_conn_id, table: shop.stock, time_column: at}}
  weather:
    http:
      conn_id: HttpSource_conn_id
      path: "/v1/{store}"
      params: {day: "{partition}"}
      for_each: {store: {conn_id: QueriedValues_conn_id, sql: stores.sql}}
  shops:
    file: {conn_id: FileSource_conn_id, path: "s3://shops/{partition}.csv"}
    complete: {file: "s3://shops/{partition}.done", conn_id: FileQuestion_conn_id}
join:
  - {left: sales, right: shops, on: [shop], expect: many_to_one}
  - {left: sales, right: weather, on: [hour], expect: one_to_one}
  - {left: sales, right: visits, on: [hour], expect: one_to_one}
  - {left: sales, right: events, on: [hour], expect: one_to_one}
  - {left: sales, right: stock, on: [hour], expect: one_to_one}
key: [at]
task: regression
target: sold
labels: {source: {http: {conn_id: labels, path: "/v1/{partition}"}}, delay: 2 partitions}
training: {metric: mae, candidates: [{estimator: sklearn.linear_model.Ridge}]}
scoring: {conn_id: Scoring_conn_id, table: predictions}
serving: {look_back: {conn_id: LookBack_conn_id}}
models: {signing: Models_signing}
mlflow: {conn_id: Mlflow_conn_id}
alerts: {to: [{conn_id: Receiver_conn_id}, {conn_id: others}]}
reports: {to: [Reports_to], weekly: [Reports_weekly]}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(DESCRIPTION)
    return parse_spec(folder / "pipeline.yaml")


def models(model: type[Described] = Described) -> Iterator[type[Described]]:
    """Every model of the library that is a part of a description."""
    for part in model.__subclasses__():
        if part.__module__.startswith("evergreen."):
            yield part
        yield from models(part)


def is_id(annotation: Any, metadata: Any = ()) -> bool:
    """Whether a field's type is, or holds, the id of a connection."""
    parts = (*get_args(annotation), *metadata)
    return any(
        (isinstance(part, AfterValidator) and part.func is ConnectionName) or is_id(part) for part in parts
    )


def test_each_field_that_names_a_connection_is_found(spec: Spec) -> None:
    fields = {
        f"{model.__name__}_{name}"
        for model in set(models())
        for name, field in model.model_fields.items()
        if not model.__subclasses__() and is_id(field.annotation, field.metadata)
    }
    assert len(fields) >= 5
    assert set(connection_ids(spec)) == fields | {"labels", "others"}, (
        "name the new connection in this test's description, by its model and field"
    )


def test_a_field_that_is_called_a_connection_is_of_its_type() -> None:
    others = [
        (model.__name__, name)
        for model in set(models())
        for name, field in model.model_fields.items()
        # A written form, whose fields are of any type, is converted into models of this list.
        if "conn" in name and field.annotation is not Any and not is_id(field.annotation, field.metadata)
    ]
    assert others == []


def test_they_are_found_wherever_a_part_holds_them() -> None:
    class Inner(Described):
        one: ConnectionId | None = None
        text: str = "no connection"

    class Outer(Described):
        many: tuple[ConnectionId, ...] = ()
        named: dict[str, ConnectionId]
        parts: dict[str, tuple[Inner, ...]]

    described = Outer.model_validate(
        {"many": ["a", "b"], "named": {"x": "c"}, "parts": {"y": [{"one": "d"}, {"text": "e"}]}}
    )
    assert list(connection_ids(described)) == ["a", "b", "c", "d"]


def test_an_id_is_written_as_it_was_read(spec: Spec) -> None:
    assert spec.model_dump(mode="json")["scoring"]["conn_id"] == "Scoring_conn_id"
    assert type(spec.model_dump(mode="json")["scoring"]["conn_id"]) is str
