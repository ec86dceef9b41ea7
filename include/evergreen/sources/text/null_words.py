"""Words that people write where there is no value."""

from __future__ import annotations

import re

NULL_WORDS = frozenset(
    {
        *("NA", "N/A", "n/a", "na", "#N/A", "#NV", "#NA", "NULL", "null", "Null", "None", "none", "nil"),
        *("\\N", "-", "--", "---", "?", ".", "n.d.", "k.A.", "k. A.", "s/d", "nd", "(null)", "<NA>"),
        *("missing", "#VALUE!", "#WERT!", "#DIV/0!", "#REF!", "#BEZUG!"),
    }
)
"""The words. A source takes them for nulls only if its description says so: one may be a value, too."""


_MISFIT = re.compile("'([^']+)' is no ")


def with_remedy(reason: str) -> str:
    """Why a field of CSV does not fit its column's type, with what can be done if it stands for no value."""
    found = _MISFIT.search(reason)
    word = found[1].strip() if found else ""
    if word not in NULL_WORDS:
        return reason
    return f"{reason}; if '{word}' stands for no value, write under the source: csv: {{nulls: ['{word}']}}"
