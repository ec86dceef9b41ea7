"""The pages of the documentation, and the blocks of code in them.

A block is not run if a comment before it says why, as in `<!-- not run: it needs Docker -->`; that comment
above the title of a page is for all of its blocks. A block after a line that begins with a path, as in
"`shop/features.py`:", is the content of that file.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
]
"""Those with commands for readers to type, in the order in which they are read."""

SHELL = frozenset({"bash", "sh"})
CONSOLE = "console"
PYTHON = "python"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- not run: ((?:(?!-->).)+?) -->\s*\Z", re.DOTALL)
_PAGE_MARK = re.compile(r"\A<!-- not run: (.+?) -->", re.DOTALL)
_FILE = re.compile(r"(?:\A|\n\n)`([\w./-]+\.\w+)`[^\n]*:\n\n\Z")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: where it is, what it holds, the file it is, and why it is not run."""

    page: Path
    line: int
    language: str
    text: str = field(repr=False)
    file: str | None = None
    not_run: str | None = None

    @property
    def runs(self) -> bool:
        """Whether there is something to do: a file to write, or code in a language that is run."""
        return self.file is not None or self.language in {*SHELL, CONSOLE, PYTHON}

    @property
    def place(self) -> str:
        """The page and line, as an editor opens them."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> list[str]:
        """The commands of a block for a shell, each whole: lines that go on are joined, comments left out."""
        if self.language == CONSOLE:
            return [command for command, _ in self.transcript()]
        if self.language not in SHELL:
            return []
        return list(_statements(self.text))

    def transcript(self) -> list[tuple[str, str]]:
        """The commands of a console, each with the output that is shown of it."""
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)
        return [(command, output) for command, _, output in (part.partition("\n") for part in parts[1:])]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    whole = _PAGE_MARK.match(text)
    found = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        mark, file = _MARK.search(before) or whole, _FILE.search(before)
        found.append(
            Block(
                page=page,
                line=before.count("\n") + 1,
                language=match[1],
                text=match[2],
                file=file[1] if file else None,
                not_run=" ".join(mark[1].split()) if mark else None,
            )
        )
    return found


def evergreen_arguments(command: str) -> list[list[str]]:
    """The arguments of each call of `evergreen` in a command; none where it calls something else."""
    words = shlex.split(command, comments=True)
    calls: list[list[str]] = []
    current: list[str] | None = None
    for word in words:
        if word in ("|", "&&", ";", ">", "||"):
            current = None
        elif current is not None:
            current.append(word)
        elif word.rpartition("/")[2] == "evergreen":
            current = []
            calls.append(current)
    return calls


def _statements(text: str) -> Iterator[str]:
    """The statements of a script: a line is joined to those after it while a quote or an escape is open."""
    held = ""
    for line in text.splitlines():
        held += line + "\n"
        if line.endswith("\\"):
            continue
        try:
            words = shlex.split(held, comments=True)
        except ValueError:
            continue
        if words:
            yield held.strip()
        held = ""
