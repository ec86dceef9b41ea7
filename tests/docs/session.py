"""A reader of a page: types its blocks one after another, in one folder, in one shell and one Python."""

from __future__ import annotations

import difflib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.docs.pages import CONSOLE, PYTHON, ROOT, SHELL, Block

_TIMEOUT = 900.0

# What the next block finds: the variables that were exported, and the folder that was changed to.
_SHELL = """
set -euo pipefail
[ ! -e "$DOCS_STATE" ] || . "$DOCS_STATE"
trap '{ export -p; printf "cd %q\\n" "$PWD"; } > "$DOCS_STATE"' EXIT
"""

_PYTHON = """
import json, sys, traceback
names = {"__name__": "__main__"}
for line in sys.stdin:
    place, text = json.loads(line)
    said = ""
    try:
        exec(compile(text, place, "exec"), names)
    except BaseException:
        said = traceback.format_exc()
    print("\\0" + json.dumps(said), flush=True)
"""

_ID = re.compile(r"\b[0-9a-f]{8,}\b|-[0-9a-f]{4,12}\b")
_NUMBER = re.compile(r"-?\d[\d,.]*")


class Reader:
    """Types blocks in a folder, with these variables; `words` are those that a reader replaces, by what."""

    def __init__(self, folder: Path, variables: Mapping[str, str], words: Mapping[str, str]) -> None:
        self._folder = folder
        self._words = words
        state = folder / ".docs-state"
        path = os.pathsep.join([str(ROOT / ".venv" / "bin"), os.environ["PATH"]])
        home = os.environ.get("HOME", str(folder))
        self._variables = {"PATH": path, "HOME": home, "DOCS_STATE": str(state), **variables}
        self._python: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """End the Python session, if one was begun."""
        if self._python is not None:
            self._python.kill()
            self._python.wait()

    def read(self, block: Block) -> str:
        """Do what the block says: write its file, or run it; returns what it printed.

        Raises `AssertionError`, which names the page and line, where a command fails or a console shows what
        is not said.
        """
        text = self._filled_in(block.text)
        if block.file is not None:
            path = self._folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return f"wrote {block.file}\n"
        if block.language in SHELL:
            return self._shell(block, text)
        if block.language == CONSOLE:
            return "".join(self._shown(block, *each) for each in block.transcript())
        if block.language == PYTHON:
            return self._said_by_python(block, text)
        return ""

    def _filled_in(self, text: str) -> str:
        for word, value in self._words.items():
            text = re.sub(rf"\b{re.escape(word)}\b", lambda _, value=value: value, text)
        return text

    def _shell(self, block: Block, text: str) -> str:
        done = subprocess.run(
            ["bash", "-c", f"{_SHELL}\n{text}"],
            cwd=self._folder,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"{block.place}: exit code {done.returncode}\n{text}\n{done.stdout}"
        return done.stdout

    def _shown(self, block: Block, command: str, shown: str) -> str:
        # A command of a console may end with any exit code: what it says is compared.
        said = self._shell(block, f"{{ {self._filled_in(command)}\n}} || true")
        missing = missing_lines(self._filled_in(shown), said)
        assert not missing, f"{block.place}: $ {command}\ndoes not say {missing[0]!r}:\n{said}"
        return said

    def _said_by_python(self, block: Block, text: str) -> str:
        if self._python is None:
            self._python = subprocess.Popen(
                [ROOT / ".venv" / "bin" / "python", "-c", _PYTHON],
                cwd=self._folder,
                env=self._variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sys.stderr,
                text=True,
            )
        assert self._python.stdin
        assert self._python.stdout
        self._python.stdin.write(json.dumps([block.place, text]) + "\n")
        self._python.stdin.flush()
        said = []
        for line in self._python.stdout:
            if line.startswith("\0"):
                error: Any = json.loads(line[1:])
                assert not error, f"{block.place}:\n{error}"
                return "".join(said)
            said.append(line)
        raise AssertionError(f"{block.place}: Python has ended: {self._python.wait()}")


def missing_lines(shown: str, said: str) -> list[str]:
    """The lines shown on a page that a command does not say, in their order.

    Space, numbers and ids may differ, more may be said than is shown, and a line `...` is passed over.
    """
    wanted = [line for line in shown.splitlines() if line.strip() not in ("", "...")]
    found = [_loosely(line) for line in said.splitlines()]
    matcher = difflib.SequenceMatcher(None, found, [_loosely(line) for line in wanted], autojunk=False)
    kept = {match.b + n for match in matcher.get_matching_blocks() for n in range(match.size)}
    return [line for at, line in enumerate(wanted) if at not in kept]


def _loosely(line: str) -> str:
    return " ".join(_NUMBER.sub("#", _ID.sub("#", line)).split())
