"""Foreign text for people: truncated to one short, printable line, or harmless in markdown."""

from __future__ import annotations

import re
from decimal import Decimal

LONGEST = 60

_SPECIAL = re.compile(r"([\\|<>`*\[\]])")


def shown(value: object) -> str:
    """The text of a value without line breaks and control characters, at most 60 characters of it."""
    text = str(value) if isinstance(value, str | Decimal) else f"{value!r:.{LONGEST + 1}}"
    line = "".join(letter if letter.isprintable() else " " for letter in text[: LONGEST + 1])
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


def in_markdown(text: str) -> str:
    """The text in one line of markdown, where it can neither break a table nor add a link."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
