from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from evergreen.lake_upkeep import behind, spare_checkpoints, unneeded, versions_needed
from evergreen.storage import Listed

NOW = datetime(2024, 6, 1, tzinfo=UTC)
LOG = "lake/partitions/_delta_log/"


def stored(name: str, days: float, size: int = 1) -> Listed:
    return Listed(f"lake/partitions/{name}", size, NOW - timedelta(days=days))


def commit(version: int, days: float) -> Listed:
    return stored(f"_delta_log/{version:020d}.json", days)


def checkpoint(version: int, days: float = 9) -> Listed:
    return stored(f"_delta_log/{version:020d}.checkpoint.parquet", days, size=version + 1)


def left(entries: list[Listed]) -> list[int]:
    spare = spare_checkpoints(entries, NOW)
    return [int(entry.key[len(LOG) :][:20]) for entry in entries if entry not in spare]


def test_of_a_long_log_the_last_checkpoint_of_each_doubling_stays_and_the_two_newest():
    assert left([checkpoint(version) for version in range(19, 1100, 20)]) == [
        19, 59, 119, 239, 499, 1019, 1079, 1099
    ]  # fmt: skip
    assert left([checkpoint(19), checkpoint(39), checkpoint(59, days=0.9), *map(checkpoint, (79, 99))]) == [
        19, 59, 79, 99
    ]  # fmt: skip


@given(st.lists(st.integers(0, 5000), unique=True, min_size=1))
def test_what_stays_is_a_few_times_the_newest_and_goes_half_way_back_to_any_version(versions):
    entries = [checkpoint(version) for version in sorted(versions)]
    kept = left(entries)
    assert kept[-2:] == sorted(versions)[-2:]
    assert sum(version + 1 for version in kept) <= 5 * (max(versions) + 1)
    assert left([entry for entry in entries if int(entry.key[len(LOG) :][:20]) in kept]) == kept


def test_a_table_is_behind_once_it_has_commits_after_its_newest_checkpoint():
    assert behind([commit(0, 9)])
    assert behind([commit(0, 9), checkpoint(0), commit(1, 9)])
    assert not behind([commit(0, 9), commit(1, 9), checkpoint(1)])
    assert not behind([])


def test_needed_are_the_versions_that_are_named_and_the_one_of_the_moment():
    log = [commit(0, 90), commit(1, 60), commit(2, 10), commit(3, 1)]
    before = NOW - timedelta(days=30)
    assert versions_needed(log, (), before) == [1]
    assert versions_needed(log, {0, 3, 17}, before) == [0, 1, 3]
    assert versions_needed(log[2:], (), before) == []


def test_a_file_that_no_version_needs_goes_once_no_writer_can_be_about_to_commit_it():
    files = [stored("partition=2024-01-01/aa.parquet", 31), stored("partition=2024-01-02/bb.parquet", 31)]
    young = stored("partition=2024-01-01/cc.parquet", 29)
    found = unneeded([*files, young, commit(0, 90), checkpoint(0)], {files[1].key}, NOW - timedelta(days=30))
    assert found == files[:1]
