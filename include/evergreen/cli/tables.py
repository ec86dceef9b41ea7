"""Tables for people. Nothing in them is cut, at any width of the terminal: it may be copied into a command.

A table that is wider than the terminal has lines broken between words. Where even that is too wide, it does
without its frame, and last its rows are written one cell a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_FRAMED, _BARE = (1, 3), (0, 2)  # width of the frame, and what it adds to the width of each column


@dataclass(frozen=True)
class Rows:
    """The names of columns, and rows of texts."""

    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Rows:
        """The rows as texts, None as an empty one, without the columns that are empty in all of them."""
        named = list(columns)
        texts = [["" if value is None else str(value) for value in row] for row in rows]
        kept = [at for at in range(len(named)) if not texts or any(row[at] for row in texts)]
        return cls(tuple(named[at] for at in kept), tuple(tuple(row[at] for at in kept) for row in texts))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, or its cells line by line, in the form that has room."""
        columns = list(zip(self.columns, *self.cells, strict=True))
        for frame, each in (_FRAMED, _BARE):
            if widths := widths_of(columns, options.max_width - frame - each * len(columns)):
                yield self._table(widths, framed=bool(frame))
                return
        yield from self._lines()

    def _table(self, widths: Sequence[int], *, framed: bool) -> Any:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        shown = Table(box=box.HEAVY_HEAD if framed else None, padding=(0, 1) if framed else (0, 2, 0, 0))
        for name, width in zip(self.columns, widths, strict=True):
            shown.add_column(Text(name), width=width, overflow="fold")
        for row in self.cells:
            shown.add_row(*map(Text, row))
        return shown

    def _lines(self) -> Iterator[Any]:
        width = max(map(len, self.columns), default=0)
        for number, row in enumerate(self.cells):
            if number:
                yield unbroken("")
            for name, cell in zip(self.columns, row, strict=True):
                if cell:
                    yield unbroken(f"{name.ljust(width)}  {cell}")


def unbroken(line: str) -> Any:
    """A line that is not broken, so that a command in it can be copied as a whole."""
    from rich.text import Text

    return Text(line, no_wrap=True, overflow="ignore")


def widths_of(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Widths for columns, given as their texts, so that all lie within `room`; none if a word has no place.

    Each has the room of its longest word. What is left goes first to the columns that need least of it, so
    that only those of long texts are broken into lines.
    """
    from rich.cells import cell_len

    least = [
        max((cell_len(word) for text in column for word in text.split()), default=1) for column in columns
    ]
    whole = [max(cell_len(line) for text in column for line in text.split("\n")) for column in columns]
    left = room - sum(least)
    if left < 0:
        return []
    widths = list(least)
    by_need = sorted(range(len(columns)), key=lambda at: whole[at] - least[at])
    for done, at in enumerate(by_need):
        more = min(max(whole[at] - least[at], 0), left // (len(by_need) - done))
        widths[at] += more
        left -= more
    return widths
