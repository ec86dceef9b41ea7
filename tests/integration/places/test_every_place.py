"""What holds for files of every place alike."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from evergreen.calendar import Calendar, Grain
from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.sources import KINDS, Source
from evergreen.sources.files.places import PLACES
from evergreen.sources.kind import Wanted
from evergreen.storage import Storage
from tests.http_peers import Asked, Said, serving
from tests.integration.places.conftest import Find, content
from tests.sftp_server import LOGIN, PASSWORD, sftp_server

FILES = {"2024-01-31.csv": b"n\n1\n", "2024-01-31.done": b"", "big.csv": b"n\n" + b"1\n" * 5_000}


class Placed(NamedTuple):
    """Where `FILES` lie: the address before their names, and the connection that reads them."""

    top: str
    connection: Connection


@pytest.fixture(params=["s3", "sftp", "http"])
def placed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Placed]:
    """`FILES` in a real server of each kind that runs here."""
    if request.param == "s3":
        storage: Storage = request.getfixturevalue("storage")
        for name, body in FILES.items():
            storage.stage(name, body)
        extra = {"endpoint_url": storage.credentials.endpoint_url}
        yield Placed(
            f"s3://{storage.bucket}", Connection("there", "aws", None, None, "test", "test", None, extra)
        )
    elif request.param == "sftp":
        (tmp_path / "root").mkdir()
        for name, body in FILES.items():
            (tmp_path / "root" / name).write_bytes(body)
        with sftp_server(tmp_path / "root") as server:
            known = {"host_key": server.host_key}
            yield Placed(
                "sftp://127.0.0.1",
                Connection("there", "sftp", "127.0.0.1", server.port, LOGIN, PASSWORD, None, known),
            )
    else:

        def answer(asked: Asked) -> Said:
            body = FILES.get(asked.path.removeprefix("/"))
            return Said(404) if body is None else Said(body=body)

        with serving(answer) as peer:
            yield Placed(peer.address(), Connection("there", "http", peer.address()))


def wanted(folder: Path, placed: Placed, partition: str = "2024-01-31") -> Wanted:
    def connect(conn_id: str) -> Connection:
        assert conn_id == "there"
        return placed.connection

    return Wanted(partition, Calendar(Grain.DAILY), folder, None, connect)  # type: ignore[arg-type]


def test_rows_are_read_by_the_sources_connection(placed: Placed, tmp_path: Path):
    said = {"path": f"{placed.top}/{{partition}}.csv", "conn_id": "there"}
    source = Source.model_validate({"file": said})
    KINDS["file"].check_connection(source.config, placed.connection)
    assert source.read(wanted(tmp_path, placed)).table().to_pylist() == [{"n": 1.0}]
    with pytest.raises(
        SourceError, match=r"2024-02-01\.csv does not exist: put it there or change the source"
    ):
        source.read(wanted(tmp_path, placed, "2024-02-01"))


def test_a_file_there_says_that_a_source_is_complete(placed: Placed, tmp_path: Path):
    said = {"file": f"{placed.top}/{{partition}}.done", "conn_id": "there"}
    source = Source.model_validate({"file": {"path": "local.csv"}, "complete": said})
    assert source.complete is not None
    source.complete.question.check_connection(placed.connection)
    assert source.missing(wanted(tmp_path, placed)) is None
    missing = source.missing(wanted(tmp_path, placed, "2024-02-01"))
    assert missing == f"{placed.top}/2024-02-01.done does not exist"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes meanwhile."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_no_room_for_a_copy(placed: Placed, find: Find):
    (file,) = find(f"{placed.top}/big.csv", placed.connection)
    with (
        files_of_at_most(1_000),
        pytest.raises(UnavailableError, match=r"cannot be copied to /tmp.* \(File too large\): make room"),
    ):
        content(file)
    assert content(file) == FILES["big.csv"]


@pytest.mark.parametrize("scheme", list(PLACES))
def test_a_place_without_a_connection_says_so_or_needs_none(scheme: str, find: Find):
    if PLACES[scheme].needs_connection:
        with pytest.raises(SourceError, match=f"{scheme}://host needs a connection"):
            find(f"{scheme}://host/a.csv", None)
    elif scheme != "s3":  # that has the keys of the storage
        assert find(f"{scheme}://host/a.csv", None)[0].name == f"{scheme}://host/a.csv"
