"""What is kept between runs: whole entries, shared by processes, and no more folders than are wanted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evergreen.backtest import cache as module
from evergreen.backtest.cache import KEPT, Cache, cache_folder
from evergreen.errors import EvergreenError
from tests.campaign import rounds

INCLUDE = Path(__file__).parents[3] / "include"


def test_an_entry_is_kept_and_the_first_one_stays(tmp_path: Path) -> None:
    Cache(tmp_path).put({"a": b"one", "b": b"\x00\xff"})
    cache = Cache(tmp_path)
    cache.put({"a": b"two", "c": b"three"})
    assert [cache.get(name) for name in "abcd"] == [b"one", b"\x00\xff", b"three", None]


def test_entries_of_one_transaction_come_all_or_none(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="NOT NULL"):
        Cache(tmp_path).put({"a": b"one", "b": None})  # type: ignore[dict-item]
    assert Cache(tmp_path).get("a") is None
    Cache(tmp_path).put({"a": b"again"})
    assert Cache(tmp_path).get("a") == b"again"


def test_without_a_folder_it_is_in_memory() -> None:
    cache = Cache(None)
    with cache.claim("a"):
        cache.put({"a": b"one"})
    assert cache.get("a") == b"one"
    assert Cache(None).get("a") is None


CLAIMS = """
import sys
from pathlib import Path
from evergreen.backtest.cache import Cache
cache = Cache(Path(sys.argv[1]))
print("started", flush=True)
with cache.claim("a"):
    if cache.get("a") is None:
        print("made", flush=True)
        if sys.argv[2] == "wait":
            sys.stdin.read()
        cache.put({"a": b"one"})
    else:
        print("found", flush=True)
"""


def claiming(folder: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CLAIMS, str(folder), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(INCLUDE)},
    )


@pytest.mark.parametrize("ending", ["done", "killed"])
def test_one_process_makes_an_entry_and_the_other_waits(tmp_path: Path, ending: str) -> None:
    Cache(tmp_path).close()
    first = claiming(tmp_path, "wait")
    assert first.stdout is not None
    assert [first.stdout.readline() for _ in range(2)] == ["started\n", "made\n"]
    second = claiming(tmp_path, "go on")
    assert second.stdout is not None
    assert second.stdout.readline() == "started\n"
    if ending == "killed":
        first.kill()
    first.communicate("")
    out, _ = second.communicate(timeout=60)
    # what a process that dies had claimed is another's to make
    assert out == ("found\n" if ending == "done" else "made\n")
    assert Cache(tmp_path).get("a") == b"one"


def test_old_folders_go_and_those_in_use_stay(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    with cache_folder(tmp_path, "in-use-0"):
        for number in range(KEPT + 3):
            with cache_folder(tmp_path, f"b-{number}") as folder:
                Cache(folder).close()
                os.utime(folder, (number, number))
        with cache_folder(tmp_path, "newest"):
            there = {path.name for path in tmp_path.iterdir()}
    assert {"in-use-0", "newest", "reports", f"b-{KEPT + 2}"} <= there
    assert "b-0" not in there
    assert len(there - {"reports"}) <= KEPT + 1


def test_fresh_empties_the_folder_and_no_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with cache_folder(tmp_path, name) as folder:
            Cache(folder).put({"x": b"1"})
    with cache_folder(tmp_path, "a", fresh=True) as folder:
        assert Cache(folder).get("x") is None
    with cache_folder(tmp_path, "b") as folder:
        assert Cache(folder).get("x") == b"1"


def test_fresh_is_refused_while_another_run_uses_it(tmp_path: Path) -> None:
    with cache_folder(tmp_path, "a") as folder:
        Cache(folder).put({"x": b"1"})
        with (
            pytest.raises(EvergreenError, match="another backtest is using this cache: wait for it to end"),
            cache_folder(tmp_path, "a", fresh=True),
        ):
            pass
        assert Cache(folder).get("x") == b"1"


def test_a_folder_that_has_grown_too_large_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cache_folder(tmp_path, "a") as folder:
        Cache(folder).put({"x": b"1" * 100_000})
        assert Cache(folder).get("x") is not None
    monkeypatch.setattr(module, "LARGEST", 50_000)
    with cache_folder(tmp_path, "a") as folder:
        assert Cache(folder).get("x") is None


def test_what_is_removed_between_being_listed_and_looked_at_is_not_missed(tmp_path: Path) -> None:
    """The log of SQLite goes once the last process closes. A link to nothing is listed in the same way."""
    with cache_folder(tmp_path, "a") as folder:
        Cache(folder).put({"x": b"1"})
        (folder / "kept.db-journal").symlink_to(tmp_path / "gone")
    with cache_folder(tmp_path, "a") as folder:
        assert Cache(folder).get("x") == b"1"


def test_threads_may_open_and_close_a_cache_at_the_same_moment(tmp_path: Path) -> None:
    """A drill's two replays do so: a lock of the process alone would not keep its threads apart."""

    def use(folder: Path) -> None:
        together.wait()
        for _ in range(3):
            cache = Cache(folder)
            cache.put({"a": b"1"})
            assert cache.get("a") == b"1"
            cache.close()

    together = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        for number in range(rounds(200, 1000)):
            folder = tmp_path / str(number)
            folder.mkdir()
            list(pool.map(use, [folder] * 4))


def test_processes_may_open_a_new_cache_at_the_same_moment(tmp_path: Path) -> None:
    """Changing to the write-ahead log is not waited for by SQLite itself."""
    folders = [tmp_path / str(number) for number in range(rounds(15, 60))]
    for folder in folders:
        folder.mkdir()
    opens = (
        "import sys; from pathlib import Path; from evergreen.backtest.cache import Cache\n"
        "sys.stdout.write('.'); sys.stdout.flush(); sys.stdin.readline()\n"
        f"for number in range({len(folders)}):\n"
        "    cache = Cache(Path(sys.argv[1]) / str(number)); cache.put({'a': b'1'}); cache.close()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pipes["env"] = {**os.environ, "PYTHONPATH": str(INCLUDE)}
    started = [subprocess.Popen([sys.executable, "-c", opens, str(tmp_path)], **pipes) for _ in range(4)]
    for one in started:
        assert one.stdout.read(1) == "."
    for one in started:
        one.stdin.write("\n")
        one.stdin.flush()
    for one in started:
        _, said = one.communicate(timeout=60)
        assert (one.returncode, said) == (0, "")
