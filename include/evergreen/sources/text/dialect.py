"""How a CSV is written: its encoding, its delimiter, its numbers; in files and in answers of APIs."""

from __future__ import annotations

import codecs
from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from evergreen.description import Described
from evergreen.units import Column

# Codecs of Python that are no encodings of files, or run forever, or are known to be abused.
_UNSAFE = {
    "idna",
    "mbcs",
    "oem",
    "punycode",
    "raw-unicode-escape",
    "undefined",
    "unicode-escape",
    "utf-7",
}


def known_encoding(name: str) -> str:
    """The name, if it is that of a text encoding; else raises `ValueError`."""
    try:
        codec = codecs.lookup(name)
        if codec.name.replace("_", "-") not in _UNSAFE:
            b"a".decode(name, "replace")  # a codec like zlib is none of text
            return name
    except (LookupError, ValueError):
        pass
    raise ValueError("write the name of a text encoding like utf-8, utf-16, cp1252 or latin-1")


def _one_letter(value: str) -> str:
    if len(value) != 1 or not value.isascii() or value in "\r\n\0":
        raise ValueError("write one ASCII character, not a line break")
    return value


def _divides(value: str) -> str:
    if len(value) != 1 or not value.isascii() or value in '"\r\n\0':
        raise ValueError('write one ASCII character, not a quote or a line break; a tab is "\\t" in YAML')
    return value


def _words(value: Any) -> Any:
    listed = value if isinstance(value, list | tuple) else [value]
    return tuple(str(word) if type(word) in (int, float) else word for word in listed)


_Word = str | int | float
_AS_WORDS = BeforeValidator(_words, json_schema_input_type=_Word | list[_Word])

Letter = Annotated[str, AfterValidator(_one_letter)]
"""One ASCII character."""

Delimiter = Annotated[str, AfterValidator(_divides)]
"""What stands between two fields."""


class CsvDialect(Described):
    """How a CSV is written; every key has the default of RFC 4180 in UTF-8.

    `sep=;` in the first line, as Excel writes it, is recognised: it says the delimiter and is one of the
    lines that `skip` counts.
    """

    encoding: Annotated[str, AfterValidator(known_encoding)] | None = None
    """Any text encoding that Python knows; a byte order mark wins over it. Default: UTF-8. Example: cp1252"""
    delimiter: Delimiter = ","
    """The character between two fields. Example: ;"""
    quote: Letter | None = '"'
    """The character around a field; with `null` quotes are text. Example: ''''"""
    comment: Letter | None = None
    """The character that begins a line to be left out. Example: '#'"""
    skip: int = Field(default=0, ge=0)
    """How many lines before the header are left out. Example: 2"""
    columns: tuple[Column, ...] | None = Field(default=None, min_length=1)
    """The names of the columns, where there is no header. Example: [day, cnt]"""
    nulls: Annotated[tuple[str, ...], _AS_WORDS] = ()
    """Texts that are null, like an empty field, in quotes or not. Example: [NA, "-"]"""
    decimal: Literal[".", ","] = "."
    """The decimal sign of numbers. Example: ','"""
    thousands: Literal[".", ",", " ", "'", "_"] | None = None
    """The sign between groups of three digits; a space stands for no-break spaces too, and `'` for the
    typographic one. Example: "."
    """

    @model_validator(mode="after")
    def _signs_differ(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError("'decimal' and 'thousands' must differ")
        signs = {"delimiter": self.delimiter, "quote": self.quote, "comment": self.comment}
        given = Counter(sign for sign in signs.values() if sign is not None)
        if same := [name for name, sign in signs.items() if given[sign or ""] > 1]:
            raise ValueError(f"{' and '.join(map(repr, same))} must differ")
        if twice := [name for name, count in Counter(self.columns or ()).items() if count > 1]:
            raise ValueError(f"columns: '{twice[0]}' comes more than once")
        return self

    @property
    def said_encoding(self) -> str:
        """The encoding in words of a message."""
        return self.encoding or "UTF-8"
