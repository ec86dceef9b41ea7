"""A read of many values that ends early, and what the next attempt asks for."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from evergreen.errors import NotFoundError, SourceError
from evergreen.ingestion.checkpoint import StagedCheckpoint
from evergreen.sources import checkpoint as keeping
from evergreen.staging import Staging
from tests.http_peers import Asked, Said, serving
from tests.unit.sources.http.shop import PAGES, SALES, parts, read, shop, source


class Folder:
    """A storage of files in a folder, which outlives a process that is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        return self.folder / key.replace("/", "_")

    def stage(self, key: str, body: bytes) -> None:
        (self.folder / "new").write_bytes(body)
        (self.folder / "new").rename(self.path(key))

    def read(self, key: str) -> Any:
        if not self.exists(key):
            raise NotFoundError(key)
        return SimpleNamespace(body=self.path(key).read_bytes())

    def exists(self, key: str) -> bool:
        return self.path(key).exists()


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[], StagedCheckpoint]:
    """Makes what each attempt of a task has: a checkpoint of its own on the same staging."""
    (tmp_path / "staging").mkdir()
    return lambda: StagedCheckpoint(Staging(Folder(tmp_path / "staging"), "p", "night-1"), "sales")


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_refused_value_is_named_and_the_others_are_kept(
    parallel: int, kept: Callable[[], StagedCheckpoint]
) -> None:
    def behave(asked: Asked) -> Said:
        return Said(404) if parts(asked)[0] == 5 else shop(asked)

    with serving(behave) as peer:
        with pytest.raises(SourceError, match=r"^store 5: /stores/\{store\}/sales: the API answered 404"):
            read(peer, source(parallel=parallel), kept())
        before = len(peer.asked)
        peer.behave = shop
        rows = read(peer, source(parallel=parallel), kept())
        assert rows.table()["sale"].to_pylist() == SALES
    if parallel == 1:
        assert before == 3 * PAGES + 2
        assert [parts(one) for one in peer.asked[before:]] == [
            (s, n) for s in (5, 6, 7, 8) for n in range(PAGES)
        ]


@pytest.mark.parametrize("parallel", [1, 3])
@pytest.mark.parametrize("saves", ["always", "at the end"])
def test_an_interrupted_read_goes_on_where_each_value_was(
    parallel: int, saves: str, kept: Callable[[], StagedCheckpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    if saves == "always":
        monkeypatch.setattr(keeping, "SAVE_BYTES", 1)
    with serving(shop) as peer:
        whole = read(peer, source()).table()
    chance, answered = random.Random(parallel), Counter[tuple[int, int]]()

    def behave(asked: Asked) -> Said:
        if chance.random() < 0.25:
            return Said(400)
        answered[parts(asked)] += 1
        return shop(asked)

    failed = 0
    with serving(behave) as peer:
        while True:
            try:
                table = read(peer, source(parallel=parallel), kept()).table()
                break
            except SourceError:
                failed += 1
    assert table.equals(whole)
    assert failed > 3
    if parallel == 1:  # a good answer is read once, but for those to a resumed request that was refused
        assert sum(answered.values()) <= 1 + 7 * PAGES + failed * PAGES


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_read_that_is_killed_goes_on(
    parallel: int,
    kept: Callable[[], StagedCheckpoint],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "SAVE_BYTES", 1)
    with serving(shop) as peer:
        whole = read(peer, source()).table()
    result, child, left = tmp_path / "rows.arrow", 0, 0

    def behave(asked: Asked) -> Said:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(child, signal.SIGKILL)
        return shop(asked)

    killed = 0
    with serving(behave) as peer:
        for requests in (3, 6, 9, 5, 1000):
            left = requests
            child = os.fork()
            if not child:
                table = read(peer, source(parallel=parallel), kept()).table()
                with pa.OSFile(str(result), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                    writer.write_table(table)
                os._exit(0)
            killed += os.waitpid(child, 0)[1] == signal.SIGKILL
    assert killed == 4
    with pa.OSFile(str(result), "rb") as file:
        assert pa.ipc.open_file(file).read_all().equals(whole)
    # What was read before a kill is not asked for again, but for what was in flight.
    assert len(peer.asked) <= 1 + 7 * PAGES + killed * 2 * parallel
