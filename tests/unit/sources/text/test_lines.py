from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import SourceError
from evergreen.rows.batches import Rejected
from evergreen.sources.text import lines
from evergreen.sources.text.lines import LineBlock, Rejections, line_blocks, shown_bytes


@given(st.lists(st.text("a\r\n", max_size=6).map(str.encode), max_size=8))
def test_blocks_are_the_text_in_whole_lines_with_their_numbers(chunks):
    text = b"".join(chunks)
    blocks = list(line_blocks(chunks))
    assert b"".join(block.text for block in blocks) == text
    at = 0
    for block in blocks:
        assert block.first == 1 + text.count(b"\n", 0, at)
        at += len(block.text)
        assert block.text.endswith(b"\n") or at == len(text)


@given(st.lists(st.text("ab\n", max_size=4).map(str.encode), max_size=12))
def test_a_line_that_is_too_long_is_cut_and_the_next_one_keeps_its_number(chunks):
    text = b"".join(chunks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "LONGEST", 5)
        patch.setattr(lines, "_KEPT", 2)
        found = list(line_blocks(chunks))
    expected = {}
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        too_long = len(line.removesuffix(b"\n")) > 5
        expected[number] = (line[:2] if too_long else line, too_long)
    read = {}
    for block in found:
        for number, line in enumerate(block.text.splitlines(keepends=True), block.first):
            read[number] = (line, block.is_cut)
    assert read == expected


@pytest.mark.parametrize("chunks", [[b"\xef\xbb\xbfa\n"], [b"\xef", b"\xbb", b"\xbfa", b"\n"]])
def test_a_byte_order_mark_is_left_out(chunks):
    assert b"".join(block.text for block in line_blocks(chunks)) == b"a\n"
    assert list(line_blocks([b"\xef\xbb"])) == [LineBlock(1, b"\xef\xbb")]


def test_bytes_that_are_no_text_are_shown():
    assert shown_bytes(b"a\xffb\r\n") == "a\\xffb"


def test_rejected_lines_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(lines, "_MOST_REJECTED", 1_000)
    rejections = Rejections()
    bad = [Rejected("x", f"a.csv:{number}", "is bad") for number in (1, 2, 3)]
    rejections.add(bad[:2])
    with pytest.raises(
        SourceError, match=r"^a\.csv:3: is bad, and so are 2 records before it: fix the source"
    ):
        rejections.add(bad[2:])
    assert len(rejections.found) == 2
