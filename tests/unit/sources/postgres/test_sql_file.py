from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import SourceError
from evergreen.sources.postgres.sql_file import END, START, _statement

# Pieces of SQL: as they are written, and what must become of them.
INNER = st.text(st.sampled_from("a$1;-/* '\"\\\n"), max_size=8)
KEPT = st.one_of(
    INNER.map(lambda text: "'" + text.replace("'", "''") + "'"),
    INNER.map(lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    INNER.map(lambda text: '"' + text.replace('"', '""') + '"'),
    INNER.map(lambda text: "$tag$" + text + "$tag$"),
    INNER.filter(lambda text: "$" not in text).map(lambda text: "$$" + text + "$$"),
    st.sampled_from(["a$1", "x1", "1.5e3", "(", ")", "<=", "größe", "::int"]),
)
COMMENTS = st.one_of(
    INNER.map(lambda text: "--" + text.replace("\n", "") + "\n"),
    INNER.map(lambda text: text.replace("/", "").replace("*", "")).map(lambda text: f"/*{text}/* ; */$3*/"),
)
PIECES = st.one_of(
    KEPT.map(lambda text: (text, text)),
    COMMENTS.map(lambda text: (text, None)),
    st.sampled_from([("$1", START), ("$2", END)]),
)


@given(pieces=st.lists(PIECES, max_size=12), ends=st.lists(COMMENTS | st.just(";"), max_size=3))
def test_parameters_are_filled_and_texts_kept_whatever_they_hold(pieces, ends):
    sql = " ".join(["SELECT", *(written for written, _ in pieces), *ends])
    made = _statement(sql, "q.sql", True)
    place = 0
    for expected in ["SELECT", *(kept for _, kept in pieces if kept is not None)]:
        found = made.index(expected, place)
        assert not made[place:found].strip()
        place = found + len(expected)
    assert not made[place:].strip()


@pytest.mark.parametrize(
    "sql", ["SELECT 1; SELECT 2", "SELECT 1;;\n'x'", "SELECT 1;/* */(", "SELECT 1; -- a\n $1"]
)
def test_more_than_one_statement_is_refused(sql):
    with pytest.raises(SourceError, match=r"sql file 'q\.sql' holds more than one statement: leave one"):
        _statement(sql, "q.sql", True)


@pytest.mark.parametrize(
    ("sql", "first"),
    [
        ("DELETE FROM t", "DELETE"),
        ("/* SELECT */ drop table t", "DROP"),
        ("", "nothing"),
        (" ; -- x", "nothing"),
        ("(( EXPLAIN SELECT 1", "EXPLAIN"),
        ("'SELECT'", "'SELECT'"),
        ("/* SELECT 1", "nothing"),
    ],
)
def test_what_is_no_query_is_refused(sql, first):
    with pytest.raises(
        SourceError, match=f"begins with {first}, and a read-only transaction runs SELECT, WITH"
    ):
        _statement(sql, "q.sql", True)


@pytest.mark.parametrize(
    "sql", ["select 1", "WITH a AS (SELECT 1) TABLE a", "values (1)", "Table t", "((SELECT 1))"]
)
def test_any_query_is_taken_as_it_is(sql):
    assert _statement(sql + ";", "q.sql", False) == sql


def test_parameters_that_there_are_not():
    with pytest.raises(SourceError, match=r"asks for \$5, and there are only \$1 and \$2"):
        _statement("SELECT $5", "q.sql", True)
    with pytest.raises(
        SourceError, match=r"asks for \$2, and a pipeline without partitions in time has no bounds"
    ):
        _statement("SELECT $2", "q.sql", False)
