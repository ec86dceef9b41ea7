"""Batches of different schemas come back from a temporary file; a full disk is one line."""

from __future__ import annotations

import resource
import signal

import pyarrow as pa
import pytest

from evergreen.errors import UnavailableError
from evergreen.rows.spill import Spill

NUMBERS = pa.record_batch({"n": pa.array(range(1000))})
TEXTS = pa.record_batch({"t": ["a", None, "ö"]})


@pytest.fixture
def small_disk():
    """No file of this process may become larger than 64 kB while the test runs."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, before)


def test_batches_come_back_in_their_order():
    written = [NUMBERS, TEXTS, TEXTS, NUMBERS]
    spill = Spill()
    for batch in written:
        spill.write(batch)
    assert list(spill) == written
    spill.close()


def test_what_was_taken_is_restored_in_parts():
    first, second = Spill(), Spill()
    first.write(NUMBERS)
    second.restore(first.take())
    assert first.untaken == 0
    first.write(TEXTS)
    assert first.untaken > 0
    second.restore(first.take())
    assert list(second) == [NUMBERS, TEXTS]


@pytest.mark.parametrize("reading", [Spill.take, list], ids=["take", "iterate"])
def test_a_disk_that_is_full_is_one_line_however_late_it_shows(small_disk, reading):
    spill = Spill()
    _write(spill, 50)  # less than is held back before it is written
    with pytest.raises(UnavailableError, match=r"cannot be written \(.+\): make room there, then run again"):
        reading(spill)
    with pytest.raises(UnavailableError, match="truncated: run again"):
        spill.take()
    spill.close()


def test_a_disk_that_is_full_is_one_line_while_batches_are_written(small_disk):
    spill = Spill()
    with pytest.raises(UnavailableError, match="make room there"):
        _write(spill, 500)
    spill.close()


def _write(spill, times):
    for _ in range(times):
        spill.write(NUMBERS)


def test_a_spill_that_is_absorbed_comes_after_what_was_there_and_is_not_taken():
    first, second = Spill(), Spill()
    first.write(NUMBERS)
    second.write(TEXTS)
    second.write(NUMBERS)
    first.absorb(second)
    assert first.untaken == 0
    first.write(NUMBERS)
    again = Spill()
    again.restore(first.take())
    assert list(again) == [NUMBERS]
    assert list(first) == [NUMBERS, TEXTS, NUMBERS, NUMBERS]
