"""Finds the embedded stack that runs beside the repository: `.evergreen/env` holds its variables."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from evergreen.errors import EvergreenError

_READ = ("EVERGREEN_", "AWS_", "AIRFLOW_CONN_")


def home() -> Path:
    """The folder of the embedded stack's state: `EVERGREEN_HOME`, or `.evergreen`.

    `.evergreen` is looked for in the current folder, then at the repository's root.
    """
    if named := os.environ.get("EVERGREEN_HOME"):
        return Path(named)
    root = Path(__file__).resolve().parents[2]
    here = Path.cwd() / ".evergreen"
    return here if (here / "env").is_file() else root / ".evergreen"


def variables() -> dict[str, str]:
    """This process's variables, completed by those of `.evergreen/env`. Nothing is set.

    Only variables that Evergreen reads are taken from the file (`EVERGREEN_*`, `AWS_*`, `AIRFLOW_CONN_*`): it
    may be in a folder that the user happens to be in. Raises `EvergreenError` for a file of another form.
    """
    file = home() / "env"
    found = parse(file) if file.is_file() else {}
    return {name: value for name, value in found.items() if name.startswith(_READ)} | dict(os.environ)


def load_environment() -> None:
    """Set what `variables` finds, for the rest of this process and for those that it starts."""
    os.environ.update(variables())


def parse(file: Path) -> dict[str, str]:
    """The variables in a file of lines `NAME=value`, quoted as in a shell; `export` and comments are allowed.

    Raises `EvergreenError` naming the line, and not repeating it: it may hold a secret.
    """
    variables = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            words = [word for word in shlex.split(line, comments=True) if word != "export"]
        except ValueError:
            words = ["?", "?"]
        if not words:
            continue
        name, equals, value = words[0].partition("=")
        if len(words) != 1 or not equals or not name.isidentifier():
            raise EvergreenError(f"{file}: line {number} is not NAME=value: fix it, or run make down and up")
        variables[name] = value
    return variables
