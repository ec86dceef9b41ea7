from __future__ import annotations

import pytest

from evergreen.connections import Connection, from_environment, redacted
from evergreen.errors import SourceError


def test_json_form(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_RENTALS_DB",
        '{"conn_type": "postgres", "host": "h", "port": "5432", "login": "me", "password": "p@ss",'
        ' "schema": "db", "extra": {"sslmode": "require"}}',
    )
    found = from_environment("rentals_db")
    assert (found.conn_type, found.host, found.port, found.login) == ("postgres", "h", 5432, "me")
    assert (found.password, found.schema, found.extra) == ("p@ss", "db", {"sslmode": "require"})


def test_extra_may_be_text_as_airflow_stores_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CONN_API", '{"conn_type": "http", "extra": "{\\"header\\": \\"X-Key\\"}"}')
    assert from_environment("api").extra == {"header": "X-Key"}


def test_uri_form(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CONN_DB", "postgresql://me:p%40ss%2F@db.example:6543/sales?sslmode=require")
    found = from_environment("db")
    assert (found.conn_type, found.host, found.port, found.schema) == (
        "postgres",
        "db.example",
        6543,
        "sales",
    )
    assert (found.login, found.password, found.extra) == ("me", "p@ss/", {"sslmode": "require"})


def test_uri_form_with_extra_in_json(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_API", "http://api.example/?__extra__=%7B%22a%22%3A+%7B%22b%22%3A+1%7D%7D"
    )
    assert from_environment("api").extra == {"a": {"b": 1}}


def test_an_undefined_connection_is_named_with_its_variable():
    with pytest.raises(SourceError, match=r"connection 'db' is not defined: set AIRFLOW_CONN_DB or add it"):
        from_environment("db")


def test_what_can_be_no_id_is_not_asked_for_as_a_variable():
    with pytest.raises(SourceError, match=r"^'data/shop\.db' is no file and no connection"):
        from_environment("data/shop.db")


def test_the_path_of_a_file_keeps_its_own_slash(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "sqlite:////data/shop.db")
    assert from_environment("shop").schema == "/data/shop.db"


@pytest.mark.parametrize(
    "text",
    [
        "no address s3cret",
        '{"host": "s3cret"}',
        "{s3cret",
        "http://s3cret:port/",
        '{"conn_type": "x", "port": "s3cret"}',
    ],
)
def test_a_malformed_connection_is_not_repeated(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv("AIRFLOW_CONN_DB", text)
    with pytest.raises(SourceError, match="neither Airflow's JSON nor its URI form") as caught:
        from_environment("db")
    assert "s3cret" not in str(caught.value)


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CONN_DB", "postgresql://me:s3cret@h/db?token=t0ken")
    assert "s3cret" not in repr(from_environment("db"))
    assert "t0ken" not in repr(from_environment("db"))


def test_secrets_are_redacted_in_whatever_form_a_driver_repeats_them():
    extra = {"private_key": "k'ey", "keyfile_dict": {"token": "deep"}, "account": "ab123", "pat": None}
    connection = Connection("db", "x", password="p/ss w\\rd", extra=extra)
    said = "url p%2Fss%20w%5Crd, text 'p/ss w\\\\rd', raw p/ss w\\rd, k\\'ey of ab123"
    assert redacted(said, connection) == "url ***, text '***', raw ***, *** of ab123"
    assert redacted("deep down", connection) == "*** down"
    assert redacted("a\n  b", connection) == "a b"
    assert len(redacted("x" * 1000, connection)) < 310
