"""The trial of an inconclusive challenger, night by night: what a record keeps of it, and where it stands.

Pure. A challenger that the gate could not decide on is not thrown away: it predicts the rows of every night
beside the champion, and the night's record keeps both models' metric of the same rows. See
`evergreen.evaluation.trial` for what they say together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.errors import one_line
from evergreen.evaluation.power import trial_in_words
from evergreen.evaluation.trial import Pair, Trial, trial
from evergreen.json_values import finite_or_none
from evergreen.metrics.measured import Measured
from evergreen.metrics.part import Part
from evergreen.monitoring.performance import labelled_rows
from evergreen.numbers import number, percent
from evergreen.scoring.predict import apply_model
from evergreen.scoring.published import published_columns
from evergreen.signals.record import Record
from evergreen.spec import Spec


@dataclass(frozen=True)
class Rival:
    """A challenger on trial: its version, and its model, fit on all rows of its window.

    `features` builds the features of the partition that it predicts from, in the order of the champion's
    (n rows); None where it predicts from the same.
    """

    version: str
    model: Any = field(repr=False)
    features: Callable[[], pd.DataFrame] | None = field(default=None, repr=False)


def compared(
    spec: Spec,
    rival: Rival,
    features: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    known: NDArray[np.bool_],
    champion: Measured,
) -> dict[str, Any]:
    """What a record keeps of a trial: the `version`, how many `rows`, and the metric of both models on them.

    `features` (n, d) and `predictions` (n rows) are the champion's of the partition, `known` (n,) says which
    rows have a label, and `champion` measures those. {} where the metric cannot be computed of the champion.
    Where it is the challenger that cannot predict these rows, `failed` says why, and its trial is over:
    nights on which a model fails must not be left out of its comparison.
    """
    other = _part(champion, spec.training.metric)
    if other is None:
        return {}
    try:
        seen = features if rival.features is None else rival.features()
        said = apply_model(spec, rival.model, seen)
        theirs = predictions.assign(**published_columns(spec, said))
        challenger = labelled_rows(spec, theirs, known, said.classes)
        own, why = _part(challenger, spec.training.metric), challenger.undefined(spec.training.metric)
    except Exception as error:  # noqa: BLE001 - whatever a model on trial trips over, monitoring goes on
        own, why = None, one_line(error)
    if own is None or (own["value"] is None and other["value"] is not None):
        return {"version": rival.version, "failed": why}
    return {"version": rival.version, "rows": len(champion), "challenger": own, "champion": other}


@dataclass(frozen=True)
class Tried:
    """Where the trial of a version stands.

    It never `promotes` by itself where a person must approve (`by_person`) or its shadow must be there too
    (`by_shadow`).

    `power` says what a gain of 5 % needs, as far as the trial has shown (`evergreen.evaluation.power`).
    """

    version: str
    trial: Trial
    by_person: bool
    power: str = ""
    by_shadow: bool = False

    @property
    def promotes(self) -> bool:
        """Whether the version is to be promoted now."""
        return self.trial.outcome == "better" and not self.by_person and not self.by_shadow

    @property
    def gain(self) -> float | None:
        """By how much it is better so far, as a share; None where that is not known."""
        return finite_or_none(self.trial.gain)

    @property
    def words(self) -> str:
        """Where it stands, in a clause."""
        found, gain = self.trial, self.gain
        share = "as good as the champion"
        if gain:
            share = f"{percent(abs(gain))} {'better' if gain > 0 else 'worse'}"
        clear = (
            f"not clear yet{self.power and f'; {self.power}'}" if found.outcome == "open" else "clearly so"
        )
        said = (
            f"challenger {self.version} on trial is {share} over {found.rows:,} rows "
            f"({number(found.challenger)} against {number(found.champion)}, {clear})"
        )
        if found.outcome == "better" and self.by_person:
            said += ": a person decides, by evergreen models promote"
        elif found.outcome == "better" and self.by_shadow:
            said += ": it takes over once its shadow has been asked enough rows"
        return said

    def to_dict(self) -> dict[str, Any]:
        """JSON values: the `version`, whether it `promotes`, and what `Trial.to_dict` gives."""
        return {"version": self.version, "promotes": self.promotes, **self.trial.to_dict()}


def tried(spec: Spec, records: Sequence[Record], version: str) -> Tried | None:
    """Where the trial of a version stands after the newest of the records.

    None before its first night, and from the night on that it could not predict. `records` are known ones,
    oldest first; those of the newest one's champion count.
    """
    champion = records[-1].version
    kept = [
        record.trial
        for record in records
        if record.version == champion and record.trial.get("version") == version
    ]
    if not kept or any("failed" in one for one in kept):
        return None
    pairs = [_pair(one) for one in kept]
    facts = spec.calendar.grain.facts
    found = trial(spec.metric, spec.gate.champion, pairs, facts.unit, facts.trial_units)
    gate, power = spec.gate, trial_in_words(spec, found)
    return Tried(version, found, gate.approval is not None, power, gate.shadow is not None)


def _part(rows: Measured, metric: str) -> dict[str, Any] | None:
    part = rows.part(metric)
    return None if part is None else {"value": part.value, "kept": part.kept}


def _pair(kept: Mapping[str, Any]) -> Pair:
    own, theirs = kept["challenger"], kept["champion"]
    return Pair(
        Part(kept["rows"], own["value"], own["kept"]), Part(kept["rows"], theirs["value"], theirs["kept"])
    )
