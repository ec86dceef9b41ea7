from __future__ import annotations

import json
import shutil

import pyarrow as pa
from typer.testing import CliRunner

from evergreen import cli
from evergreen.request_log.store import Kind, RequestLog

DAYS = ("--partition", "2011-01-01", "--to", "2011-01-03")


def test_it_says_what_goes_and_asks_for_the_name(pipelines, evergreen, configured):
    evergreen.document("ingest", "daily", *DAYS)
    evergreen.document("ingest", "kinds")
    for typed, exit_code in (("no\n", 1), ("", 1), ("daily\n", 0)):
        assert configured.list("daily/")
        result = CliRunner().invoke(cli.app, ["forget", "daily"], input=typed)
        assert result.exit_code == exit_code, result.output
        assert "the lake: published partitions, quarantine, predictions" in result.stderr
        assert f"its description stays: {pipelines / 'daily'}" in result.stderr
        assert ("nothing was deleted" in result.stderr) == bool(exit_code)
    assert configured.list("daily/") == []
    assert len(configured.list("kinds/"))
    published = evergreen.document("ingest", "daily", *DAYS)["partitions"]
    assert [one["changed"] for one in published] == [True] * 3


def test_the_document_says_the_same_and_a_deleted_description_is_no_obstacle(
    pipelines, evergreen, configured
):
    file = pipelines / "daily" / "pipeline.yaml"
    file.write_text(file.read_text() + "scoring: {conn_id: db, table: daily_predictions}\n")
    evergreen.document("ingest", "daily", *DAYS)
    shutil.copytree(pipelines / "daily", pipelines / "other")
    other = file.read_text().replace("name: daily", "name: other")
    lookup = "features: {lookups: {theirs: {pipeline: daily, on: {y: y}, columns: [x], max_age: 1 days}}}\n"
    (pipelines / "other" / "pipeline.yaml").write_text(other + lookup)
    assert json.loads(CliRunner().invoke(cli.app, ["forget", "daily", "--json"]).stdout) == {
        "error": "daily: nothing was deleted: type the pipeline's name, or give --yes"
    }
    told = evergreen.document("forget", "daily", "--yes")
    assert told["stays"] == [
        f"its description stays: {pipelines / 'daily'}",
        "its table of predictions stays: daily_predictions at connection 'db'",
        "the pipeline other looks up its rows (theirs)",
    ]
    objects = {part["name"]: part["objects"] for part in told["parts"]}
    assert sum(objects.values()) == told["deleted"] > 0
    assert {"lake", "calendar.json", "data_docs"} <= set(objects)
    shutil.rmtree(pipelines / "daily")
    assert evergreen("forget", "daily").stdout == (f"daily: there is nothing at {configured.uri('daily/')}\n")
    assert evergreen.line("forget", "../daily") == (
        "evergreen: '../daily' is no pipeline's name: give one of a-z, 0-9 and '_'"
    )


def test_only_the_requests_for_some_rows(evergreen, configured):
    log = RequestLog(configured, "daily")
    log.append(Kind.PREDICTIONS, "2011-01-01", pa.table({"row.customer": ["a", "b"]}))
    told = evergreen.document("forget", "daily", "--asked", "customer=a")
    assert told == {"pipeline": "daily", "values": {"customer": "a"}, "rows": 1}
    assert log.read(Kind.PREDICTIONS, "2011-01-01").to_pylist() == [{"row.customer": "b"}]
    wrong = CliRunner().invoke(cli.app, ["forget", "daily", "--asked", "customer"])
    assert (wrong.exit_code, "like --asked customer=17" in wrong.output) == (2, True)
