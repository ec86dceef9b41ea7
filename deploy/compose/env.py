"""Writes `.env` and `connections.env` for docker-compose.yaml: fresh secrets, ports that are free, and the
connections to sources. Needs Python alone.

python3 -m deploy.compose.env [demo]
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.ports import HOST, is_free

REPOSITORY = Path(__file__).resolve().parents[2]
_SETTING = re.compile(r"^(\w+)=(.*)$", re.MULTILINE)

Free = Callable[[int], int]
"""The first port from a number on that no program listens on."""


def free_port(first: int) -> int:
    """The first port from `first` on that can be listened on here."""
    return next(port for port in range(first, 65536) if is_free(port))


def fill(example: str, *, demo: bool, free: Free = free_port) -> str:
    """The text of `.env` from that of `.env.example`.

    Empty settings get a fresh secret, ports the first free one from the example's on. With `demo` the demo's
    sources start with the stack.
    """
    made = {name: _value(name, value, free) for name, value in _SETTING.findall(example)}
    text = _SETTING.sub(lambda found: f"{found[1]}={made[found[1]]}", example)
    return text + ("\nCOMPOSE_PROFILES=demo\n" if demo else "")


def demo_connections(password: str) -> str:
    """The lines of `connections.env` that lead to the demo's sources."""
    database = {
        "conn_type": "postgres",
        "host": "demo-db",
        "port": 5432,
        "login": "demo",
        "schema": "rentals",
    }
    weather = {
        "conn_type": "http",
        "host": "http://demo:8200",
        "extra": {"api_key_header": "X-API-Key"},
    }
    made = {"RENTALS_DB": database, "WEATHER_API": weather}
    return "".join(
        f"AIRFLOW_CONN_{name}={_connection(**values, password=password)}\n" for name, values in made.items()
    )


def main(arguments: list[str]) -> int:
    """Write both files in the repository unless they are there; says the ports and what is left to do."""
    file, demo = REPOSITORY / ".env", arguments == ["demo"]
    if file.exists():
        print(f"{file} is there and is kept: its passwords are those of the volumes")
        return _name_taken(file.read_text())
    text = fill((REPOSITORY / ".env.example").read_text(), demo=demo)
    settings = dict(_SETTING.findall(text))
    connections = REPOSITORY / "connections.env"
    if not connections.exists():
        known = (REPOSITORY / "connections.env.example").read_text()
        _write(connections, known + (demo_connections(settings["DEMO_PASSWORD"]) if demo else ""))
    _write(file, text)
    print(f"Wrote {file}")
    print(
        f"  Airflow UI   http://{HOST}:{settings['AIRFLOW_PORT']}  (ADMIN_USERNAME and ADMIN_PASSWORD in it)"
    )
    print(f"  predictions  http://{HOST}:{settings['SERVING_PORT']}")
    if not demo:
        print(f"Put the connections to your sources into {connections}")
    return 0


def _write(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)


def _name_taken(text: str) -> int:
    ports = {name: int(value) for name, value in _SETTING.findall(text) if name.endswith("_PORT")}
    taken = [f"{name}={port}" for name, port in ports.items() if not is_free(port)]
    if taken:
        print(f"In use now, by this stack or by another program: {', '.join(taken)}")
    return int(bool(taken))


def _value(name: str, value: str, free: Free) -> str:
    if name.endswith("_PORT"):
        return str(free(int(value)))
    if value:
        return value
    if name == "AIRFLOW_CONN_SERVING":
        return _connection(conn_type="generic", password=_hex())
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    if name == "AWS_ACCESS_KEY_ID":
        # A store may read twelve digits as the number of an account.
        return f"EG{secrets.token_hex(9).upper()}"
    return _hex()


def _connection(**values: object) -> str:
    return f"'{json.dumps(values)}'"


def _hex() -> str:
    return secrets.token_hex(24)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
