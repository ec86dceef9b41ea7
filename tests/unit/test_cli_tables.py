from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from evergreen.cli.tables import Rows, widths_of

VERSION = "2011-03-10-5ec488770373"
WORD = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
CELL = st.lists(WORD, max_size=4).map(" ".join)


def printed(rows: Rows, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(rows, crop=False)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=4), st.integers(20, 160))
def test_every_word_is_whole_at_every_width(cells: list[tuple[str, str, str]], width: int):
    shown = printed(Rows.of(["one", "two", "three"], cells), width)
    words = [word for row in cells for cell in row for word in cell.split()]
    assert all(word in shown for word in words)


def test_a_table_that_fits_has_a_frame_and_lines_lie_within_the_width():
    rows = Rows.of(["version", "metrics"], [(VERSION, "mae 3.248, rmse 4.027, r2 0.813, mape 0.04495")])
    lines = printed(rows, 50).splitlines()
    assert lines[0].startswith("┏")
    assert {len(line) for line in lines} == {50}
    assert any(VERSION in line for line in lines)


def test_without_room_for_its_frame_it_has_none_and_then_a_line_for_each_cell():
    rows = Rows.of(["version", "state"], [(VERSION, "champion"), ("2011-04-01-aaaa", "")])
    assert printed(rows, 38).splitlines()[0].startswith("┏")
    assert printed(rows, 36).splitlines()[1].split() == [VERSION, "champion"]
    assert printed(rows, 30) == f"version  {VERSION}\nstate    champion\n\nversion  2011-04-01-aaaa\n"


def test_columns_that_are_empty_in_all_rows_are_left_out():
    assert Rows.of(["a", "b", "c"], [(1, None, ""), (2, None, 0)]) == Rows(
        ("a", "c"), (("1", ""), ("2", "0"))
    )
    assert Rows.of(["a", "b"], []).columns == ("a", "b")


def test_markup_in_a_value_is_text():
    assert "[bold]x[/bold]" in printed(Rows.of(["a"], [("[bold]x[/bold]",)]), 40)


@pytest.mark.parametrize(
    ("columns", "room", "widths"),
    [
        (["aa bb", "c"], 6, [5, 1]),
        (["aa bb", "c"], 5, [4, 1]),
        (["aa bb", "c"], 3, [2, 1]),
        (["aa bb", "c"], 2, []),
        (["aa bb cc", "d e f g h i", "k"], 12, [6, 5, 1]),
    ],
)
def test_widths_have_room_for_the_longest_words(columns: list[str], room: int, widths: list[int]):
    assert widths_of([[text] for text in columns], room) == widths
