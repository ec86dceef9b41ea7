"""Files in a real S3 server, many and compressed, and what is wrong with them."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen.errors import SourceError, UnavailableError
from evergreen.sources.files.description import FileSource
from evergreen.sources.files.read import read_file
from evergreen.storage import Credentials, Storage

START = datetime(2024, 1, 31, tzinfo=UTC)
COUNT = 30_000


def records(part):
    return [{"n": float(number), "s": f"text {number}"} for number in range(part * COUNT, (part + 1) * COUNT)]


def written(rows, form):
    if form == "parquet":
        body = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), body)
        return body.getvalue()
    if form == "jsonl.zst":
        text = "".join(json.dumps(row) + "\n" for row in rows)
        return pa.compress(text.encode(), codec="zstd", asbytes=True)
    text = "n,s\r\n" + "".join(f'{row["n"]},"{row["s"]}"\r\n' for row in rows)
    return gzip.compress(text.encode()) if form == "csv.gz" else text.encode()


@pytest.fixture
def read(storage, tmp_path):
    def read(path, **changes):
        source = FileSource(path=f"s3://{storage.bucket}/{path}", **changes)
        return read_file(source, tmp_path, storage.child("pipeline"), "2024-01-31", START)

    return read


@pytest.mark.parametrize("form", ["csv", "csv.gz", "jsonl.zst", "parquet"])
def test_the_files_of_a_day_are_read_in_their_order(storage, read, form):
    for part in (2, 0, 1):
        storage.stage(f"in/2024/01/31/part-{part}.{form}", written(records(part), form))
    storage.stage(f"in/2024/02/01/part-0.{form}", b"another day's")
    rows = read("in/{partition:%Y/%m/%d}/*." + form)
    assert rows.table().to_pylist() == [row for part in range(3) for row in records(part)]
    assert rows.rejected == []


def test_a_file_cut_short_refuses_the_partition_and_a_broken_line_does_not(storage, read):
    body = written(records(0), "csv.gz")
    storage.stage("in/a.csv.gz", body[: len(body) // 2])
    with pytest.raises(
        SourceError, match=r"in/a\.csv\.gz is not a complete gzip file \(Truncated compressed stream\)"
    ):
        read("in/a.csv.gz")
    storage.stage("in/a.csv.gz", gzip.compress(b'n,s\n1,"two\nlines"\n2\n3,x\n'))
    rows = read("in/*.gz")
    assert rows.table().column("n").to_pylist() == [1.0, 3.0]
    assert [(bad.text, bad.place) for bad in rows.rejected] == [("2", f"s3://{storage.bucket}/in/a.csv.gz:4")]


def test_what_is_not_there_is_said(storage, read, tmp_path, free_port):
    with pytest.raises(SourceError, match=rf"no file matches s3://{storage.bucket}/in/2024-01-31\*: put one"):
        read("in/{partition}*")
    with pytest.raises(SourceError, match=r"in/none\.csv does not exist: put it there"):
        read("in/none.csv")
    nobody = Storage(
        "any", "", Credentials(endpoint_url=f"http://127.0.0.1:{free_port}", access_key="a", secret_key="b")
    )
    with pytest.raises(UnavailableError, match="cannot be reached"):
        read_file(FileSource(path="s3://any/a.csv"), tmp_path, nobody, "2024-01-31", START)
