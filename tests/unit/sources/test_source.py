"""What a description may say of a source and of when it is complete, and how it is told what is wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from evergreen.description import explain
from evergreen.sources import KINDS, Source
from evergreen.sources.files.description import FileQuestion, FileSource
from evergreen.sources.http.description import FieldQuestion
from evergreen.sources.http.paging import PAGINGS, CursorPaging, OnePage
from evergreen.sources.sql_description import SqlQuestion

KEYS = "allowed here: conn_id, equals, every, field, file, params, path, sql, within"
FILE: dict[str, Any] = {"path": "a.csv"}
API: dict[str, Any] = {"conn_id": "api", "path": "/v1"}
TABLE: dict[str, Any] = {"conn_id": "db", "table": "t"}


def source(**said: Any) -> Source:
    return Source.model_validate(said)


def test_a_source_is_of_the_kind_it_is_written_below():
    found = source(file=FILE, complete={"file": "done", "every": "1 minute"})
    assert (found.kind, found.config, found.time_column) == ("file", FileSource(path="a.csv"), None)
    assert found.complete is not None
    assert found.complete.question == FileQuestion(file="done")
    assert (found.complete.every, found.complete.within) == (timedelta(minutes=1), timedelta(hours=6))


@pytest.mark.parametrize(
    ("kind", "complete", "question"),
    [
        ({"postgres": TABLE}, {"sql": "a.sql"}, SqlQuestion(sql="a.sql")),
        ({"postgres": TABLE}, {"file": "done"}, FileQuestion(file="done")),
        ({"http": API}, {"file": "done"}, FileQuestion(file="done")),
        (
            {"http": API},
            {"path": "/v1", "field": "ok", "equals": False},
            FieldQuestion(path="/v1", field="ok", equals=False),
        ),
    ],
)
def test_each_kind_has_its_questions(kind: Any, complete: Any, question: Any):
    found = source(**kind, complete=complete).complete
    assert found is not None
    assert found.question == question


def test_a_kind_of_paging_is_written_below_its_name_and_none_is_one_page():
    said = (
        {},
        {"next": "page"},
        {"paging": {"cursor": {"param": "page"}}},
        {"paging": {}},
        {"paging": {"header": {}}},
    )
    found = [source(http={**API, **each}).config.paging for each in said]
    assert [paging.config for paging in found[:4]] == [
        OnePage(),
        CursorPaging(param="page"),
        CursorPaging(param="page"),
        OnePage(),
    ]
    assert {type(paging.config) for paging in found} <= {*PAGINGS.values(), OnePage}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({}, "give exactly one of 'postgres', 'http', 'file'"),
        ({"file": None}, "give exactly one of 'postgres', 'http', 'file'"),
        ({"file": FILE, "http": API}, "give exactly one of 'postgres', 'http', 'file'"),
        (
            {"fille": FILE},
            "fille: no such key, did you mean 'file'?; allowed here: complete, delta, file, http, iceberg",
        ),
        (
            {"file": 5},
            "file: must be a mapping with the keys: conn_id, csv, delimiter, excel, format, outside, path, "
            "row_number, time_column, types",
        ),
        ({"file": {"pth": "a"}}, "file.path: this key is required; file.pth: no such key, did you mean"),
        (
            {"file": {"path": "ftp://a/b"}},
            "file.path: must be a path on disk, or begin with one of s3://, gs://",
        ),
        (
            {"file": {"path": "s3://me:pass@bucket/b"}},
            "file.path: must hold no login or password: put them into a connection, and name it as 'conn_id'",
        ),
        ({"file": {**FILE, "conn_id": "a"}}, "file: a file on disk needs no connection: leave out 'conn_id'"),
        ({"file": {"path": "az://a/b.csv"}}, "file: az:// needs 'conn_id', the connection with its keys"),
        (
            {"file": FILE, "complete": {"file": "az://a/b"}},
            "complete: az:// needs 'conn_id', the connection with its keys",
        ),
        (
            {"file": FILE, "complete": {"sql": "a"}},
            "complete.sql: a source of the kind 'file' cannot answer this, give 'file'",
        ),
        (
            {"http": API, "complete": {"sql": "a"}},
            "complete.sql: a source of the kind 'http' cannot answer this, give 'field', 'file'",
        ),
        (
            {"file": FILE, "complete": {"path": "/x", "field": "y"}},
            "complete.field: a source of the kind 'file' cannot answer this, give 'file'",
        ),
        (
            {"file": FILE, "complete": {"file": "a", "sql": "b"}},
            "complete: give exactly one of 'sql', 'file', 'field'",
        ),
        *(
            (
                {
                    "http": {"conn_id": "api", "path": "/{store}", "for_each": {"store": [1, 2]}},
                    "complete": complete,
                },
                "complete: '{store}' is a value of 'for_each', and whether the source is complete is asked "
                "once for all of them: leave it out",
            )
            for complete in (
                {"path": "/{store}/done", "field": "ok"},
                {"path": "/done", "params": {"shop": "a {store}"}, "field": "ok"},
            )
        ),
        ({"http": API, "complete": {"path": "/x"}}, "complete: give exactly one of 'sql', 'file', 'field'"),
        ({"http": API, "complete": {"field": "x"}}, "complete.path: this key is required"),
        (
            {"file": FILE, "complete": {"file": "a", "path": "/x"}},
            "complete: 'path' cannot be combined with 'file', leave one of them out",
        ),
        (
            {"file": FILE, "complete": {"fille": "a"}},
            f"complete.fille: no such key, did you mean 'file'?; {KEYS}",
        ),
        (
            {"file": FILE, "complete": {"file": "a", "evry": 5}},
            f"complete.evry: no such key, did you mean 'every'?; {KEYS}",
        ),
        ({"file": FILE, "complete": {"file": "a", "every": "soon"}}, "complete.every: write a duration like"),
        (
            {"file": FILE, "complete": {"file": "a", "every": "1 day"}},
            "complete: 'every' must be more than 0 and at most 'within'",
        ),
        (
            {"http": {**API, "paging": {"cursr": {}}}},
            "http.paging.cursr: no such key, did you mean 'cursor'?; allowed here: cursor, header, link, ",
        ),
        (
            {"http": {**API, "paging": {"cursor": {"pth": "a"}}}},
            "http.paging.cursor.pth: no such key, did you mean 'path'?; allowed here: header, in, more, "
            "param, path",
        ),
        (
            {"http": {**API, "paging": {"cursor": {}, "link": {}}}},
            "http.paging: give at most one of 'cursor', 'page', 'offset', 'link', 'header'",
        ),
        ({"http": {**API, "next": "a", "paging": {}}}, "http: give either 'next' or 'paging'"),
        (
            {"http": {**API, "format": "csv", "paging": {"link": {}}}},
            "http: a csv answer has no place for a cursor, a link or a total",
        ),
        (
            {"postgres": {**TABLE, "changed": {"column": "c"}}},
            "postgres: changed: needs a 'table' (a view will do) with a 'time_column'",
        ),
        (
            {"sql": {"conn_id": "db", "sql": "a.sql", "time_column": "t", "changed": {"column": "c"}}},
            "sql: changed: needs a 'table' (a view will do) with a 'time_column'",
        ),
        (
            {"postgres": {**TABLE, "time_column": "t", "changed": {"column": "t"}}},
            "postgres: changed.column: is the time_column, name the one of the last change",
        ),
        (
            {"postgres": {**TABLE, "time_column": "t", "changed": {"colum": "c"}}},
            "postgres.changed.column: this key is required; postgres.changed.colum: no such key, did you "
            "mean 'column'?; allowed here: column, key, overlap, within",
        ),
        (
            {"postgres": {**TABLE, "time_column": "t", "changed": {"column": "c", "within": "0 days"}}},
            "postgres.changed.within: must be more than 0",
        ),
        (
            {"file": {**FILE, "changed": {"column": "c"}}},
            "file.changed: no such key",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_what_is_allowed(said: Any, wrong: str):
    with pytest.raises(ValidationError) as refusal:
        Source.model_validate(said)
    told = explain(Source, refusal.value)
    assert told.startswith(wrong)
    assert "\n" not in told


def test_every_entry_has_questions_of_names_of_their_own():
    for kind in KINDS.values():
        names = [question.name for question in kind.questions]
        assert names
        assert len(set(names)) == len(names)
        assert all(
            name in question.model_fields for name, question in zip(names, kind.questions, strict=True)
        )
