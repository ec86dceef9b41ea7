from __future__ import annotations

import functools
import json
import shlex
import shutil

import pytest
from typer.testing import CliRunner

from evergreen import cli
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "backup.md"
TYPED_LAST = ["models", "ingest", "look-back"]


@pytest.fixture
def elsewhere(new_storage, monkeypatch):
    """Points the command to an empty storage."""

    def go():
        storage = new_storage()
        monkeypatch.setenv("EVERGREEN_STORAGE", storage.uri())
        return storage

    return go


def test_all_pipelines_go_there_and_come_back(pipelines, evergreen, configured, elsewhere, tmp_path):
    evergreen.document("ingest", "kinds")
    evergreen.document("ingest", "daily", "--partition", "2011-01-01", "--to", "2011-01-02")
    place = f"{configured.uri()}-backups"
    configured._client.create_bucket(Bucket=f"{configured.bucket}-backups")
    made = {one["pipeline"]: one for one in evergreen.document("backup", place)["pipelines"]}
    assert {name: (one["number"], one["problems"]) for name, one in made.items()} == {
        "daily": (1, []),
        "kinds": (1, []),
    }
    on_disk = evergreen("backup", str(tmp_path / "disk"), "kinds").stdout
    assert on_disk.startswith(f"kinds: backup 1: {made['kinds']['objects']} objects, ")

    target = elsewhere()
    restored = evergreen.document("restore", place)["pipelines"]
    assert {one["pipeline"]: one["written"] for one in restored} == {
        name: one["objects"] for name, one in made.items()
    }
    assert [one["written"] for one in evergreen.document("restore", place)["pipelines"]] == [0, 0]
    there, here = (
        {key: storage.read(key).body for key in storage.list("") if "_last_checkpoint" not in key}
        for storage in (configured, target)
    )
    assert there == here
    days = ("--partition", "2011-01-01", "--to", "2011-01-03")
    published = evergreen.document("ingest", "daily", *days)["partitions"]
    assert [one["changed"] for one in published] == [False, False, True]
    assert "is not that of backup 1" in evergreen.line("restore", place, "daily")


def test_the_page_is_typed(pipelines, evergreen, configured, elsewhere, tmp_path, monkeypatch):
    """Every command of docs/how-to/backup.md, in its order; only the database to look back to is missing."""
    evergreen.document("ingest", "daily", "--partition", "2011-01-01")
    keys = configured.credentials
    extra = {"endpoint_url": keys.endpoint_url}
    vault = {"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_VAULT", json.dumps(vault))
    bucket = f"{configured.bucket}-vault"
    configured._client.create_bucket(Bucket=bucket)
    words = {"bike_demand": "daily", "/mnt/backups": str(tmp_path / "b"), "s3://vault/": f"s3://{bucket}/"}
    commands = [command for block in blocks(PAGE) for command in block.commands()]
    assert [command.split()[1] for command in commands] == ["backup"] * 2 + ["restore"] * 2 + TYPED_LAST
    for command in commands:
        if "restore" in command:
            elsewhere()
        mine = functools.reduce(lambda text, word: text.replace(*word), words.items(), command)
        result = evergreen(*shlex.split(mine, comments=True)[1:])
        known = "look-back" in command and "serving.look_back" in result.stderr
        assert result.exit_code == 0 or known, result.output


def test_places_and_names_that_are_none_are_told(pipelines, evergreen, configured, elsewhere, tmp_path):
    place = str(tmp_path / "backups")
    assert evergreen.line("backup", place) == (
        f"evergreen: {configured.uri()} has no pipeline: ingest a partition first"
    )
    evergreen.document("ingest", "kinds")
    for arguments, said in (
        (("backup", configured.uri("backups")), "is where the pipelines themselves are"),
        (("backup", "gs://bucket"), "'gs://bucket' is no place for backups: give a folder, or s3://"),
        (("backup", place, "nope"), "nope: there is nothing at s3://"),
        (("backup", place, "../kinds"), "'../kinds' is no pipeline's name"),
        (
            ("backup", place, "--connection", "vault"),
            "connection 'vault' is not defined: set AIRFLOW_CONN_VAULT",
        ),
        (("restore", place), f"{place} has no backup: evergreen backup"),
        (("restore", place, "kinds"), "kinds: "),
    ):
        assert said in evergreen.line(*arguments), arguments
    evergreen.document("backup", place, "kinds")
    assert "has no backup 2 of it: the newest are 1" in evergreen.line("restore", place, "--number", "2")
    (damaged,) = (tmp_path / "backups" / "backups" / "kinds").glob("*.json")
    damaged.write_text(damaged.read_text().replace("calendar.json", "../../etc/calendar.json"))
    elsewhere()
    assert "cannot be restored: it does not have its digest: take an earlier" in evergreen.line(
        "restore", place
    )
    shutil.rmtree(place)


def test_what_was_damaged_before_is_said_and_the_rest_is_kept(
    evergreen, pipelines, configured, elsewhere, tmp_path
):
    evergreen.document("ingest", "kinds")
    (rows,) = configured.list("kinds/lake/partitions/partition=")
    configured.delete([rows])
    result = CliRunner().invoke(cli.app, ["backup", str(tmp_path / "b"), "kinds"])
    assert result.exit_code == 1
    assert "kinds: lake table 'partitions': snapshot:" in result.stderr
    assert "is gone: it was found so" in result.stderr
    elsewhere()
    assert CliRunner().invoke(cli.app, ["restore", str(tmp_path / "b"), "kinds"]).exit_code == 1
    evergreen.document("ingest", "kinds")
    assert evergreen.document("models", "verify", "kinds")["ok"]
