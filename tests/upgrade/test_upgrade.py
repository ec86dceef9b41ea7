"""A store that the release before has written is read by today's code, and everything goes on with it.

What is kept of it is `store-<release>.tar.gz`: a backup, and the folder of its pipeline with its files. It is
made once for each release, by the release itself:

    EVERGREEN_MAKE_STORE=1 python -m pytest tests/upgrade
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evergreen import __version__, cli
from evergreen.storage import Storage
from tests.unit.two_pipelines import Evergreen

HERE = Path(__file__).parent
STORES = sorted(HERE.glob("store-*.tar.gz"))
MAKES = "EVERGREEN_MAKE_STORE" in os.environ
DAYS = [f"2024-01-{day:02d}" for day in range(1, 17)]
TRAINED, SCORED, NEXT = "2024-01-12", "2024-01-13", "2024-01-15"

DESCRIPTION = """\
name: stand
description: Ice sold by a stand, as an earlier release knew it
owner: tests
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
sources:
  sales: {file: {path: "sales/{partition}.csv", time_column: at}}
validation: {max_quarantined: 30%}
features: {function: "features.py:build", look_back: 2 days}
task: regression
target: sold
training:
  window: 40 days
  minimum: 8 partitions
  holdout: 3 days
  metric: mae
  candidates:
    - {estimator: sklearn.linear_model.Ridge}
"""
FEATURES = '''\
def build(rows):
    """The price, and the hour."""
    return rows[["price"]].assign(hour=rows["at"].dt.hour)
'''
SUITE = "- expect_column_values_to_be_between: {column: sold, min_value: 0}\n  severity: warning\n"


def sales(day: str) -> str:
    """Four rows of a day, told by its number alone; on the fifth one is put into quarantine."""
    number, rows = int(day[-2:]), []
    for hour in (0, 6, 12, 18):
        step = (number * 7 + hour) % 5
        rows.append((f"{day}T{hour:02d}:00:00Z", 1 + step, 40 - 5 * step + number % 3))
    if number == 5:
        rows.append((f"{day}T20:00:00Z", 2, -1))
    return "at,price,sold\n" + "".join(f"{at},{price}.0,{sold}\n" for at, price, sold in rows)


@pytest.fixture
def evergreen() -> Evergreen:
    return Evergreen()


@pytest.mark.skipif(not MAKES, reason="it is made once for a release: EVERGREEN_MAKE_STORE=1")
def test_the_store_of_this_release_is_made(
    configured: Storage, evergreen: Evergreen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pipelines" / "stand"
    (folder / "sales").mkdir(parents=True)
    files = {"pipeline.yaml": DESCRIPTION, "features.py": FEATURES, "expectations.yaml": SUITE}
    for name, text in files.items():
        (folder / name).write_text(text)
    for day in DAYS:
        (folder / "sales" / f"{day}.csv").write_text(sales(day))
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(folder.parent))
    evergreen.document("ingest", "stand", "--partition", DAYS[0], "--to", SCORED)
    evergreen.document("train", "stand", "--as-of", TRAINED)
    for stage in ("score", "monitor"):
        evergreen.document(stage, "stand", "--partition", TRAINED, "--to", SCORED)
    evergreen.document("report", "stand", "--partition", SCORED)
    evergreen.document("backup", str(tmp_path / "backup"), "stand")
    with (
        (HERE / f"store-{__version__}.tar.gz").open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for path in sorted(path for path in tmp_path.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(path.relative_to(tmp_path).as_posix())
            entry.size = path.stat().st_size
            tar.addfile(entry, io.BytesIO(path.read_bytes()))


@pytest.mark.skipif(MAKES, reason="it is made now")
@pytest.mark.parametrize("store", STORES, ids=lambda path: path.name)
def test_a_store_of_an_earlier_release_is_read_and_goes_on(
    store: Path, configured: Storage, evergreen: Evergreen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(store) as tar:
        tar.extractall(tmp_path, filter="data")
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path / "pipelines"))
    (restored,) = evergreen.document("restore", str(tmp_path / "backup"))["pipelines"]
    assert (restored["problems"], restored["written"]) == ([], restored["objects"])

    # It is read: models, records, pages, and rows that are published as they are there.
    assert evergreen.document("models", "verify", "stand")["ok"]
    champion = evergreen.document("models", "list", "stand")["champion"]
    assert champion.startswith(TRAINED)
    again = evergreen.document("ingest", "stand", "--partition", DAYS[0], "--to", SCORED)["partitions"]
    assert [one["partition"] for one in again if one["changed"]] == []
    assert evergreen.document("quarantine", "list", "stand")
    for command in (["status"], ["explain", "stand", champion], ["report", "stand", "--partition", SCORED]):
        assert CliRunner().invoke(cli.app, command).exit_code == 0, command

    # It goes on: nights, a training, a promotion.
    evergreen.document("ingest", "stand", "--partition", "2024-01-14", "--to", NEXT)
    for stage in ("score", "monitor"):
        evergreen.document(stage, "stand", "--partition", "2024-01-14", "--to", NEXT)
    trained = evergreen.document("train", "stand", "--as-of", NEXT)["version"]
    evergreen.document("models", "promote", "stand", trained)
    assert evergreen.document("models", "list", "stand")["champion"] == trained
    evergreen.document("ingest", "stand", "--partition", DAYS[-1])
    (scored,) = evergreen.document("score", "stand", "--partition", DAYS[-1])["partitions"]
    assert scored["version"] == trained
    assert evergreen.document("models", "verify", "stand")["ok"]


def test_there_is_a_store_of_the_release_before() -> None:
    assert STORES
    assert max(store.stat().st_size for store in STORES) < 300_000
