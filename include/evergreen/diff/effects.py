"""What a change of each key of a description touches: one entry a key, which covers the keys below it.

Below a key with `alone` each key needs an entry of its own; a test asks for the entry of every key there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from evergreen.signals import SIGNALS
from evergreen.stages import INGEST, MAINTAIN, MONITOR, NIGHTLY, SCORE, STAGES, TRAIN, WATCH, Stage


@dataclass(frozen=True)
class Effect:
    """What a change touches, in words, and the `stages` whose DAGs do something else by it.

    - `version`: whether the next training makes a version with another id.
    - `partitions`: whether those ingested from now on are `read` or `judged` otherwise than published ones,
      or rows are `cut` into others.
    - `alone`: whether keys below need entries of their own.
    """

    words: str
    stages: tuple[Stage, ...] = ()
    version: bool = False
    partitions: Literal["read", "judged", "cut"] | None = None
    alone: bool = False


def effect_of(names: tuple[str, ...]) -> Effect:
    """The effect of the key at these names, such as `gate`, `limits`, `mae`, `max`.

    An entry of a list has the name of the list. Raises `KeyError` for a key that no entry covers.
    """
    for length in range(len(names), 0, -1):
        if (found := _of(names[:length])) is not None:
            if found.alone and length < len(names):
                break
            return found
    raise KeyError(".".join(names))


_ROWS = (SCORE, MONITOR, TRAIN)
_KNOWN = (INGEST, MONITOR, TRAIN)
_TOLD = (*NIGHTLY, TRAIN)

_EFFECTS = {
    "name": Effect("its name, by which all that is stored is found", STAGES),
    "description": Effect("what people read; nothing runs otherwise"),
    "owner": Effect("the owner of its DAGs in Airflow; nothing runs otherwise"),
    "schedule": Effect("when partitions are ingested; they are the same ones", (INGEST,)),
    "start": Effect("the first partition that is ingested; what is published stays", (INGEST,)),
    "partition": Effect("which rows are of one partition", STAGES, version=True, partitions="cut"),
    "timezone": Effect(
        "which rows are of one partition, and when ticks are", STAGES, version=True, partitions="cut"
    ),
    "week_starts": Effect("which rows are of one week", STAGES, version=True, partitions="cut"),
    "sources": Effect("which rows are read, and how", (INGEST,), partitions="read"),
    "sources.*.*.time_column": Effect("when a row happened", (INGEST,), version=True, partitions="read"),
    "sources.*.*.timeout": Effect("how long a source may take", (INGEST,)),
    "sources.*.*.changed": Effect("which earlier partitions are ingested again as rows change", (INGEST,)),
    "sources.*.complete": Effect("how long is waited for the source", (INGEST,)),
    "join": Effect("which rows of the sources belong together", (INGEST,), partitions="read"),
    "key": Effect(
        "what names a row: it must be present and unique, and is no feature",
        STAGES[:4],
        version=True,
        partitions="read",
    ),
    "validation.suite": Effect("which expectations partitions must meet", (INGEST,), partitions="judged"),
    "validation.max_quarantined": Effect(
        "with how many rows in quarantine a partition is refused", (INGEST,), partitions="judged"
    ),
    "validation.schema_change": Effect(
        "what is done when columns of a source change", (INGEST,), partitions="judged"
    ),
    "features": Effect("what models predict from", _ROWS, version=True),
    "task": Effect("what kind of model is trained", _ROWS, version=True),
    "target": Effect("what is predicted", _ROWS, version=True),
    "positive": Effect("which of two classes probabilities and rates are of", _ROWS, version=True),
    "labels": Effect("whether labels come later than their rows", _KNOWN, version=True, alone=True),
    "labels.source": Effect("which labels are read, and how", (INGEST,)),
    "labels.delay": Effect("when labels are read, and which are known to a training", _KNOWN, version=True),
    "training.window": Effect("which rows a training reads", (TRAIN,), version=True),
    "training.sample": Effect("how many of those rows are drawn", (TRAIN,), version=True),
    "training.minimum": Effect("from how many partitions on is trained", (TRAIN,), version=True),
    "training.holdout": Effect("which rows challengers are measured on", (TRAIN,), version=True),
    "training.metric": Effect("what models are compared and monitored by", (MONITOR, TRAIN), version=True),
    "training.candidates": Effect("which models are tried", (TRAIN,), version=True),
    "training.tuning": Effect("how parameters are searched", (TRAIN,), version=True),
    "training.weight": Effect("how much each row counts; it is no feature", (TRAIN,), version=True),
    "training.balance": Effect("how much each class counts", (TRAIN,), version=True),
    "training.recency": Effect("how much older rows count", (TRAIN,), version=True),
    "training.calibrate": Effect("which probabilities are predicted", (TRAIN,), version=True),
    "training.decision": Effect("from which probability on a row is positive", (TRAIN,), version=True),
    "training.seed": Effect("everything random in a training", (TRAIN,), version=True),
    "training.schedule": Effect("when trainings start regardless of signals", (TRAIN,)),
    "gate.limits": Effect("which challengers are refused", (TRAIN,), version=True),
    "gate.champion": Effect(
        "how a challenger is compared with the champion, on trial too", (MONITOR, TRAIN), version=True
    ),
    "gate.slices": Effect("on which parts of the rows no challenger may lose", (TRAIN,), version=True),
    "gate.fairness": Effect("how far groups may differ", (MONITOR, TRAIN), version=True),
    "gate.calibration": Effect("how well probabilities must be calibrated", (TRAIN,), version=True),
    "gate.resources": Effect("how slow and large a model may be", (TRAIN,), version=True),
    "gate.approval": Effect("whether a person is asked before a promotion", (TRAIN,), version=True),
    "gate.shadow": Effect("how long a challenger is asked as a shadow first", (MONITOR, TRAIN), version=True),
    "monitoring.metrics": Effect("what else each night is measured by", (MONITOR,)),
    "monitoring.health": Effect("which nights are alerted of", (MONITOR,)),
    "monitoring.retrain": Effect("which signals ask for a training, and how often one may start", (MONITOR,)),
    "scoring": Effect("into which table predictions are written", (SCORE,)),
    "serving.look_back": Effect("where servers find the rows before a request's", (INGEST,)),
    "serving.log": Effect("what servers log of requests, and how that is compared", (MONITOR,)),
    "serving.shadow": Effect("whether servers ask the newest challenger beside the champion", (MONITOR,)),
    "explain": Effect("how many features explain each prediction", (SCORE, TRAIN), version=True),
    "intervals": Effect("which intervals predictions get", _ROWS, version=True, alone=True),
    "intervals.levels": Effect("how often intervals hold the truth", _ROWS, version=True),
    "intervals.adapt": Effect("whether intervals adapt between trainings", (SCORE,)),
    "sets": Effect("how often sets of classes hold the true one", _ROWS, version=True),
    "models.signing": Effect("which keys versions are signed and checked with", _ROWS),
    "models.require_signature": Effect("whether unsigned versions are refused", _ROWS),
    "models.retention": Effect("when old versions are deleted", (TRAIN,)),
    "mlflow": Effect("where versions are shown in MLflow", (TRAIN,)),
    "alerts.to": Effect("who is told", _TOLD),
    "alerts.deadline": Effect("by when a night must be finished", (WATCH,)),
    "alerts.limits": Effect("how long stages may take without an alert", _TOLD),
    "reports": Effect("who is sent the report of a night", (MONITOR,)),
    "maintenance": Effect("how long pages and notes of runs are kept", (MAINTAIN,)),
}


@cache
def _entries() -> Mapping[tuple[str, ...], Effect]:
    signals = {
        f"monitoring.{one.name}": Effect(f"when the signal '{one.name}' holds", (MONITOR,))
        for one in SIGNALS.values()
        if one.knobs is not None
    }
    return {tuple(key.split(".")): effect for key, effect in {**signals, **_EFFECTS}.items()}


def _of(names: tuple[str, ...]) -> Effect | None:
    """The entry of exactly this key, one without `*` before one with."""
    entries = _entries()
    return entries.get(names) or next(
        (effect for key, effect in entries.items() if "*" in key and _fits(key, names)), None
    )


def _fits(key: tuple[str, ...], names: tuple[str, ...]) -> bool:
    return len(key) == len(names) and all(one in ("*", name) for one, name in zip(key, names, strict=True))
