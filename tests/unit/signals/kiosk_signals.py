"""Descriptions with few signals, and what these find in records of the kiosk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evergreen.monitoring.policy import findings
from evergreen.signals import Finding
from evergreen.signals.bias import Bias
from evergreen.signals.drift import Drift
from evergreen.signals.performance import Cusum, Performance
from evergreen.signals.record import Record
from evergreen.signals.staleness import Staleness
from evergreen.spec import Monitoring, Retrain, Spec, parse_spec
from evergreen.units import Times
from tests.unit.monitoring.kiosk_records import KIOSK

IRIS = parse_spec(Path(__file__).parents[3] / "include" / "pipelines" / "iris" / "pipeline.yaml")
TWO_OF_THREE = Times(2, 3)


def described(
    *on: str, over: int = 3, tolerance: float = 0.25, when: Times = TWO_OF_THREE, of: Spec = KIOSK
) -> Spec:
    monitoring = Monitoring(
        performance=Performance(tolerance=tolerance, over=over, cusum=Cusum(k=0.5, h=4)),
        drift=Drift(share=0.5),
        bias=Bias(k=0.02, h=0.5, unseen=0.2),
        staleness=Staleness(unseen=0.5),
        retrain=Retrain(on=on, when=when),
    )
    return of.model_copy(update={"monitoring": monitoring})


def metric(spec: Spec, name: str) -> Spec:
    return spec.model_copy(update={"training": spec.training.model_copy(update={"metric": name})})


def the(spec: Spec, records: list[Record]) -> Finding:
    (signal,) = findings(spec, [replace(one, metric=spec.training.metric) for one in records]).values()
    return signal


def said(spec: Spec, records: list[Record]) -> tuple[bool, str]:
    signal = the(spec, records)
    assert signal.to_dict() == {"fires": signal.fires, "clause": signal.clause, **signal.figures}
    return signal.fires, signal.clause
