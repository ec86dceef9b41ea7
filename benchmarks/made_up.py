"""A made-up history of a pipeline, as long as asked: nights with their records, and versions with theirs.

Nothing is trained or measured. What is stored has the form and about the size of what a real pipeline stores.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from evergreen.registry.history import Event, Force, Kind
from evergreen.stages import INGEST, SCORE, TRAIN

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.signals.record import Record

FEATURES = (
    "hour",
    "weekday",
    "temperature",
    "humidity",
    "wind",
    "condition",
    "holiday",
    "lag_day",
    "lag_week",
)
CONDITIONS = ("clear", "cloud", "rain", "snow")
_WRITERS = 8


def write_history(pipeline: Pipeline, nights: int, versions: int) -> list[str]:
    """Store so many nights, the last `nights` partitions of which are monitored, and so many versions.

    A fifth of the versions was promoted in its turn. Returns the partitions' keys.
    """
    calendar, first = pipeline.spec.calendar, pipeline.spec.first_partition
    keys = [calendar.shift(first, number) for number in range(nights)]
    events = list(_events(keys, versions))
    _write_versions(pipeline, events)
    _write_nights(pipeline, keys, events)
    return keys


def _events(keys: Sequence[str], versions: int) -> Iterator[Event]:
    """Versions spread evenly over the nights; every fifth is promoted, the others are refused."""
    champion = None
    for number in range(versions):
        as_of = keys[number * len(keys) // versions]
        version = f"{as_of}-{random.Random(number).getrandbits(48):012x}"  # noqa: S311 - made up
        promoted = number % 5 == 0
        said: dict[str, Any] = {"kind": "monitoring", "sentence": f"{as_of}: the error left its promise"}
        if not promoted:
            said |= {"verdict": "worse", "gate": "worse: mae 33.1 is worse than the champion's 30.2"}
        yield Event(
            number + 1,
            Kind.PROMOTED if promoted else Kind.REFUSED,
            version,
            as_of,
            champion,
            said,
            f"{as_of}T03:10:00+00:00",
            "airflow bike_demand_train",
        )
        champion = version if promoted else champion


def _write_versions(pipeline: Pipeline, events: Sequence[Event]) -> None:
    from evergreen.registry.chapters import Chapters
    from evergreen.registry.event_log import POINTER, event_key

    storage, force = pipeline.storage.child(pipeline.name), Force()
    for event in events:
        force = force.after(event)

    def write(event: Event) -> None:
        pipeline.registry.commit(event.version, _files(event))
        storage.stage(event_key(event.seq), event.to_json())

    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(write, events))
    storage.stage(POINTER, force.to_json())
    Chapters(storage, pipeline.name).write(events)


def _files(event: Event) -> dict[str, bytes]:
    from evergreen.evaluation.bootstrap import Interval
    from evergreen.evaluation.evaluate import Evaluation
    from evergreen.evaluation.verdict import Check, Outcome, Verdict

    chance = random.Random(event.seq)  # noqa: S311 - made up
    mae = 28 + chance.random() * 8
    measured = {"mae": mae, "rmse": mae * 1.5, "r2": 0.9 - mae / 200}
    champion = {"version": event.replaces, "metrics": {"mae": 31.0, "rmse": 46.0, "r2": 0.74}}
    evaluation = Evaluation(
        metric="mae",
        challenger=measured,
        baseline={"mae": 121.0, "rmse": 180.0, "r2": 0.0},
        champion=champion if event.replaces else None,
        challenger_on_champion_rows=measured if event.replaces else None,
        rows=168,
        compared_rows=168,
        intervals={name: Interval(value * 0.9, value * 1.1) for name, value in measured.items()},
    )
    promoted = event.kind is Kind.PROMOTED
    checks = (
        Check("mae", True, f"mae {mae:.3g} is at most 120"),
        Check("champion", promoted, f"mae {mae:.3g} {'is within' if promoted else 'is beyond'} the margin"),
    )
    verdict = Verdict(Outcome.PROMOTED if promoted else Outcome.WORSE, checks)
    lineage = {
        "version": event.version,
        "as_of": event.as_of,
        "window": {"first": "2010-01-01", "last": event.as_of, "partitions": 365, "rows": 8_760},
        "reason": event.reason,
        "candidate": {"estimator": "sklearn.linear_model.Ridge", "params": {"alpha": chance.random()}},
        "trials": [],
        "digests": {"rows": "aa", "description": "bb", "code": "cc"},
        "table_versions": {"partitions": event.seq},
        "packages": {"scikit-learn": "1.9.0"},
        "git_commit": None,
    }
    card = (
        f"<!doctype html><html><head><style></style></head><body><main><h1>{event.version}</h1></main></body>"
    )
    return {
        "metrics.json": json.dumps({**measured, "evaluation": evaluation.to_dict()}).encode(),
        "gate.json": json.dumps(verdict.to_dict()).encode(),
        "lineage.json": json.dumps(lineage).encode(),
        "card.html": card.encode(),
    }


def _write_nights(pipeline: Pipeline, keys: Sequence[str], events: Sequence[Event]) -> None:
    import pyarrow as pa

    from evergreen.lake import Table
    from evergreen.monitoring.record import SCHEMA, Decision, to_table
    from evergreen.rows.partition_file import file_of
    from evergreen.validation.quarantine import QUARANTINE

    plain = pa.schema([("rented_at", pa.timestamp("us", "UTC")), ("cnt", pa.int64())])

    published, monitored, aside = {}, {}, {}
    for number, key in enumerate(keys):
        out = number % 9 == 0
        rows = pa.table({"rented_at": [None], "cnt": [number]}, schema=plain)
        published[key] = file_of(rows, {"rows": 24, "quarantined": 2 if out else 0})
        record = record_of(number, key, _champion(events, key))
        retrain = number % 30 == 29
        reason = (
            f"a training is asked for: the error of {record.error:.3g} left its promise"
            if retrain
            else "no retraining: all signals are quiet"
        )
        monitored[key] = file_of(to_table(record, Decision(key, retrain, reason, _evidence(retrain))))
        if out:
            broken = {
                "row": ['{"temperature": 99.0}', '{"humidity": -1.0}'],
                "expectation": ["temperature between", "humidity between"],
                "reason": ["temperature 99.0 is above 45", "humidity -1.0 is below 0"],
                "place": ["", ""],
            }
            aside[key] = file_of(pa.table(broken, schema=QUARANTINE))
    pipeline.lake.commit(Table.PARTITIONS, published, plain)
    pipeline.lake.commit(Table.MONITORING, monitored, SCHEMA)
    pipeline.lake.commit(Table.QUARANTINE, aside, QUARANTINE)


def _champion(events: Sequence[Event], key: str) -> str:
    promoted = [event.version for event in events if event.kind is Kind.PROMOTED and event.as_of <= key]
    return promoted[-1]


def record_of(number: int, key: str, version: str) -> Record:
    """The record of a night: the error swings with the seasons, and three features drift now and then."""
    from evergreen.signals.record import Record

    chance = random.Random(number)  # noqa: S311 - made up
    error = 31 + 6 * math.sin(number / 40) + chance.gauss(0, 2)
    drifted = [name for name in FEATURES if chance.random() < (0.3 if name in FEATURES[2:5] else 0.02)]
    drift = {
        name: {
            "psi": chance.random() * (0.6 if name in drifted else 0.1),
            "ks": chance.random() * 0.2,
            "p": chance.random(),
            "test": "ks",
            "rows": 24.0,
            "reference_rows": 500.0,
            "drifted": name in drifted,
            "why": ["distribution"] if name in drifted else [],
        }
        for name in FEATURES
    }
    return Record(
        partition=key,
        version=version,
        rows=24,
        labelled=24,
        metric="mae",
        error=error,
        promised=30.0,
        level=190.0,
        promised_level=180.0,
        drifted_share=len(drifted) / len(FEATURES),
        drift=drift,
        age=number % 60,
        history=number,
        bias=chance.gauss(0, 3),
        metrics={"mae": {"value": error, "promised": 30.0, "pooled": 31 + 6 * math.sin(number / 40)}},
        window={"first": key, "partitions": 7, "rows": 168},
        slices={
            f"condition={name}": {
                "rows": 6,
                "error": error + at * 3,
                "pooled": error + at * 2,
                "promised": 30.0,
            }
            for at, name in enumerate(CONDITIONS)
        },
        counts={name: [chance.randrange(12) for _ in range(20)] for name in FEATURES},
        health={
            "rows": 24,
            "usual_rows": 24.0,
            "quarantined": 0.0,
            "missing": 0,
            "age": number % 60,
            "seconds": {INGEST.name: 3.1 + chance.random(), SCORE.name: 1.1, TRAIN.name: 61.0},
            "ms_per_1000_rows": 40.0,
            "golden": None,
        },
    )


def _evidence(retrain: bool) -> dict[str, Any]:
    names = ("performance", "cusum", "drift", "bias", "staleness", "coverage")
    return {
        "signals": {
            name: {"fires": retrain and name == "performance", "clause": f"what {name} found, in words"}
            for name in names
        }
    }
