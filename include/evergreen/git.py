"""Questions to git that only read, about the repository that holds a folder."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

from evergreen.errors import one_line

_SECONDS = 60


@dataclass(frozen=True)
class Said:
    """What git printed; `error` says in a line why it could not answer, None if it did."""

    printed: bytes = field(default=b"", repr=False)
    error: str | None = None


def git(folder: Path, *arguments: str, given: str = "") -> Said:
    """The answer to a git command that only reads; `given` is its standard input.

    Variables such as `GIT_DIR`, which git sets for its hooks, would lead it to another repository.
    """
    program = which("git")
    if program is None:
        return Said(error="there is no git on the PATH: install it")
    if not folder.is_dir():
        return Said(error=f"there is no folder {folder}")
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603 - a list without a shell, of a program that only reads
            [program, "-C", str(folder), "--no-optional-locks", *arguments],
            input=given.encode(),
            capture_output=True,
            timeout=_SECONDS,
            env={**variables, "GIT_NO_REPLACE_OBJECTS": "1"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Said(error=one_line(error))
    if done.returncode:
        return Said(error=one_line(done.stderr.decode(errors="replace")) or f"git {arguments[0]} failed")
    return Said(done.stdout)
