from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import SourceError
from evergreen.sources.files.locate import locate

START = datetime(2024, 1, 31, tzinfo=UTC)
TREE = [
    "a.csv",
    "b.csv",
    "b1.csv",
    ".hidden.csv",
    "x/a.csv",
    "x/y/a.csv",
    "x/.z/a.csv",
    "x/[1].csv",
    "x/1.csv",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    for name in TREE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def tree(storage):
    """A bucket with the same names, and the empty objects that tools make for folders."""
    for name in [*TREE, "x/", "x*/"]:
        storage.stage(name, b"" if name.endswith("/") else name.encode())
    return storage


def names(path, folder, storage, partition="2024-01-31", start=START):
    return [found.name for found in locate(path, folder, storage, partition, start)]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("day/{partition}.csv", "day/2024-01-31.csv"),
        ("{partition:%Y/%m/%d}/x.csv", "2024/01/31/x.csv"),
        ("../{partition}-{partition:%H}", "../2024-01-31-00"),
    ],
)
def test_the_partition_is_filled_in(path, found, folder):
    assert names(path, folder, None) == [found]


def test_a_snapshot_has_no_time(folder):
    with pytest.raises(SourceError, match=r"path 'a{partition:%Y}': a snapshot has no time to write as"):
        names("a{partition:%Y}", folder, None, "snapshot", None)


@pytest.mark.parametrize("partition", ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "a\0"])
@pytest.mark.parametrize("path", ["{partition}", "{partition}/a.csv", "s3://b/{partition}", "*{partition}"])
def test_a_key_never_leads_elsewhere(partition, path, folder):
    with pytest.raises(SourceError, match="cannot be part of a file's name"):
        names(path, folder, None, partition)


@given(st.text(max_size=6))
def test_a_key_is_below_the_folder_or_refused(folder, partition):
    try:
        found = locate("{partition}.csv", folder, None, partition, None)
    except SourceError as error:
        if len(str(error).splitlines()) != 1:
            raise
        return
    assert found[0].path.parent == folder


def test_a_key_is_no_pattern(folder):
    assert names("x/{partition}.cs?", folder, None, "[1]") == ["x/[1].csv"]
    assert names("{partition}.cs?", folder, None, "*") == []


@pytest.mark.parametrize(
    "pattern",
    [
        "*.csv",
        "?.csv",
        "[ab]*.csv",
        "[!a].csv",
        "**/*.csv",
        "x/**",
        "x/**/a.csv",
        "*/*",
        ".*",
        "x/.z/*",
        "x/[[]*",
        "none*",
        "x*",
        "**",
        "x/*/a.csv",
        "**/y/*",
    ],
)
def test_a_bucket_matches_as_a_folder_does(pattern, folder, tree):
    local, top = names(pattern, folder, None), f"s3://{tree.bucket}/"
    assert [name.removeprefix(top) for name in names(top + pattern, folder, tree)] == local
    assert local == sorted(local)


def test_a_file_is_opened_and_one_that_is_gone_is_named(folder):
    with locate("a.csv", folder, None, "k", None)[0].open() as file:
        assert file.read() == b"a.csv"
    for path, reason in (
        ("gone.csv", "No such file or directory"),
        ("x", "is no file"),
        ("a.csv/b", "Not a dir"),
    ):
        with pytest.raises(SourceError, match=reason), locate(path, folder, None, "k", None)[0].open():
            pass


def test_an_object_is_copied_and_one_that_is_gone_is_named(folder, storage):
    storage.stage("in/a.csv", b"text")
    with locate(f"s3://{storage.bucket}/in/a.csv", folder, storage.child("deep"), "k", None)[
        0
    ].open() as file:
        assert file.read() == b"text"
    for path in (f"s3://{storage.bucket}/in/b.csv", "s3://no-such-bucket/in/b.csv"):
        with (
            pytest.raises(SourceError, match="does not exist"),
            locate(path, folder, storage, "k", None)[0].open(),
        ):
            pass
    with pytest.raises(SourceError, match="s3://no-such-bucket does not exist"):
        locate("s3://no-such-bucket/*", folder, storage, "k", None)
    with pytest.raises(SourceError, match="is no address of a file"):
        locate("s3://bucket", folder, storage, "k", None)
