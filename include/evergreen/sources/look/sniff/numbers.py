"""How a file writes its numbers: the decimal sign, and what divides groups of three digits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evergreen.shown import shown
from evergreen.sources.look.sniff.cells import looks_like_number
from evergreen.sources.text.number_form import PLAIN, NumberForm

_FORMS = (
    PLAIN,
    NumberForm(","),
    NumberForm(",", "."),
    NumberForm(".", ","),
    NumberForm(".", " "),
    NumberForm(",", " "),
    NumberForm(".", "'"),
    NumberForm(",", "'"),
    NumberForm(".", "_"),
    NumberForm(",", "_"),
)
_VARIANTS = {" ": " \u00a0\u202f", "'": "'’"}  # noqa: RUF001 - as Excel writes it
_MOSTLY = 0.5
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")  # of the internet, which three digits a group make a number


@dataclass(frozen=True)
class Numbers:
    """The form of a file's numbers, the column and text that tell it, and a doubt."""

    form: NumberForm = PLAIN
    told_by: tuple[str, str] | None = None
    doubt: str = ""


def sniff_numbers(columns: Mapping[str, Sequence[str]]) -> Numbers:
    """The one form that reads the most columns, by some different values of each.

    Forms that read the same numbers are one, and the simplest of them is taken. If forms read the same
    columns as other numbers, such as 1.234 and 1,234, it is said, and the plain form is kept.
    """
    signed = {name: found for name, values in columns.items() if (found := _signed(values))}
    if not signed:
        return Numbers()
    read = {form: _read(form, signed) for form in _FORMS}
    most = max(len(found) for found in read.values())
    if not most:
        return Numbers()
    best = [form for form in _FORMS if len(read[form]) == most]
    different = [form for form in best if read[form] != read[best[0]]]
    if not different:
        form = best[0]
        told = None if form == PLAIN else _evidence(form, signed, read[form])
        return Numbers(form, told, _mixed(signed, read) or _code(form, told, signed))
    return Numbers(doubt=_undecided(best[0], different[0], signed, read))


def _undecided(
    one: NumberForm,
    other: NumberForm,
    columns: Mapping[str, Sequence[str]],
    read: Mapping[NumberForm, Mapping[str, Sequence[float]]],
) -> str:
    """What is to be said of two forms of which none is right for sure."""
    ours, theirs = read[one], read[other]
    if ours.keys() == theirs.keys():
        name, at = next(
            (name, at)
            for name in ours
            for at, _ in enumerate(ours[name])
            if ours[name][at] != theirs[name][at]
        )
        ways = f"{ours[name][at]} ({_said(one)}) or {theirs[name][at]} ({_said(other)})"
        return f"numbers: '{shown(columns[name][at])}' of column '{name}' is {ways}, and no value tells which"
    alone = [
        next((name for name in found if name not in others), "")
        for found, others in ((ours, theirs), (theirs, ours))
    ]
    texts = [f"'{shown(columns[name][0])}' of column '{name}'" for name in alone if name]
    return f"numbers: {' and '.join(texts)} are written in different forms, so one is left as text"


def _signed(values: Sequence[str]) -> list[str]:
    """The values that look like numbers, if most do and one has more than digits."""
    texts = [text.strip() for text in values]
    numbers = [text for text in texts if looks_like_number(text) and not _ADDRESS.fullmatch(text)]
    if len(numbers) <= _MOSTLY * len(texts) or all(text.lstrip("+-").isdigit() for text in numbers):
        return []
    return numbers


def _read(form: NumberForm, columns: Mapping[str, Sequence[str]]) -> dict[str, list[float]]:
    """The numbers of the columns that the form reads as a whole."""
    pattern = _pattern(form)
    found = {}
    for name, texts in columns.items():
        if all(pattern.fullmatch(text) for text in texts):
            found[name] = [_value(form, text) for text in texts]
    return found


def _pattern(form: NumberForm) -> re.Pattern[str]:
    decimal = re.escape(form.decimal)
    digits = r"(0|[1-9]\d*)"
    if form.thousands:
        group = f"[{re.escape(_VARIANTS.get(form.thousands, form.thousands))}]"
        digits = rf"([1-9]\d{{0,2}}({group}\d{{3}})+|0|[1-9]\d*)"
    return re.compile(rf"[+-]?({digits}({decimal}\d*)?|{decimal}\d+)([eE][+-]?\d+)?", re.ASCII)


def _value(form: NumberForm, text: str) -> float:
    for letter in _VARIANTS.get(form.thousands, form.thousands):
        text = text.replace(letter, "")
    return float(text.replace(form.decimal, "."))


def _evidence(
    form: NumberForm, columns: Mapping[str, Sequence[str]], read: Mapping[str, object]
) -> tuple[str, str]:
    """The column and the text that the plain form does not read, with the most signs."""
    plain = _pattern(PLAIN)
    found = [(name, text) for name in read for text in columns[name] if not plain.fullmatch(text)]
    return max(found, key=lambda one: (_is_grouped(form, one[1]), form.decimal in one[1]))


def _mixed(columns: Mapping[str, Sequence[str]], read: Mapping[NumberForm, Mapping[str, object]]) -> str:
    """What is to be said of columns of numbers that another form reads."""
    form = max(read, key=lambda one: len(read[one]))
    for other in read:
        for name in read[other]:
            if name not in read[form]:
                text = next(text for text in columns[name] if not _pattern(form).fullmatch(text))
                return f"numbers: '{text}' of column '{name}' is of another form ({_said(other)}): it is text"
    return ""


def _code(form: NumberForm, told: tuple[str, str] | None, columns: Mapping[str, Sequence[str]]) -> str:
    """What is to be said if the signs between digits may be those of codes, such as of telephone numbers."""
    if not told or not form.thousands:
        return ""
    grouped = [text for texts in columns.values() for text in texts if _is_grouped(form, text)]
    if len(set(map(len, grouped))) > 1 or any(form.decimal in text for text in grouped):
        return ""
    return f"numbers: '{told[1]}' of column '{told[0]}' may be a code, and no number with '{form.thousands}'"


def _is_grouped(form: NumberForm, text: str) -> bool:
    return any(letter in text for letter in _VARIANTS.get(form.thousands, form.thousands))


def _said(form: NumberForm) -> str:
    return f"decimal '{form.decimal}'" + (f", thousands '{form.thousands}'" if form.thousands else "")
