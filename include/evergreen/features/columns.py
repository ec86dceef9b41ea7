"""Which columns of its rows a pipeline reads, which of them a model is trained on, and functions get. Pure.

Where `features.columns` names none, each are all. Every reader of rows that features are built of asks here,
and `build_features` here alone decides what a function gets, whatever was read. See
docs/adr/0114-columns-are-named-once.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from evergreen.lake import PARTITION
from evergreen.signals.performance import PERFORMANCE
from evergreen.spec import Spec


def columns_given(spec: Spec, there: Iterable[str]) -> list[str]:
    """Of the columns that are there those that feature functions get, in their order.

    They follow from what a version keeps of its description, and from what names a row. What else the
    description names, such as slices, is not among them: a version gets the same columns as long as it lives.
    """
    return _among(spec, there, _given(spec))


def columns_trained_on(spec: Spec, there: Iterable[str]) -> list[str]:
    """Of the columns that are there those that bear on a model and its verdict, in their order.

    Beside those that functions get they are what lookups are found by, the weight, the group that folds keep
    together, and what the gate looks at.
    """
    return _among(spec, there, _trained_on(spec))


def columns_read(spec: Spec, there: Iterable[str]) -> list[str]:
    """Of the columns that are there those that are read, in their order.

    Beside those that a model is trained on they are the ones whose slices the monitor looks at.
    """
    return _among(spec, there, _trained_on(spec) | {*PERFORMANCE.of(spec.monitoring).slices})


def _among(spec: Spec, there: Iterable[str], wanted: set[str | None]) -> list[str]:
    return [name for name in there if name in wanted or not spec.features.columns]


def _trained_on(spec: Spec) -> set[str | None]:
    training, gate = spec.training, spec.gate
    return {
        *_given(spec),
        *(column for lookup in spec.features.lookups.values() for column in lookup.on),
        training.weight,
        training.tuning.group,
        *(rule.column for rule in gate.slices),
        *(rule.column for rule in gate.fairness),
    }


def _given(spec: Spec) -> set[str | None]:
    features = spec.features
    return {
        *features.columns,
        PARTITION,
        spec.time_column,
        *spec.keys,
        *spec.targets,
        *features.looked_up,
    }
