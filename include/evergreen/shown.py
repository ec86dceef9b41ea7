"""Foreign text truncated to one short, printable line, for error messages."""

from __future__ import annotations

from decimal import Decimal

LONGEST = 60


def shown(value: object) -> str:
    """The text of a value without line breaks and control characters, at most 60 characters of it."""
    text = str(value) if isinstance(value, str | Decimal) else f"{value!r:.{LONGEST + 1}}"
    line = "".join(letter if letter.isprintable() else " " for letter in text[: LONGEST + 1])
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
