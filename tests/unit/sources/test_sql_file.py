from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import SourceError
from evergreen.sources.sql_file import _TOKEN_BACKSLASHES, Parameter, _statement


def statement(sql: str, bounded: bool, **kind) -> str:
    def marks(parameter: Parameter) -> str:
        return f"<{parameter.value}>"

    return _statement(sql, "q.sql", marks, bounded=bounded, **kind)


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
    st.sampled_from(
        [("$1", "<start>"), ("$end", "<end>"), ("$local_start", "<local_start>"), ("$4", "<local_end>")]
    ),
)


@given(pieces=st.lists(PIECES, max_size=12), ends=st.lists(COMMENTS | st.just(";"), max_size=3))
def test_parameters_are_filled_and_texts_kept_whatever_they_hold(pieces, ends):
    sql = " ".join(["SELECT", *(written for written, _ in pieces), *ends])
    made = statement(sql, bounded=True)
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
        statement(sql, bounded=True)


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
        statement(sql, bounded=True)


@pytest.mark.parametrize(
    "sql", ["select 1", "WITH a AS (SELECT 1) TABLE a", "values (1)", "Table t", "((SELECT 1))"]
)
def test_any_query_is_taken_as_it_is(sql):
    assert statement(sql + ";", bounded=False) == sql


def test_parameters_that_there_are_not():
    with pytest.raises(SourceError, match=r"asks for \$5, and there are only \$1 and \$2"):
        statement("SELECT $5", bounded=True)
    with pytest.raises(
        SourceError, match=r"asks for \$2, and a pipeline without partitions in time has no bounds"
    ):
        statement("SELECT $2", bounded=False)


@pytest.mark.parametrize(
    ("sql", "made"),
    [
        (r"SELECT 'it\'s $1' AS `a``$2`, $1", r"SELECT 'it\'s $1' AS `a``$2`, <start>"),
        ("SELECT 5--3 # $1 ; '\n, $end", "SELECT 5--3  \n, <end>"),
        ('SELECT "a\\"$1" -- $2', 'SELECT "a\\"$1"'),
        ("SELECT 1 /* /* $1 */, $local_end", "SELECT 1  , <local_end>"),
    ],
)
def test_where_a_backslash_escapes_texts_comments_and_names_are_told_by_the_rules_of_mysql(sql, made):
    assert statement(sql, bounded=True, tokens=_TOKEN_BACKSLASHES) == made
