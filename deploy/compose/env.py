"""Writes `.env` for docker-compose.yaml: fresh secrets, and ports that are free. Needs Python alone.

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

    Empty settings get a fresh secret, ports the first free one from the example's on. Connections to sources
    stay empty; with `demo` they are those of the demo's sources, which start with the stack.
    """
    made = {name: _value(name, value, free) for name, value in _SETTING.findall(example)}
    if demo:
        made |= _demo(made["DEMO_PASSWORD"])
    text = _SETTING.sub(lambda found: f"{found[1]}={made.pop(found[1])}", example)
    return text + "".join(f"\n{name}={value}\n" for name, value in made.items())


def main(arguments: list[str]) -> int:
    """Write `.env` in the repository unless it is there; says the ports and what is left to fill in."""
    file = REPOSITORY / ".env"
    if file.exists():
        print(f"{file} is there and is kept: its passwords are those of the volumes")
        return _name_taken(file.read_text())
    text = fill((REPOSITORY / ".env.example").read_text(), demo=arguments == ["demo"])
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    settings = dict(_SETTING.findall(text))
    print(f"Wrote {file}")
    print(
        f"  Airflow UI   http://{HOST}:{settings['AIRFLOW_PORT']}  (ADMIN_USERNAME and ADMIN_PASSWORD in it)"
    )
    print(f"  predictions  http://{HOST}:{settings['SERVING_PORT']}")
    if empty := [name for name, value in settings.items() if not value]:
        print(f"Fill in {', '.join(empty)} ('make env DEMO=1' takes the demo's sources instead)")
    return 0


def _name_taken(text: str) -> int:
    ports = {name: int(value) for name, value in _SETTING.findall(text) if name.endswith("_PORT")}
    taken = [f"{name}={port}" for name, port in ports.items() if not is_free(port)]
    if taken:
        print(f"In use now, by this stack or by another program: {', '.join(taken)}")
    return int(bool(taken))


def _value(name: str, value: str, free: Free) -> str:
    if name.endswith("_PORT"):
        return str(free(int(value)))
    if value or name in {"AIRFLOW_CONN_RENTALS_DB", "AIRFLOW_CONN_WEATHER_API"}:
        return value
    if name == "AIRFLOW_CONN_SERVING":
        return _connection(conn_type="generic", password=_hex())
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    if name == "AWS_ACCESS_KEY_ID":
        # A store may read twelve digits as the number of an account.
        return f"EG{secrets.token_hex(9).upper()}"
    return _hex()


def _demo(password: str) -> dict[str, str]:
    database = {
        "conn_type": "postgres",
        "host": "demo-db",
        "port": 5432,
        "login": "demo",
        "schema": "rentals",
    }
    key = {"api_key_header": "X-API-Key"}
    return {
        "AIRFLOW_CONN_RENTALS_DB": _connection(**database, password=password),
        "AIRFLOW_CONN_WEATHER_API": _connection(
            conn_type="http", host="http://demo:8200", password=password, extra=key
        ),
        "COMPOSE_PROFILES": "demo",
    }


def _connection(**values: object) -> str:
    return f"'{json.dumps(values)}'"


def _hex() -> str:
    return secrets.token_hex(24)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
