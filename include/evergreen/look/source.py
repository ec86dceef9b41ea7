"""What a person names to be looked at: a file, an address, a table."""

from __future__ import annotations

from evergreen.look.file import look_at_file
from evergreen.look.found import Look


def look_at(source: str, table: str | None, most: int) -> Look:
    """The look at a file or an address; of at most so many rows. Raises as `look_at_file` does."""
    return look_at_file(source, most)
