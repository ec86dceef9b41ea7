"""A word that may stand for no value is named with what can be written, in what tells of its record."""

from __future__ import annotations

import pytest

from evergreen.errors import SourceError
from evergreen.sources.files.description import FileSource
from evergreen.sources.files.read import read_file

REMEDY = "; if 'NA' stands for no value, write under the source: csv: {nulls: ['NA']}"


def rejected(folder, more=None, published=None, types=None, text="x,y\n1,2\nNA,3\nsoon,4\n"):
    (folder / "a.csv").write_text(text)
    source = FileSource.model_validate({"path": "a.csv", "types": types or {}, **(more or {})})
    rows = read_file(source, folder, None, "snapshot", None, published=published or {})
    values = rows.table().to_pylist()
    return values, [(one.place, one.reason) for one in rows.rejected]


def test_the_record_names_value_line_and_remedy(tmp_path):
    values, declared = rejected(tmp_path, types={"x": "float"})
    assert [row["x"] for row in values] == [1.0]
    assert declared == [
        ("a.csv:3", f"column 'x': 'NA' is no float{REMEDY}"),
        ("a.csv:4", "column 'x': 'soon' is no float"),
    ]
    _, published = rejected(tmp_path, published={"x": "float", "y": "float"})
    assert [place for place, _ in published] == ["a.csv:3", "a.csv:4"]
    assert published[0][1].startswith("column 'x': 'NA' is no float, and the column is published as float: ")
    assert published[0][1].endswith(REMEDY)
    assert "nulls" not in published[1][1]


def test_with_the_word_it_is_a_null(tmp_path):
    values, reasons = rejected(tmp_path, {"csv": {"nulls": ["NA", "soon"]}}, published={"x": "float"})
    assert ([row["x"] for row in values], reasons) == ([1.0, None, None], [])


def test_before_anything_is_published_the_word_is_not_taken_for_text(tmp_path):
    lines = ["at,x,s", "2024-01-01,1.5,NA", "2024-01-02,2,DE", "2024-01-03,N/A,NA", ""]
    for more, types, expected in [
        ({}, {}, None),
        ({"csv": {"nulls": "N/A"}}, {}, [1.5, 2.0, None]),
        ({}, {"x": "text"}, ["1.5", "2", "N/A"]),
    ]:
        if expected is None:
            with pytest.raises(SourceError) as refused:
                rejected(tmp_path, more, types=types, text="\n".join(lines))
            assert str(refused.value) == (
                "a.csv:4: column 'x' has numbers or times, but here 'N/A': if that stands for no value, "
                "write under the source: csv: {nulls: ['N/A']}; if it is one, declare the column text under "
                "its 'types'"
            )
            continue
        values, _ = rejected(tmp_path, more, types=types, text="\n".join(lines))
        assert [row["x"] for row in values] == expected
        assert [row["s"] for row in values] == ["NA", "DE", "NA"]  # here it is a country


def test_the_line_is_right_where_other_records_do_not_fit(tmp_path):
    text = "x,y\noh,1\n1,2\n2\n3,?\n"
    with pytest.raises(SourceError, match=r"^a\.csv:5: column 'y' has numbers or times, but here '\?'"):
        rejected(tmp_path, types={"x": "int"}, text=text)
