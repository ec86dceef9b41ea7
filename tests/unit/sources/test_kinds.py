"""The kinds of source: what one module and one entry bring, and that nobody else knows one by its name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evergreen import cli
from evergreen.backtest.run import ensure_published, read_rows
from evergreen.errors import SpecError, UnavailableError
from evergreen.ingestion.stage import ingest
from evergreen.labels.ingest import ingest_labels
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.sources import KINDS
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from tests.sqlite_source import LENDER, SQLITE, SqliteSource, add_loans, write_lender

ROOT = Path(__file__).resolve().parents[3]
AMOUNTS = [0, 1.5, 3, 4.5, 6]
FIRST, SECOND, THIRD = "2024-01-01", "2024-01-02", "2024-01-03"


@pytest.fixture
def lender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: Storage) -> Path:
    """The folder of a pipeline whose sources are of a kind that the test brings along."""
    monkeypatch.setitem(KINDS, "sqlite", SQLITE)
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    return write_lender(tmp_path, days=2)


def test_a_kind_of_ones_own_is_described_below_its_name(lender: Path):
    spec = parse_spec(lender / "pipeline.yaml")
    source = spec.sources["loans"]
    assert (source.kind, type(source.config), spec.time_column) == ("sqlite", SqliteSource, "at")
    assert source.complete is not None
    assert source.complete.question.model_dump() == {"rows": 5}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("sqlite:", "sqlit:", "did you mean 'sqlite'?; allowed here: complete, delta, file, http, iceberg, "),
        ("table: loans", "tabel: loans", "sources.loans.sqlite.tabel: no such key, did you mean 'table'?"),
        ("{rows: 5,", "{row: 5,", "sources.loans.complete.row: no such key, did you mean 'rows'?"),
        ("{rows: 5,", "{rows: many,", "sources.loans.complete.rows: must be a whole number"),
        ("{rows: 5,", "{sql: a.sql,", "of the kind 'sqlite' cannot answer this, give 'rows', 'file'"),
        ("outcomes, time_column: at", "outcomes", "labels.source.sqlite: write '{partition}'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_it_is_said_as_of_every_kind(lender: Path, old: str, new: str, says: str):
    assert old in LENDER
    (lender / "pipeline.yaml").write_text(LENDER.replace(old, new, 1))
    with pytest.raises(SpecError) as refusal:
        parse_spec(lender / "pipeline.yaml")
    assert says in str(refusal.value)


def test_without_its_entry_there_is_no_such_kind(lender: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(KINDS, "sqlite")
    with pytest.raises(
        SpecError,
        match=r"loans\.sqlite: no such key, did you mean 'sql'\?; allowed here: complete, delta, file, ",
    ):
        parse_spec(lender / "pipeline.yaml")


def test_check_looks_at_it_and_at_its_connection(lender: Path):
    found = CliRunner().invoke(cli.app, ["check", "lender"])
    assert found.exit_code == 0, found.output
    (lender / "pipeline.yaml").write_text(LENDER.replace("{path: ", "{conn_id: bank, path: ", 1))
    found = CliRunner().invoke(cli.app, ["check", "lender", "--json"])
    assert found.exit_code == 1
    assert "AIRFLOW_CONN_BANK" in found.output


def test_it_is_waited_for_ingested_and_read_by_a_backtest_with_its_labels(lender: Path):
    pipeline = Pipeline.open("lender")
    assert [(each.partition, each.rows) for each in ingest(pipeline, [FIRST, SECOND])] == [
        (FIRST, 5),
        (SECOND, 5),
    ]
    assert pipeline.lake.read(Table.PARTITIONS, FIRST, FIRST).column("amount").to_pylist() == AMOUNTS
    add_loans(lender, 3, count=4)
    late = "lender 2024-01-03: source 'loans' is not complete: 4 of 5 rows are there"
    with pytest.raises(UnavailableError, match=late):
        ingest(pipeline, [THIRD])
    add_loans(lender, 4, count=6)
    (lender / "pipeline.yaml").write_text(LENDER.replace("rows: 5", "rows: 4"))
    pipeline = Pipeline.open("lender")
    assert ensure_published(pipeline, FIRST, "2024-01-04") == [THIRD, "2024-01-04"]
    (read,) = ingest_labels(pipeline, [SECOND])
    assert (read.partition, read.labels, read.labelled) == (FIRST, 5, 5)
    rows = read_rows(pipeline, FIRST, "2024-01-04")
    assert rows.groupby("partition").size().to_dict() == {FIRST: 5, SECOND: 5, THIRD: 4, "2024-01-04": 6}
    assert rows[rows["partition"] == FIRST]["late"].tolist() == ["no", "yes", "no", "yes", "no"]
    assert rows[rows["partition"] == SECOND]["late"].isna().all()


# What the words mean there: a type of Airflow's connections, an address, a protocol, a file, its key.
OTHER_THINGS = {
    ("include/evergreen/alerts/receivers.py", "http"),
    ("include/evergreen/cli/expectations.py", "file"),
    ("include/evergreen/connections.py", "postgres"),
    ("include/evergreen/databases/registry.py", "postgres"),
    ("include/evergreen/diff/files.py", "file"),
    ("include/evergreen/diff/files.py", "sql"),
    ("include/evergreen/ingestion/stage.py", "file"),
    ("include/evergreen/look_back/store.py", "postgres"),
    ("include/evergreen/postgres.py", "postgres"),
    ("include/evergreen/serving/entrance.py", "http"),
    ("plugins/evergreen_airflow/start_up.py", "postgres"),
}


def modules() -> Iterator[tuple[str, ast.AST]]:
    """The modules outside the sources that tell of pipelines: their paths and what stands in them."""
    for part in ("include/evergreen", "plugins", "dags"):
        for path in sorted((ROOT / part).rglob("*.py")):
            if not path.is_relative_to(ROOT / "include/evergreen/sources"):
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def test_no_module_outside_the_sources_names_a_kind():
    found = {
        (module, node.value)
        for module, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in KINDS
    }
    assert found == OTHER_THINGS


def test_no_module_outside_the_sources_imports_what_belongs_to_one_kind():
    kinds = tuple(f"evergreen.sources.{name}" for name in ("postgres", "http", "files", "sql", "tables"))
    found = {
        (module, node.module)
        for module, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(kinds)
    }
    # Alerts are posted to addresses, and MLflow is told, by what the same client is made of.
    alerts, mlflow = "include/evergreen/alerts/receivers.py", "include/evergreen/sinks/mlflow/server.py"
    assert found <= {
        (alerts, "evergreen.sources.http.client"),
        (mlflow, "evergreen.sources.http.client"),
        (mlflow, "evergreen.sources.http.cut_off"),
        (mlflow, "evergreen.sources.http.auth.tls"),
    }
