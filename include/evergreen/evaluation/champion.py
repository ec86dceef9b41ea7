"""The champion in a comparison: which model stands for it, on which rows of the hold-out, and how fair it is.

With time, its final model is compared on rows that came after its training. In a snapshot the final model was
fit on all rows there were, so a copy stands for it that was fit without the hold-out of its own training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.labels.known import newest_trained
from evergreen.lake import PARTITION
from evergreen.spec import Spec
from evergreen.training_set.units import Units

if TYPE_CHECKING:
    from evergreen.training_set.assemble import TrainingSet

_ENOUGH = 30  # rows, or half of the hold-out where that is less


@dataclass(frozen=True)
class Copy:
    """A version's model fit without its hold-out, and the rows or groups of rows that it was fit on."""

    model: Any = field(repr=False)
    fit_on: Units = field(repr=False)


@dataclass(frozen=True)
class Champion:
    """The model in force: its version, what it was trained as of, and the estimator itself.

    `copy` is None with time, and where a version has none: an older one, or a pretrained model. `problem`
    says why the model cannot be used, and the remedy; such a model is not asked to predict. `features` are
    those of its own of the training set's rows, by position; None where they are the training set's.
    """

    version: str
    as_of: str
    model: Any
    problem: str | None = None
    copy: Copy | None = None
    features: pd.DataFrame | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Compared:
    """What the challenger is compared with: a `model`, on `rows` (mask of the training set, all held out).

    `problem` says why the model cannot be asked. `seen`: the model may have been trained on the rows, in a
    snapshot for the reason `no_copy`. `left_out` counts the hold-out rows that a copy was fit on, and is None
    where no copy is compared. `own_features`: the model predicts from others than the challenger.
    """

    model: Any = field(repr=False)
    rows: NDArray[np.bool_] = field(repr=False)
    problem: str | None = None
    seen: bool = False
    no_copy: str | None = None
    left_out: int | None = None
    own_features: bool = False

    def facts(self) -> dict[str, Any]:
        """What `in_verdict` and `on_card` need, as JSON values."""
        return {name: getattr(self, name) for name in ("seen", "no_copy", "left_out", "own_features")}


def compared(spec: Spec, training_set: TrainingSet, champion: Champion) -> Compared:
    """The model that stands for the champion, and the rows of the hold-out that it was not trained on.

    With time these are the partitions from its own `as_of` on. Where there are none, all of the hold-out is
    taken, which it may have seen. In a snapshot they are the rows that its copy was not fit on; without a
    copy, or with one whose rows have other names, all of the hold-out.
    """
    found = _compared(spec, training_set, champion)
    return replace(found, own_features=champion.features is not None)


def _compared(spec: Spec, training_set: TrainingSet, champion: Champion) -> Compared:
    held = training_set.holdout
    if not spec.calendar.has_time:
        return _of_copy(spec, training_set, champion)
    # Where labels come later, its training knew no labels of the last partitions before its as-of.
    unseen = champion.as_of
    if spec.labels:
        unseen = spec.calendar.shift(newest_trained(spec, champion.as_of), 1)
    newer = held & (training_set.rows[PARTITION] >= unseen).to_numpy()
    rows, seen = (newer, False) if newer.any() else (held, True)
    return Compared(champion.model, rows, champion.problem, seen)


def in_verdict(champion: Mapping[str, Any]) -> str:
    """What a verdict says right after the number of compared rows, with a comma or semicolon before it."""
    return _rows_in_verdict(champion) + ("; each from its own features" if _other(champion) else "")


def _rows_in_verdict(champion: Mapping[str, Any]) -> str:
    if champion.get("seen"):
        why = champion.get("no_copy")
        remedy = f": {why}, so promote a challenger by hand once" if why else ""
        return f", which the champion was perhaps trained on{remedy}"
    if (left_out := champion.get("left_out")) is None:
        return ""
    but = f", and {_rows(left_out)} that it was fit on left out" if left_out else ""
    return f"; the champion's copy that was fit without a hold-out is compared{but}"


def on_card(champion: Mapping[str, Any]) -> str | None:
    """Sentences for the card; None where nothing is to be said."""
    if champion.get("problem"):
        return None
    own = "The champion predicts from the features that it was trained on." if _other(champion) else None
    return " ".join(filter(None, [_rows_on_card(champion), own])) or None


def _other(champion: Mapping[str, Any]) -> bool:
    return bool(champion.get("own_features"))


def _rows_on_card(champion: Mapping[str, Any]) -> str | None:
    if champion.get("seen"):
        why = champion.get("no_copy")
        because = f" ({why})" if why else ""
        what = "The champion may have been trained on rows it is compared on"
        return f"{what}{because}, which makes it look better."
    if (left_out := champion.get("left_out")) is None:
        return None
    but = f" {_rows(left_out)} of the hold-out that this copy was fit on are left out." if left_out else ""
    return (
        "What is compared is the champion's copy that was fit without a hold-out, not the model in force, "
        f"which was fit on all rows of its training.{but}"
    )


def _of_copy(spec: Spec, training_set: TrainingSet, champion: Champion) -> Compared:
    held, copy = training_set.holdout, champion.copy
    if champion.problem is not None:
        return Compared(None, held, champion.problem)
    if copy is None:
        return Compared(champion.model, held, seen=True, no_copy="it has no copy that was fit without them")
    units = Units.of(spec, training_set.rows)
    if units.columns != copy.fit_on.columns:
        why = f"the rows of its copy are named by {_named(copy.fit_on)}, those of today by {_named(units)}"
        return Compared(champion.model, held, seen=True, no_copy=why)
    unseen = held & ~units.among(copy.fit_on)
    count, left = int(held.sum()), int(unseen.sum())
    if 2 * left < count and left < _ENOUGH:
        problem = (
            f"its copy without a hold-out was fit on {count - left:,} of the {count:,} hold-out rows, and "
            f"{left:,} are too few: set training.seed and training.holdout as they were for it"
        )
        return Compared(None, held, problem, left_out=count - left)
    return Compared(copy.model, unseen, left_out=count - left)


def _named(units: Units) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in units.columns.items())


def _rows(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")
