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


Letter = Annotated[str, AfterValidator(_one_letter)]
"""One ASCII character."""

Delimiter = Annotated[str, AfterValidator(_divides)]
"""What stands between two fields."""


class CsvDialect(Described):
    """How a CSV is written; every key has the default of RFC 4180 in UTF-8.

    `encoding` is any text encoding that Python knows; a byte order mark wins over it. The first `skip` lines
    are left out, then comes the header, unless `columns` names the columns. `sep=;` in the first line, as
    Excel writes it, is recognised: it says the delimiter and is one of the lines that `skip` counts. A line
    that begins with `comment` is left out. With `quote: null` quotes are text. A field equal to one of
    `nulls` is null, like an empty one, in quotes or not. Numbers have the decimal sign `decimal` and, between
    groups of three digits, `thousands`; a space stands for no-break spaces too, and `'` for the
    typographic one.
    """

    encoding: Annotated[str, AfterValidator(known_encoding)] | None = None
    delimiter: Delimiter = ","
    quote: Letter | None = '"'
    comment: Letter | None = None
    skip: int = Field(default=0, ge=0)
    columns: tuple[Column, ...] | None = Field(default=None, min_length=1)
    nulls: Annotated[tuple[str, ...], BeforeValidator(_words)] = ()
    decimal: Literal[".", ","] = "."
    thousands: Literal[".", ",", " ", "'", "_"] | None = None

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
