"""The broker of Celery workers: Valkey, which speaks Redis's protocol, from an environment of its own."""

from __future__ import annotations

from pathlib import Path

from deploy.embedded.errors import StackError
from deploy.embedded.home import HOST, REPOSITORY, Home, Ports, write_atomically
from deploy.embedded.processes import Service
from deploy.embedded.secrets import Secrets

NAME = "redis"


def url(ports: Ports, secrets: Secrets, database: int) -> str:
    """The address of one of its databases, with the password."""
    return f"redis://:{secrets.redis_password}@{HOST}:{ports.redis}/{database}"


def service(home: Home, ports: Ports, secrets: Secrets) -> Service:
    """The server, on disk, reachable only by password on 127.0.0.1.

    Its settings are in a file that only its owner may read, for arguments show in the list of processes.
    """
    settings = {
        "bind": HOST,
        "port": ports.redis,
        "requirepass": secrets.redis_password,
        "dir": f'"{home.redis}"',
        "save": '""',
        "appendonly": "yes",  # messages in the queues outlive a restart
        "databases": 2,
        "maxmemory-policy": "noeviction",
    }
    home.redis.mkdir(mode=0o700, exist_ok=True)
    file = home.redis / "redis.conf"
    write_atomically(file, "".join(f"{name} {value}\n" for name, value in settings.items()))
    return Service(
        name=NAME,
        command=[str(_binary()), str(file)],
        environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        port=ports.redis,
        grace=10.0,
    )


def _binary() -> Path:
    """The server's program, found without running the environment's Python."""
    found = sorted((REPOSITORY / ".venv-redis").glob("lib/python*/site-packages/*/_binaries/*/valkey-server"))
    if not found:
        raise StackError("the broker of Celery workers is missing: run 'make .venv-redis'")
    return found[0]
