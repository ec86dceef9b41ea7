"""What a single text looks like, before it is known how its file writes numbers and dates."""

from __future__ import annotations

import re
from typing import Literal

from evergreen.sources.text.null_words import NULL_WORDS

Kind = Literal["empty", "number", "time", "truth", "text"]

_NUMBER = re.compile(r"[+-]?(\d[\d.,'’_ \u00a0\u202f]*|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)  # noqa: RUF001
_TIME = re.compile(
    r"(\d{1,4}[-./ ]\d{1,2}[-./ ]\d{1,4}|\d{8}|\d{1,2}[-. ][A-Za-z]{3,9}[-., ]+\d{2,4}"
    r"|[A-Za-z]{3,9} \d{1,2},? \d{4})([T ]\d{1,2}:?\d{2}.*)?",
    re.ASCII,
)
_DIVIDED = re.compile(r"\d{1,4}([-./ ])\d{1,2}\1\d{1,4}", re.ASCII)


def kind_of(text: str) -> Kind:
    """The kind of a text; a word that stands for no value is empty."""
    text = text.strip()
    if not text or text in NULL_WORDS:
        return "empty"
    if text.lower() in ("true", "false"):
        return "truth"
    if _TIME.fullmatch(text) and not text.isdigit() and (len(text) > 8 or _DIVIDED.fullmatch(text)):
        return "time"
    return "number" if looks_like_number(text) else "text"


def looks_like_number(text: str) -> bool:
    """Whether some form of numbers may read the text."""
    return _NUMBER.fullmatch(text) is not None
