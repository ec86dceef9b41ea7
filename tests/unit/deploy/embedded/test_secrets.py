from __future__ import annotations

import base64
import json
import re
import stat
from dataclasses import asdict
from pathlib import Path

from deploy.embedded.home import Home
from deploy.embedded.secrets import Secrets, keep


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = keep(home)
    assert keep(home) == first
    assert stat.S_IMODE(home.secrets_file.stat().st_mode) == 0o600


def test_two_homes_share_no_secret(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = asdict(keep(Home(tmp_path / "a"))), asdict(keep(Home(tmp_path / "b")))
    assert not set(one.values()) & set(other.values())
    assert len(set(one.values())) == len(one)


def test_their_forms() -> None:
    found = Secrets()
    assert re.fullmatch(r"[0-9a-f]{32}", found.weather_api_key)
    assert len(base64.urlsafe_b64decode(found.fernet_key)) == 32
    assert not found.s3_access_key.isdecimal()


def test_nothing_shows() -> None:
    found = Secrets()
    assert not [value for value in asdict(found).values() if value in repr(found)]


def test_a_secret_that_is_new_is_added_to_those_that_were_kept(tmp_path: Path) -> None:
    home = Home(tmp_path)
    old = {name: value for name, value in asdict(Secrets()).items() if name != "redis_password"}
    home.secrets_file.write_text(json.dumps(old))
    found = keep(home)
    assert old.items() <= asdict(found).items()
    assert keep(home) == found
