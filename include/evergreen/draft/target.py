"""Which column a model is to predict, and what kind of problem that is. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from evergreen.draft.columns import ID_WORDS, Columns
from evergreen.errors import SpecError
from evergreen.shown import shown
from evergreen.sources.nearest import nearest
from evergreen.task import Task
from evergreen.validation.codes import is_named_like_codes, words_of

MOST_CLASSES = 50
"""Classes that a target may have: with more of them, few have the rows to be learnt from."""

_FEW = 20  # different values of a text that nobody named as the target
_FEW_NUMBERS = 10  # different whole numbers that are classes rather than a quantity
_ROWS_OF_A_CLASS = 5  # on average, at least
_TARGETS = ("target", "label", "labels", "y", "class", "outcome", "response")
_CLASSES = frozenset(
    {"churn", "churned", "class", "default", "defaulted", "diagnosis", "fraud", "label", "outcome"}
    | {"returned", "species", "survived", "won"}
)
_QUANTITIES = frozenset(
    {"amount", "cnt", "consumption", "cost", "count", "demand", "income", "load", "price", "qty", "quantity"}
    | {"rent", "revenue", "salary", "sales", "score", "total", "turnover", "value", "volume", "yield"}
)


@dataclass(frozen=True)
class Target:
    """The target, its task, and why. `classes` of a classification have their rows, the most frequent first.

    `others` are columns that could be the target too.
    """

    column: str
    task: Task
    why: str
    classes: tuple[tuple[object, int], ...] = ()
    others: tuple[str, ...] = ()

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes."""
        return len(self.classes) == 2

    @property
    def rarest(self) -> float:
        """The share of the rarest class among the rows with a target; 1 without classes."""
        rows = sum(count for _, count in self.classes)
        return self.classes[-1][1] / rows if rows else 1.0


def target_named(columns: Columns, name: str) -> Target:
    """The target that a person named; raises `SpecError` for one that cannot be predicted."""
    if name not in columns.found:
        raise SpecError(
            f"--target: there is no column '{shown(name)}' ({nearest(name, list(columns.found))})"
        )
    if why := _unfit(columns, name):
        raise SpecError(f"--target: '{shown(name)}' cannot be predicted, {why}: name another column")
    return _target(columns, name, "named by --target", ())


def target_by_name(columns: Columns) -> Target | None:
    """The target whose name says so, whole or by its last word; None if there is none."""
    fit = [name for name in columns.found if _unfit(columns, name) is None]
    for name in fit:
        if name.lower() in _TARGETS:
            return _target(columns, name, "by its name", _others(columns, name))
    for name in reversed(fit):
        if (words := words_of(name)) and words[-1] in _CLASSES | _QUANTITIES:
            return _target(columns, name, "by its name", _others(columns, name))
    return None


def last_target(columns: Columns, taken: Collection[str]) -> Target | None:
    """The last column that may be a target, without those `taken` by key and times; None if there is none."""
    for name in reversed(list(columns.found)):
        if name not in taken and _unfit(columns, name) is None and not _names_things(name):
            why = "the last column that a model may predict, and no name says which one is meant"
            return _target(columns, name, why, [one for one in _others(columns, name) if one not in taken])
    return None


def _target(columns: Columns, name: str, why: str, others: Collection[str]) -> Target:
    task = _task(columns, name)
    classes = tuple(columns.counts(name)) if task is Task.CLASSIFICATION else ()
    return Target(name, task, why, classes, tuple(others))


def _others(columns: Columns, name: str) -> list[str]:
    """The last few columns that may be a target as well."""
    fit = [
        one
        for one in reversed(list(columns.found))
        if one != name
        and _unfit(columns, one) is None
        and not _names_things(one)
        and not columns.is_unique(one)
    ]
    return fit[:3]


def _names_things(name: str) -> bool:
    words = words_of(name)
    return is_named_like_codes(name) or bool(words and words[-1] in ID_WORDS)


def _task(columns: Columns, name: str) -> Task:
    if not columns.is_number(name):
        return Task.CLASSIFICATION
    words = set(words_of(name))
    if not columns.is_whole(name) or words & _QUANTITIES:
        return Task.REGRESSION
    distinct = columns.found[name].distinct
    few = distinct == 2 or distinct <= _FEW_NUMBERS
    return Task.CLASSIFICATION if few and _often(columns, name) else Task.REGRESSION


def _often(columns: Columns, name: str) -> bool:
    return columns.count >= _ROWS_OF_A_CLASS * columns.found[name].distinct


def _unfit(columns: Columns, name: str) -> str | None:
    """Why a column cannot be a target, as the rest of a sentence; None if it can."""
    return next(_reasons(columns, name), None)


def _reasons(columns: Columns, name: str) -> Iterator[str]:
    one = columns.found[name]
    if not one.distinct:
        yield "it has no values"
    elif one.distinct == 1:
        yield f"it is {shown(one.first)} in all rows"
    elif columns.is_time(name):
        yield "it is a date or a time"
    elif columns.is_list(name):
        yield "it holds lists"
    elif 2 * one.nulls > columns.count:
        yield f"{one.nulls:,} of {columns.count:,} rows have none"
    elif not columns.is_number(name) and (one.distinct > MOST_CLASSES or not _often(columns, name)):
        yield f"it has {one.distinct:,} different texts in {columns.count:,} rows, too many for classes"
