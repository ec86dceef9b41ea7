"""`evergreen new` on a dozen kinds of data: its folder passes check, ingest, train and score untouched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from evergreen.connections import Connection
from evergreen.description import read_mapping
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.storage import Storage
from tests.campaign import FULL
from tests.http_peers import serving
from tests.integration.draft.inputs import INPUTS, Input, orders, pages, to_table
from tests.unit.two_pipelines import Evergreen

QUICK = ("species", "houses", "iris")
"""Those that every run of the tests tries; the campaign `new` tries all of them."""


@pytest.fixture
def options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Callable[[Input], list[str]]]:
    """Puts the rows of an input where they are read from; gives the options that name them."""

    def put(wanted: Input) -> list[str]:
        rows = wanted.rows(np.random.default_rng(7))
        if wanted.needs == "database":
            server: Connection = request.getfixturevalue("postgres_server")
            to_table(rows, server)
            values = {name: getattr(server, name) for name in ("host", "port", "login", "password", "schema")}
            monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", json.dumps({"conn_type": "postgres", **values}))
            return ["--from", "shop_db", "--table", "shop.orders", *wanted.options]
        if wanted.needs == "api":
            peer = stack.enter_context(serving(pages(rows)))
            definition = json.dumps({"conn_type": "http", "host": peer.address()})
            monkeypatch.setenv(f"AIRFLOW_CONN_{wanted.name.upper()}_API", definition)
            return ["--from", f"{peer.address()}/v1/visits", *wanted.options]
        return [*wanted.write(rows, tmp_path), *wanted.options]

    with ExitStack() as stack:
        yield put


@pytest.mark.parametrize(
    "wanted", [one for one in INPUTS if FULL or one.name in QUICK], ids=lambda one: one.name
)
def test_a_folder_runs_untouched(
    wanted: Input,
    options: Callable[[Input], list[str]],
    configured: Storage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tell: Callable[[str], None],
) -> None:
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path / "pipelines"))
    evergreen, name = Evergreen(), wanted.name
    drafted = evergreen.document("new", name, *options(wanted))
    assert {key: drafted[key] for key in wanted.told} == wanted.told
    assert list(drafted["left_out"]) == list(wanted.left_out)

    checked = evergreen.document("check", name, "--source")
    to_decide = [one for one in checked["checks"] if one["check"].startswith("to decide: ")]
    assert len(to_decide) == len(drafted["guesses"]) > 5

    span, last = (), "snapshot"
    if drafted["time_column"]:
        last = drafted["to"]
        span = ("--partition", drafted["from"], "--to", last)
    ingested = evergreen.document("ingest", name, *span)
    assert ingested["summary"]["rows"] == drafted["rows"]
    assert ingested["summary"]["quarantined"] == 0
    trained = evergreen.document("train", name, "--as-of", last)
    assert trained["promoted"]
    (scored,) = evergreen.document("score", name, "--partition", last)["partitions"]
    predictions = Pipeline.open(name, storage=configured).lake.read(Table.PREDICTIONS, last, last)
    assert 0 < scored["rows"] == predictions.num_rows
    assert predictions.column("prediction").null_count == 0
    tell(_told(drafted, ingested, trained, scored))


def test_a_password_is_in_no_file_and_no_line(
    postgres_server: Connection, clean_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_table(orders(np.random.default_rng(7)), postgres_server)
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    at = f"{postgres_server.host}:{postgres_server.port}/{postgres_server.schema}"
    address = f"postgres://tester:{quote(str(postgres_server.password))}@{at}/shop.orders"
    done = Evergreen()("new", "orders", "--from", address)
    assert done.exit_code == 0, done.output
    assert "define first: export AIRFLOW_CONN_ORDERS_DB=" in done.stdout
    texts = [done.output, *(file.read_text() for file in (tmp_path / "orders").iterdir())]
    assert not [text for text in texts if str(postgres_server.password) in text or "%20" in text]
    written = read_mapping(tmp_path / "orders" / "pipeline.yaml")["sources"]["shop_orders"]["postgres"]
    assert written == {
        "conn_id": "orders_db",
        "table": "shop.orders",
        "time_column": "ordered_at",
        "changed": {"column": "updated_at"},
    }


def _told(drafted: Any, ingested: Any, trained: Any, scored: Any) -> str:
    metric = drafted["metric"]
    value = trained["metrics"][metric]
    return (
        f"{drafted['pipeline']}: {drafted['rows']:,} rows, {drafted['partition']}, {drafted['task']} of "
        f"{drafted['target']}: {ingested['summary']['published']} published, {metric} {value:.4g}, promoted, "
        f"{scored['rows']} rows scored, {len(drafted['guesses'])} guesses"
    )
