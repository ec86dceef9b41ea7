"""Splits chunks of text into blocks of whole numbered lines, in bounded memory for any length of lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from evergreen.errors import SourceError
from evergreen.rows.batches import Rejected
from evergreen.sources.text.encoding import as_written

LONGEST = 16 * 2**20
"""Bytes of the longest line that is read."""

TOO_LONG = "longer than 16 MB: truncated here"
NOT_UTF8 = "holds bytes that are not UTF-8"
BOM = b"\xef\xbb\xbf"
_KEPT = 2**16
# Rejected records are held in memory until they are quarantined.
_MOST_REJECTED = 128 * 2**20
_RECORD_COST = 400


@dataclass(frozen=True)
class LineBlock:
    """Whole lines, the first of which has the number `first`; only the file's last line may have no end.

    `is_cut`: the beginning of a single line that is longer than 16 MB.
    """

    first: int
    text: bytes
    is_cut: bool = False


def line_blocks(chunks: Iterable[bytes]) -> Iterator[LineBlock]:
    """The lines of a text that comes in chunks of less than 16 MB, without the byte order mark at its start.

    A line ends in LF; one that ends in CR LF keeps its CR.
    """
    rest, number, skipping = b"", 1, False
    for chunk in _without_mark(chunks):
        begin = 0
        if skipping:
            begin = chunk.find(b"\n") + 1
            if not begin:
                continue
            skipping, number = False, number + 1
        end = chunk.rfind(b"\n") + 1
        if end > begin:
            block, rest = rest + chunk[begin:end], chunk[end:]
            first_line = block.find(b"\n")
            if first_line > LONGEST:
                yield LineBlock(number, block[:_KEPT], is_cut=True)
                number, block = number + 1, block[first_line + 1 :]
            if block:
                yield LineBlock(number, block)
                number += block.count(b"\n")
        else:
            rest += chunk[begin:]
        if len(rest) > LONGEST:
            yield LineBlock(number, rest[:_KEPT], is_cut=True)
            rest, skipping = b"", True
    if rest:
        yield LineBlock(number, rest)


def shown_bytes(text: bytes) -> str:
    """The text without its line's end; bytes that are not text in its encoding stand as `\\xff`."""
    return as_written(text).removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Unreadable:
    """A record that cannot be kept, from the line `line` on, the `number`th of its text (both from 1).

    `is_open`: it stands at the text's end as if there were more to come, which an answer may have lost.
    """

    line: int
    number: int
    text: bytes
    reason: str
    is_open: bool = False


Place = Callable[[int, int], str]
"""Where a record stands, such as `rentals.csv:17`, from its line and its number."""


def rejected(unreadable: Iterable[Unreadable], place: Place) -> tuple[Rejected, ...]:
    """The records as they go to quarantine, in their order."""
    inorder = sorted(unreadable, key=lambda one: one.number)
    return tuple(Rejected(shown_bytes(one.text), place(one.line, one.number), one.reason) for one in inorder)


class Rejections:
    """The records of a source that cannot be kept, in limited memory."""

    def __init__(self, found: list[Rejected] | None = None) -> None:
        self.found: list[Rejected] = [] if found is None else found
        self._cost = 0

    def add(self, rejected: Iterable[Rejected]) -> None:
        """Note records; raises `SourceError` when their texts come to more than 128 MB."""
        for one in rejected:
            self._cost += len(one.text) + _RECORD_COST
            if self._cost > _MOST_REJECTED:
                raise SourceError(
                    f"{one.place}: {one.reason}, and so are {len(self.found):,} records before it: fix the "
                    "source, or its format, delimiter and types in pipeline.yaml"
                )
            self.found.append(one)


def _without_mark(chunks: Iterable[bytes]) -> Iterator[bytes]:
    head: bytes | None = b""
    for chunk in chunks:
        if head is None:
            yield chunk
            continue
        head += chunk
        if len(head) >= len(BOM):
            yield head.removeprefix(BOM)
            head = None
    if head:
        yield head
