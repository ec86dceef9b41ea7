"""Which words stand for no value in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.sources.text.null_words import NULL_WORDS

_WORDS = pa.array(sorted(NULL_WORDS), pa.string())


def null_words(texts: pa.Array) -> tuple[str, ...]:
    """The words of a column that may stand for no value."""
    found = texts.filter(pc.is_in(texts, _WORDS)).unique()
    return tuple(found.to_pylist())


def without(texts: pa.Array, words: Sequence[str]) -> pa.Array:
    """The texts with null in place of the words."""
    if not words:
        return texts
    is_word = pc.is_in(texts, pa.array(words, pa.string()))
    return pc.if_else(is_word, pa.scalar(None, pa.string()), texts)


def sniff_nulls(columns: Mapping[str, pa.Array], is_typed: Callable[[pa.Array], bool]) -> dict[str, str]:
    """The words that stand for no value, each with the column that tells it.

    That is one whose other values are all of a type that is not text, as `is_typed` says; in a column of text
    a word like NA may be a value.
    """
    found: dict[str, str] = {}
    for name, texts in columns.items():
        words = null_words(texts)
        if not words:
            continue
        rest = without(texts, words)
        if rest.null_count < len(rest) and is_typed(rest):
            found |= {word: found.get(word, name) for word in words}
    return found
