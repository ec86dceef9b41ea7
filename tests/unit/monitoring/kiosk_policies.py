"""Policies of the kiosk, its trainings by the numbers of days, and histories that are decided day by day."""

from __future__ import annotations

from hypothesis import strategies as st

from evergreen.calendar import Length
from evergreen.monitoring.policy import decide
from evergreen.monitoring.record import Decision
from evergreen.monitoring.trainings import Training
from evergreen.signals.drift import Drift
from evergreen.signals.performance import Cusum, Performance
from evergreen.signals.record import Record
from evergreen.signals.staleness import Staleness
from evergreen.spec import Labels, Monitoring, Retrain, Spec
from evergreen.units import Budget, Times
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK, record

FREE, TWO_OF_THREE = Budget(1000, Length(1)), Times(2, 3)


def policy(
    on: tuple[str, ...] = ("performance",),
    over: int | Length = 3,
    tolerance: float = 0.5,
    cooldown: int | Length = 0,
    budget: Budget = FREE,
    refusals: int = 1000,
    half_open: int | None = None,
    delay: int = 0,
    of: Spec = KIOSK,
) -> Spec:
    monitoring = Monitoring(
        performance=Performance(tolerance=tolerance, over=over, cusum=Cusum(k=0.5, h=4)),
        drift=Drift(share=0.5),
        staleness=Staleness(unseen=0.5),
        retrain=Retrain(
            on=on,
            when=TWO_OF_THREE,
            cooldown=cooldown,
            budget=budget,
            refusals=refusals,
            half_open=half_open,
        ),
    )
    labels = Labels(source=KIOSK.sources["sales"], delay=delay) if delay else None
    return of.model_copy(update={"monitoring": monitoring, "labels": labels})


def day(number: int) -> str:
    return DAYS[number]


def promoted(*numbers: int) -> list[Training]:
    return [Training(day(number), "promoted") for number in numbers]


def worse(*numbers: int) -> list[Training]:
    return [Training(day(number), "worse") for number in numbers]


nights = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(0, 40)), st.sampled_from((0.0, 0.4, 0.6)), st.booleans()),
    min_size=1,
    max_size=60,
)
rules = st.builds(
    policy,
    on=st.sampled_from((("performance", "staleness"), ("performance", "cusum", "drift"), ("drift",))),
    over=st.integers(0, 5),
    cooldown=st.integers(0, 9),
    budget=st.builds(Budget, st.integers(0, 4), st.builds(Length, st.integers(1, 25))),
    refusals=st.integers(1, 5),
    half_open=st.sampled_from((None, 5, 1000)),
    delay=st.sampled_from((0, 0, 3)),
)
Night = tuple[float | None, float, bool]


def replay(
    spec: Spec, history: list[Night], first: str = "promoted"
) -> tuple[list[Decision], list[Training]]:
    """Decide day by day; each day says its error, its drift, and whether a training after it is promoted."""
    records: list[Record] = []
    trainings, version, decisions = [Training(day(0), first)], "v0", []
    for number, (error, share, accepted) in enumerate(history):
        records.append(record(number, error, version=version, drifted_share=share))
        decisions.append(decide(spec, records, trainings))
        if decisions[-1].retrain:
            trainings.append(Training(day(number + 1), "promoted" if accepted else "worse"))
            version = f"v{number + 1}" if accepted else version
    return decisions, trainings
