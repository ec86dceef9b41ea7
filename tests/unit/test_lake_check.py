"""Files of the lake that are gone or damaged: named with their partition, and made again as the line says."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from evergreen.errors import IntegrityError
from evergreen.lake import Lake, Table
from evergreen.storage import Storage
from tests.unit.two_pipelines import Evergreen

DAY = "2011-01-02"
DAMAGES = ("gone", "cut short", "another end")


def spoil(storage: Storage, table: str, how: str, key: str = DAY, pipeline: str = "daily") -> str:
    name = next(name for name in storage.list(f"{pipeline}/lake/{table}/partition={key}/"))
    body = storage.read(name).body
    if how == "gone":
        storage.delete([name])
    else:
        storage.stage(name, body[:50] if how == "cut short" else body[:-4] + b"XXXX")
    return name


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("table", Table)
def test_a_damaged_file_of_any_table_is_named_and_written_again(storage: Storage, table: Table, how: str):
    contents = {key: pa.table({"n": [number]}) for number, key in enumerate(("2011-01-01", DAY))}
    Lake(storage, "daily").replace(table, contents)
    assert Lake(storage, "daily").problems() == []
    name = spoil(storage, table, how)
    lake = Lake(storage, "daily")
    (problem,) = lake.problems()
    assert problem.startswith(f"daily: lake table '{table}': {DAY}: {storage.uri(name)} is ")
    command = {"predictions": "score", "monitoring": "monitor", "labels": "labels"}.get(table, "ingest")
    assert problem.endswith(f"make it again: evergreen {command} daily --partition {DAY}")
    with pytest.raises(IntegrityError) as caught:
        lake.read(table)
    assert str(caught.value) == problem
    assert lake.read(table, last="2011-01-01").num_rows == 1
    if "delete it" in problem:
        storage.delete([name])
    assert lake.replace(table, {DAY: contents[DAY]}) == []
    assert lake.problems() == []
    assert lake.read(table).column("n").to_pylist() == [0, 1]


def test_an_entry_of_a_number_far_away_is_a_gap_and_nobody_counts_up_to_it(storage: Storage):
    lake = Lake(storage, "daily")
    lake.replace(Table.PARTITIONS, {DAY: pa.table({"n": [1]})})
    storage.stage("daily/lake/partitions/_delta_log/09000000000000000000.json", b"{}")
    (problem,) = lake.problems()
    assert problem.startswith("daily: lake table 'partitions': its log has no entry 2: restore s3://")


def test_a_damaged_log_is_named(storage: Storage):
    lake = Lake(storage, "daily")
    for number in range(3):
        lake.replace(Table.PARTITIONS, {DAY: pa.table({"n": [number]})})
    log = "daily/lake/partitions/_delta_log/00000000000000000002.json"
    body = storage.read(log).body
    for spoilt, said in (
        (None, "its log has no entry 2: restore s3://"),
        (b"{]", "its log cannot be read ("),
    ):
        if spoilt is None:
            storage.delete([log])
        else:
            storage.stage(log, spoilt)
        (problem,) = Lake(storage, "daily").problems()
        assert said in problem
        assert problem.endswith(" from a backup")
        with pytest.raises(IntegrityError, match="its log"):
            Lake(storage, "daily").read(Table.PARTITIONS)
    storage.stage(log, body)
    assert Lake(storage, "daily").problems() == []


@pytest.mark.parametrize("how", DAMAGES)
def test_commands_name_it_and_the_remedy_works(
    evergreen: Evergreen, pipelines: Path, configured: Storage, how: str
):
    evergreen.document("ingest", "daily", "--partition", "2011-01-01", "--to", "2011-01-03")
    name = spoil(configured, "partitions", how)
    for command in (
        ("train", "--as-of", "2011-01-04"),
        ("monitor", "--partition", DAY),
        ("score", "--partition", DAY),
    ):
        line = evergreen.line(command[0], "daily", *command[1:])
        assert f"lake table 'partitions': {DAY}: {configured.uri(name)} is " in line
    (problem,) = evergreen.document("models", "verify", "daily", exit_code=1)["problems"]
    remedy = problem.rpartition("make it again: evergreen ")[2]
    assert remedy == f"ingest daily --partition {DAY}"
    if "delete it" in problem:
        configured.delete([name])
    evergreen.document(*remedy.split())
    assert evergreen.document("models", "verify", "daily")["problems"] == []
