"""Which cells of a workbook are the table, as `pipeline.yaml` says it."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import Field, StringConstraints, field_validator

from evergreen.description import Described

_CELLS = re.compile(r"([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})?")
_LAST_ROW, _LAST_COLUMN = 1_048_576, 16_384  # of a sheet, by Excel's specifications


class Cells(NamedTuple):
    """A block of cells; rows and columns are numbered from 1 and 0."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int


class Workbook(Described):
    """The table in a workbook: its sheet and its cells."""

    sheet: Annotated[str, StringConstraints(min_length=1)] | Annotated[int, Field(ge=1)] | None = None
    """The sheet by its name or number (from 1); default: the first. Example: Sales"""
    range: str | None = None
    """The cells, such as `B3:F200`, or `B3:F` for all rows from the third on; the first row is the header.
    Example: B3:F200
    """

    @field_validator("range")
    @classmethod
    def _is_range(cls, value: str | None) -> str | None:
        if value is not None:
            _cells(value)
        return value

    @property
    def cells(self) -> Cells | None:
        """The cells of `range`."""
        return None if self.range is None else _cells(self.range)


def _cells(text: str) -> Cells:
    match = _CELLS.fullmatch(text.replace("$", "").upper())
    if not match:
        raise ValueError("write the cells like B3:F200, or B3:F for all rows from the third on")
    cells = Cells(int(match[2]), int(match[4] or _LAST_ROW), _column(match[1]), _column(match[3]))
    if not (1 <= cells.first_row <= cells.last_row <= _LAST_ROW):
        raise ValueError(f"rows are numbered from 1 to {_LAST_ROW:,}, the first one first")
    if not (cells.first_column <= cells.last_column < _LAST_COLUMN):
        raise ValueError("the columns go from A to XFD, the first one first")
    return cells


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1
