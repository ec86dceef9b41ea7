"""What is monitored in every scored partition, and when a training is requested."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from evergreen.description import Described
from evergreen.signals import SIGNALS, Watched
from evergreen.units import AnyLength, Frequency, RetrainBudget, Share, SomeLength, Times, Tolerance


def _signal(name: str) -> str:
    if name not in SIGNALS:
        *others, last = map(repr, SIGNALS)
        raise ValueError(f"must be {', '.join(others)} or {last}")
    return name


SignalName = Annotated[str, AfterValidator(_signal)]


class Health(Described):
    """Limits of further alerts.

    `volume`: how far the number of rows may be from the usual number. `quarantined`: the largest share of
    rows in quarantine. `missing`: the longest stretch without data (default by grain). `age`: the oldest
    champion.
    """

    volume: Tolerance = 0.5
    quarantined: Share = 0.05
    missing: AnyLength | None = None
    age: AnyLength | None = None


class Retrain(Described):
    """Which signals count, and the limits on how often they may start a training.

    Without `on` the signals follow from the pipeline: see `Spec.signals`. A signal of single partitions
    fires when it holds in `when` of the last partitions, including the newest. After `refusals` challengers
    in a row that were worse the circuit breaker opens: no training is started, except one after `half_open`
    or once the error has grown. A promotion closes it. The default of `cooldown` is a tenth of the training
    window (`Spec.cooldown`), the others follow from the grain (`evergreen.calendar.defaults`).
    """

    on: tuple[SignalName, ...] | None = None
    when: Frequency = Times(2, 3)
    cooldown: AnyLength | None = None
    budget: RetrainBudget | None = None
    refusals: int = Field(default=3, ge=1)
    half_open: SomeLength | None = None


class Monitoring(Watched):
    """What is monitored in every scored partition, and the policy that decides on a retraining.

    The settings of each signal are under its name (see `evergreen.signals`); `PERFORMANCE.of(monitoring)`
    returns those of one signal. `metrics` are further ones to measure every night by, beside the training
    metric; no signal looks at them.
    """

    metrics: tuple[str, ...] = ()
    health: Health = Health()
    retrain: Retrain = Retrain()
