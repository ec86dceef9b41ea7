"""Which rows a request must hold so that they are predicted as a night predicts them."""

from __future__ import annotations

from evergreen.spec import Spec


def needs_whole_partitions(spec: Spec) -> bool:
    """Whether a row's features may look at other rows of its partition, so that all of them must be sent.

    Columns of the row itself cannot; a feature function may, and nobody knows yet whether it does.
    """
    return bool(spec.features.function or spec.feature_sets or spec.features.lookups)


def why_not(spec: Spec, *, whole: bool) -> str | None:
    """Why rows may not be asked for, with what must be sent; None if they may.

    `whole` is what the request says of itself: that it holds all rows of their partitions.
    """
    if whole or not needs_whole_partitions(spec):
        return None
    return (
        f"the features of {spec.name} may look at other rows of a partition: send all rows of each "
        f'{spec.partition} partition together, and "whole": true beside "rows"'
    )
