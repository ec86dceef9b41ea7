"""What is asked of a source before anything is read of it: files, and an API that answers as it was told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_none

from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.ingestion.completeness import check_complete, incomplete, missing
from evergreen.pipeline import Pipeline
from evergreen.sources.http import ask
from evergreen.spec import parse_spec
from evergreen.storage import Credentials, Storage

SHOP = """
name: shop
description: Sales of a shop
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: {grain}
sources:
  sales:
    {kind}
    complete: {question}
key: [at]
task: regression
target: sold
training: {{metric: mae, candidates: [{{estimator: sklearn.linear_model.Ridge}}]}}
"""
FILE = 'file: {path: "{partition}.csv", time_column: at}'
HTTP = 'http: {conn_id: shop_api, path: /v1/sales, time_column: at, headers: {X-Day: "{partition}"}}'
DAY = "2024-01-02"

Open = Callable[..., Pipeline]


@pytest.fixture
def shop(tmp_path: Path, storage: Storage) -> Open:
    """Opens the pipeline `shop` with a question."""

    def open_with(question: str, kind: str = FILE, connection: Any = None, grain: str = "daily") -> Pipeline:
        folder = tmp_path / "shop"
        folder.mkdir(exist_ok=True)
        file = folder / "pipeline.yaml"
        file.write_text(SHOP.format(grain=grain, kind=kind, question=question))

        def connect(conn_id: str) -> Connection:
            assert connection, f"'{conn_id}' is not to be asked"
            return connection

        return Pipeline(parse_spec(file), storage, connect)

    return open_with


def test_a_source_that_declares_nothing_is_complete(shop: Open) -> None:
    pipeline = shop("{file: never}")
    undeclared = pipeline.spec.sources["sales"].model_copy(update={"complete": None})
    spec = pipeline.spec.model_copy(update={"sources": {"sales": undeclared}})
    assert incomplete(Pipeline(spec, pipeline.storage), "sales", DAY) is None


def test_a_local_file_is_looked_for_below_the_pipelines_folder(shop: Open) -> None:
    pipeline = shop('{file: "done/{partition:%Y/%m}/{partition}.ok"}')
    assert incomplete(pipeline, "sales", DAY) == (
        "source 'sales' is not complete: done/2024/01/2024-01-02.ok does not exist"
    )
    there = pipeline.spec.folder / "done" / "2024" / "01" / "2024-01-02.ok"
    there.parent.mkdir(parents=True)
    there.touch()
    assert incomplete(pipeline, "sales", DAY) is None
    assert incomplete(pipeline, "sales", "2024-01-03")


def test_an_object_is_looked_for_in_its_own_bucket(shop: Open, new_storage: Callable[[], Storage]) -> None:
    landing = new_storage()
    pipeline = shop(f'{{file: "s3://{landing.bucket}/sales/{{partition}}/_SUCCESS"}}')
    address = f"s3://{landing.bucket}/sales/{DAY}/_SUCCESS"
    assert incomplete(pipeline, "sales", DAY) == f"source 'sales' is not complete: {address} does not exist"
    landing.stage(f"sales/{DAY}/_SUCCESS", b"")
    assert incomplete(pipeline, "sales", DAY) is None
    assert pipeline.storage.bucket != landing.bucket


def test_a_store_that_cannot_be_reached_may_be_asked_later(shop: Open) -> None:
    pipeline = shop('{file: "s3://landing/{partition}"}')
    away = Storage("any", "", Credentials("http://127.0.0.1:9", access_key="a", secret_key="b"))
    with pytest.raises(UnavailableError) as refusal:
        incomplete(Pipeline(pipeline.spec, away), "sales", DAY)
    where = f"shop {DAY}: source 'sales': s3://landing/{DAY}"
    assert str(refusal.value).startswith(
        f"{where}: the store cannot be reached, or broke off, 5 times: check"
    )


def test_a_snapshot_has_a_key_and_no_time(shop: Open) -> None:
    pipeline = shop('{file: "{partition}.ok"}', grain="snapshot")
    assert "snapshot.ok does not exist" in str(incomplete(pipeline, "sales", "snapshot"))
    with pytest.raises(SourceError, match="a snapshot has no time"):
        incomplete(shop('{file: "{partition:%Y}.ok"}', grain="snapshot"), "sales", "snapshot")


FINAL = (
    '{path: "/v1/days/{partition}", params: {of: "{partition:%d.%m.}"}, field: status.state, equals: final}'
)


def test_an_api_is_asked_for_a_field(shop: Open, api: Any) -> None:
    pipeline = shop(FINAL, HTTP, api.connection())
    api.will({"status": {"state": "loading"}}, {"status": {"state": "final"}})
    assert incomplete(pipeline, "sales", DAY) == (
        "source 'sales' is not complete: 'status.state' of /v1/days/2024-01-02 is \"loading\", not \"final\""
    )
    assert incomplete(pipeline, "sales", DAY) is None
    path, params, headers = api.asked[0]
    assert (path, params) == ("/v1/days/2024-01-02", {"of": "02.01."})
    assert (headers["X-API-Key"], headers["X-Day"]) == ("s3cret-key", DAY)


@pytest.mark.parametrize(
    ("equals", "answer", "complete"),
    [
        ("", True, True),
        ("", 1, False),
        ("", "true", False),
        ("", False, False),
        (", equals: false", False, True),
        (", equals: false", 0, False),
        (", equals: 24", 24, True),
        (", equals: 24", "24", False),
        (", equals: 1", True, False),
    ],
)
def test_a_field_is_true_or_just_what_it_must_equal(
    shop: Open, api: Any, equals: str, answer: Any, complete: bool
) -> None:
    pipeline = shop(f"{{path: /v1/loads, field: done{equals}}}", HTTP, api.connection())
    api.will({"done": answer})
    assert (incomplete(pipeline, "sales", DAY) is None) == complete


@pytest.mark.parametrize("document", [{}, {"status": None}, {"status": 3}, [1], None])
def test_a_field_that_is_not_there_is_not_complete(shop: Open, api: Any, document: Any) -> None:
    api.will(document)
    line = incomplete(shop(FINAL, HTTP, api.connection()), "sales", DAY)
    assert line is not None
    assert line.endswith("'status.state' of /v1/days/2024-01-02 is null, not \"final\"")


def test_what_is_named_after_its_partition_need_not_be_there_before_it(
    shop: Open, api: Any, answer: Any
) -> None:
    api.will(answer(404))
    assert incomplete(shop(FINAL, HTTP, api.connection()), "sales", DAY) == (
        "source 'sales' is not complete: /v1/days/2024-01-02 is not there"
    )


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_api_that_says_no_is_not_asked_again(shop: Open, api: Any, answer: Any, status: int) -> None:
    api.will(answer(status))
    pipeline = shop("{path: /v1/loads, field: done}", HTTP, api.connection())
    with pytest.raises(SourceError, match=f"^shop 2024-01-02: source 'sales': .*{status}") as refusal:
        incomplete(pipeline, "sales", DAY)
    assert "s3cret" not in str(refusal.value)
    assert len(api.asked) == 1


@pytest.mark.parametrize("broken", [{"status": 503}, {"body": b'{"done": tr', "promised": None}])
def test_an_api_that_stumbles_is_asked_again_and_then_later(
    shop: Open, api: Any, answer: Any, broken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "_BACKOFF", wait_none())
    pipeline = shop("{path: /v1/loads, field: done}", HTTP, api.connection())
    api.will(answer(**broken), {"done": True})
    assert incomplete(pipeline, "sales", DAY) is None
    api.will(*[answer(**broken)] * ask.ATTEMPTS)
    with pytest.raises(UnavailableError, match=r"^shop 2024-01-02: source 'sales': /v1/loads: "):
        incomplete(pipeline, "sales", DAY)


def test_a_range_names_what_is_missing_of_it(shop: Open) -> None:
    pipeline = shop('{file: "{partition}.ok"}')
    days = [f"2024-01-{day:02d}" for day in range(1, 8)]
    (pipeline.spec.folder / f"{days[1]}.ok").touch()
    found = missing(pipeline, "sales", days)
    assert found is not None
    assert found.partitions == (days[0], *days[2:])
    assert found.reason == (
        "shop 2024-01-01: source 'sales' is not complete: 2024-01-01.ok does not exist "
        "(and 5 more: 2024-01-03, 2024-01-04, 2024-01-05, ...)"
    )
    for day in days:
        (pipeline.spec.folder / f"{day}.ok").touch()
    assert missing(pipeline, "sales", days) is None


def test_a_source_that_cannot_be_asked_is_asked_for_no_further_partition(
    shop: Open, api: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "_BACKOFF", wait_none())
    pipeline = shop("{path: /v1/loads, field: done}", HTTP, api.connection())
    api.will({"done": True}, *[answer(503)] * ask.ATTEMPTS)
    found = missing(pipeline, "sales", ["2024-01-01", "2024-01-02", "2024-01-03"])
    assert found is not None
    assert found.partitions == ("2024-01-02", "2024-01-03")
    assert found.reason.startswith("shop 2024-01-02: source 'sales': /v1/loads: the API answered 503")
    assert len(api.asked) == 1 + ask.ATTEMPTS


def test_a_shell_asks_once_and_ends_with_what_is_missing(shop: Open) -> None:
    pipeline = shop('{file: "{partition}.ok"}')
    with pytest.raises(UnavailableError) as refusal:
        check_complete(pipeline, DAY)
    assert str(refusal.value) == (
        "shop 2024-01-02: source 'sales' is not complete: 2024-01-02.ok does not exist: run again when it is "
        "complete"
    )
    (pipeline.spec.folder / f"{DAY}.ok").touch()
    check_complete(pipeline, DAY)
