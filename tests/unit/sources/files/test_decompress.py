from __future__ import annotations

import gzip
import io
import random

import pyarrow as pa
import pytest

from evergreen.errors import SourceError
from evergreen.sources.files.decompress import plain_chunks

TEXT = b"".join(b"%d,some text\n" % number for number in range(300))
PACKED = {"gzip": gzip.compress(TEXT), "zstd": pa.compress(TEXT, codec="zstd", asbytes=True)}
NAMES = {"gzip": "a.csv.gz", "zstd": "a.csv.zst"}


def plain(body, name="a.csv", size=100):
    return b"".join(plain_chunks(io.BytesIO(body), name, size))


@pytest.mark.parametrize("codec", PACKED)
def test_a_compressed_file_is_told_by_its_name_or_its_first_bytes(codec):
    assert plain(PACKED[codec], NAMES[codec]) == plain(PACKED[codec]) == plain(TEXT) == TEXT
    assert plain(PACKED[codec] * 2) == TEXT * 2
    assert plain(b"") == b""


def test_chunks_are_no_larger_than_asked_for():
    bomb = gzip.compress(bytes(10**6))
    assert max(map(len, plain_chunks(io.BytesIO(bomb), "a.gz", 1000))) == 1000


@pytest.mark.parametrize("codec", PACKED)
def test_a_file_cut_short_anywhere_is_refused(codec):
    body = PACKED[codec]
    for length in range(len(body)):
        with pytest.raises(
            SourceError, match=rf"^{NAMES[codec]} is not a complete {codec} file.*: write it again$"
        ):
            plain(body[:length], NAMES[codec])
    print(f"{codec}: {len(body)} cuts, all refused")


@pytest.mark.parametrize("codec", PACKED)
def test_a_damaged_file_gives_its_text_or_one_line(codec):
    changed = random.Random(7)
    refused = 0
    for _ in range(300):
        body = bytearray(PACKED[codec])
        body[changed.randrange(len(body))] ^= 1 << changed.randrange(8)
        try:
            plain(bytes(body), NAMES[codec])
        except SourceError as error:
            if len(str(error).splitlines()) != 1:
                raise
            refused += 1
    print(f"{codec}: 300 damaged files, {refused} refused")
    assert refused > 100
