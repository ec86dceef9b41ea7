"""The order of classes: sorted, and the positive one last.

So of two classes the second is the positive one, which curves, rates and calibration are of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from evergreen.errors import SpecError


def ordered_classes(names: Iterable[Any], positive: Any = None) -> list[Any]:
    """The different names in their order; `positive` is the class that the description calls so, if any."""
    return sorted(set(names), key=lambda name: (positive is not None and is_called(name, positive), name))


def is_called(name: Any, described: Any) -> bool:
    """Whether a class is the described one: `1` in a description is the class 1, and the class "1"."""
    return bool(name == described) or str(name) == str(described)


def positive_class(names: Sequence[Any], named: Any, where: str) -> int:
    """The number of the positive class among the names in their order: the named one, or the last of two.

    Raises `SpecError`, naming `where` it is described, for a name that is not among them, and where none is
    named but there are more than two.
    """
    there = ", ".join(map(str, names))
    if named is None:
        if len(names) > 2:
            raise SpecError(f"{where}: name the positive class, one of {there}")
        return len(names) - 1
    for number, name in enumerate(names):
        if is_called(name, named):
            return number
    if len(names) < 2:
        return len(names)  # no row is of the class, nor predicted to be
    raise SpecError(f"{where}: '{named}' is not a class of the target: name one of {there}")
