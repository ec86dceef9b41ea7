"""The positive class of a description, among the classes that there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evergreen.metrics.classes import positive_class
from evergreen.spec.spec import Spec


def positive_of(spec: Spec, classes: Sequence[Any]) -> int:
    """The place of the positive class among two: the one that the description names, or the second.

    Raises `SpecError` for a name that none of them has.
    """
    return positive_class(classes, spec.positive, f"{spec.folder / 'pipeline.yaml'}: positive")
