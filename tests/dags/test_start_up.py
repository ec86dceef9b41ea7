"""Airflow does not start with dangerous settings: each one alone is found, and told with its remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from deploy.embedded import environment
from deploy.embedded.home import Home, Ports
from deploy.embedded.secrets import Secrets
from evergreen.open_bucket import allows, grants, written_by_anybody
from evergreen.storage import Storage
from evergreen_airflow.start_up import EMBEDDED, OF_ANY, OF_EMBEDDED, Settings, _host_of, dangers

SAFE = {
    "core.auth_manager": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    "core.simple_auth_manager_all_admins": "False",
    "core.fernet_key": Fernet.generate_key().decode(),
    "api_auth.jwt_secret": "0f" * 16,
    "api.secret_key": "1e" * 16,
    "database.sql_alchemy_conn": "postgresql+psycopg2://airflow:2d2d2d2d2d2d@postgres/airflow",
}
SIMPLE = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
DEFAULT_DATABASE = "postgresql+psycopg2://airflow:airflow@postgres/airflow"
HERE = {EMBEDDED: "1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}
FOUND = [
    ("_all_admins", {"core.simple_auth_manager_all_admins": "True"}, {}, "everybody is an administrator"),
    ("_auth_manager", {"core.auth_manager": SIMPLE}, {}, "the simple auth manager"),
    ("_fernet_key", {"core.fernet_key": ""}, {}, "core.fernet_key is none"),
    (
        "_fernet_key",
        {"core.fernet_key": "81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs="},
        {},
        "known to everybody",
    ),
    ("_fernet_key", {"core.fernet_key": "A" * 43 + "="}, {}, "known to everybody"),
    ("_fernet_key", {"core.fernet_key": f"{SAFE['core.fernet_key']},"}, {}, "core.fernet_key"),
    ("_jwt_secret", {"api_auth.jwt_secret": ""}, {}, "api_auth.jwt_secret is empty"),
    ("_jwt_secret", {"api_auth.jwt_secret": "airflow_jwt_secret"}, {}, "anybody can sign tokens"),
    ("_secret_key", {"api.secret_key": "static_secret_key"}, {}, "anybody can make sessions"),
    ("_secret_key", {"api.secret_key": "short"}, {}, "api.secret_key is empty, short"),
    ("_database_password", {"database.sql_alchemy_conn": DEFAULT_DATABASE}, {}, "give the database another"),
    ("_storage_keys", {}, {"AWS_SECRET_ACCESS_KEY": "minioadmin"}, "give the store keys of your own"),
    ("_reachable", {"host": "0.0.0.0"}, HERE, "the API is at '0.0.0.0'"),
    ("_reachable", {"host": "127.0.0.1"}, {EMBEDDED: "1"}, "the storage is at 'no address'"),
]


def settings(options: dict[str, str], variables: dict[str, str]) -> Settings:
    found = SAFE | options
    return Settings(
        lambda section, name: found.get(f"{section}.{name}", ""), variables, found.get("host", "")
    )


@pytest.mark.parametrize(("check", "options", "variables", "said"), FOUND)
def test_each_danger_alone_is_found(check: str, options: Any, variables: Any, said: str) -> None:
    (told,) = dangers(settings(options, variables))
    assert said in told
    assert ": " in told
    assert "\n" not in told
    of = OF_EMBEDDED if EMBEDDED in variables else OF_ANY
    assert [one.__name__ for one in of if one(settings(options, variables))] == [check]


def test_every_check_is_tried_and_safe_settings_are_none() -> None:
    assert {case[0] for case in FOUND} == {one.__name__ for one in (*OF_ANY, *OF_EMBEDDED)}
    assert list(dangers(settings({}, {"AWS_SECRET_ACCESS_KEY": "3c" * 16}))) == []
    by_key = {"api_auth.jwt_secret": "", "api_auth.jwt_private_key_path": "/run/key"}
    assert list(dangers(settings(by_key, {}))) == []
    local = {"core.auth_manager": SIMPLE, "host": "127.0.0.1"}
    assert list(dangers(settings(local, HERE))) == []


def test_the_embedded_stack_starts_and_not_without_its_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own settings, as Airflow reads them; without the variable they would be refused."""
    found = environment.variables(Home(tmp_path), Ports(), Secrets())
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    assert list(dangers(Settings.found())) == []
    monkeypatch.delenv(EMBEDDED)
    (told,) = dangers(Settings.found())
    assert "the simple auth manager" in told


def test_the_address_in_the_arguments_is_the_one_that_counts() -> None:
    for arguments in (["--host", "::"], ["-H", "::"], ["--host=::"]):
        assert _host_of(["airflow", "api-server", *arguments]) == "::"
    assert _host_of(["airflow", "api-server", "--workers", "2"]) is None


EVERYBODY: dict[str, Any] = {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject"}


@pytest.mark.parametrize(
    ("statement", "is_open"),
    [
        (EVERYBODY, True),
        ({**EVERYBODY, "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject", "s3:*"]}, True),
        ({**EVERYBODY, "Action": "s3:GetObject"}, False),
        ({**EVERYBODY, "Effect": "Deny"}, False),
        ({**EVERYBODY, "Principal": {"AWS": "arn:aws:iam::1:root"}}, False),
        ({**EVERYBODY, "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}, False),
    ],
)
def test_a_policy_that_lets_everybody_write_is_known(statement: dict[str, Any], is_open: bool) -> None:
    assert allows({"Policy": json.dumps({"Statement": [statement]})}) is is_open
    assert allows({"Policy": json.dumps({"Statement": statement})}) is is_open


def test_grants_that_let_everybody_write_are_known() -> None:
    everybody = {"URI": "http://acs.amazonaws.com/groups/global/AuthenticatedUsers", "Type": "Group"}
    for right, is_open in (("WRITE", True), ("FULL_CONTROL", True), ("READ", False)):
        assert grants({"Grants": [{"Grantee": everybody, "Permission": right}]}) is is_open
        assert not grants({"Grants": [{"Grantee": {"ID": "owner"}, "Permission": right}]})


def test_a_bucket_that_takes_what_nobody_signed_is_told(storage: Storage) -> None:
    """The server of the tests asks nobody for a key."""
    assert written_by_anybody(storage) == (
        f"bucket '{storage.bucket}': anybody may write to it without a key: take the right away, or use "
        "another bucket"
    )
    assert storage.list("") == []


ASK = """
import sys
sys.argv = ["airflow", sys.argv[1]]
from airflow import plugins_manager
if sys.argv[1] != "api-server":
    from airflow.jobs.job import Job
    Job()
else:
    plugins_manager.get_fastapi_plugins()
print("started")
"""


@pytest.mark.parametrize("program", ["scheduler", "api-server", "triggerer"])
def test_airflow_itself_ends(program: str, tmp_path: Path) -> None:
    """What Airflow does in each program when it starts, in its own process. A triggerer has no such key."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__FERNET_KEY": "",
        "AIRFLOW__API_AUTH__JWT_SECRET": "5a" * 16,
        "EVERGREEN_STORAGE": "s3://nowhere",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_SECRET_ACCESS_KEY": "4b" * 16,
    }
    environment.pop(EMBEDDED, None)
    done = subprocess.run(
        [sys.executable, "-c", ASK, program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if program == "triggerer":
        assert "started" in done.stdout
        return
    assert done.returncode == 1, done.stdout + done.stderr
    refused = [line for line in done.stderr.splitlines() if line.startswith("evergreen: refused to start: ")]
    assert [line.split(": ")[2].split()[0] for line in refused] == ["the", "core.fernet_key"]
    assert "started" not in done.stdout
