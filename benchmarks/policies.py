"""The default policy on every history of the suite, against fixed schedules: does it beat the calendar?"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figure import Figure
from benchmarks.histories import HISTORIES
from benchmarks.histories.history import History
from benchmarks.histories.outcome import DEFAULT, NEVER, Outcome, Run
from benchmarks.histories.page import image, page
from benchmarks.histories.verdict import Line, verdict
from deploy.embedded.home import Home
from evergreen.backtest.policies import CONFIGURED, overlaid, parse_policy
from evergreen.backtest.result import PolicyResult
from evergreen.numbers import number
from evergreen.signals.window import pooled
from evergreen.spec import Gate, Monitoring, Spec
from evergreen.training_set.digest import data_digest, own_code

AFTER = 10  # partitions from a break on
WORKERS = int(os.environ.get("WORKERS") or 2)
CODE = (
    *("backtest", "calendar", "candidates", "drift", "evaluation", "features", "labels", "metrics"),
    *("monitoring", "registry", "scoring", "signals", "spec", "task", "training_set", "units"),
)
"""All code of Evergreen that bears on a replay."""


def measure() -> list[Figure]:
    """The figures of the list "Must hold" over all histories; prints a table, and saves a page of curves."""
    outcomes = run_suite([*HISTORIES.values()])
    lines = verdict(outcomes)
    show(outcomes, lines)
    save(outcomes, lines)
    return [line.figure for line in lines]


def folder() -> Path:
    """Where results and trained models are kept, so that an interrupted run goes on."""
    return Home.from_environment().root / "policies"


def run_suite(histories: Sequence[History], changes: Mapping[str, Any] | None = None) -> list[Outcome]:
    """The outcomes of the histories that are there, in their order, by up to `WORKERS` processes.

    `changes` are differences of `gate` and `monitoring` to the defaults. Results of the same history,
    description and code are not computed again.
    """
    there = []
    for history in histories:
        if (why := history.missing()) is None:
            there.append(history)
        else:
            print(f"  left out: {history.name}: {why}", flush=True)
    found: dict[str, Outcome] = {}
    # The longest first, so that no process is left with it at the end.
    ordered = sorted(there, key=lambda one: -one.partitions)
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        running = [pool.submit(outcome_of, history.name, changes, folder()) for history in ordered]
        for done in as_completed(running):
            one = done.result()
            found[one.history] = one
            print(f"  {one.sentence}", flush=True)
    return [found[history.name] for history in there]


def outcome_of(name: str, changes: Mapping[str, Any] | None, root: Path) -> Outcome:
    """The outcome of one history of the suite, kept below the folder `root`."""
    history = HISTORIES[name]
    rows = history.rows()
    spec = changed(history.spec, changes or {})
    parts = [
        spec.model_dump_json(),
        hashlib.sha256((spec.folder / f"{name}.py").read_bytes()).hexdigest(),
        data_digest(rows),
        own_code(*CODE),
    ]
    kept = root / name / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}.json"
    if not kept.is_file():
        outcome = replayed(history, spec, rows, root / name / "trainings")
        kept.parent.mkdir(parents=True, exist_ok=True)
        half = kept.with_suffix(".half")
        half.write_text(json.dumps(outcome.to_dict(), indent=1))
        half.replace(kept)
    return Outcome.from_dict(json.loads(kept.read_text()))


def changed(spec: Spec, changes: Mapping[str, Any]) -> Spec:
    """The description with differences of `gate` and `monitoring`, checked as a whole."""
    parts = {key: getattr(spec, key) for key in Spec.model_fields}
    for key, kind in (("gate", Gate), ("monitoring", Monitoring)):
        if key in changes:
            parts[key] = overlaid(getattr(spec, key), kind.model_validate(changes[key]))
    return Spec.model_validate(parts)


def replayed(history: History, spec: Spec, rows: Any, root: Path | None) -> Outcome:
    """The default policy, `never` and the fixed schedules of a history, replayed in this process."""
    from evergreen.backtest.run import run_policies

    names = [CONFIGURED, NEVER, *(f"every {step}" for step in history.schedules())]
    keys = history.keys
    results = run_policies(
        spec, rows, [parse_policy(name) for name in names], keys[0], keys[-1], workers=1, root=root
    )
    return Outcome(
        history=history.name,
        stands_for=history.stands_for,
        drift=history.drift,
        metric=spec.metric.name,
        years=history.years,
        runs=tuple(_run(history, result) for result in results),
    )


def _run(history: History, result: PolicyResult) -> Run:
    assert result.value is not None, f"{history.name}: {result.policy} scored nothing"
    after = {}
    for key in history.breaks:
        place = history.keys.index(key)
        wanted = set(history.keys[place : place + AFTER])
        found = pooled(history.spec.metric, (one for one in result.records if one.partition in wanted))
        assert found is not None, f"{history.name}: {result.policy} scored nothing after {key}"
        after[key] = found
    return Run(
        DEFAULT if result.policy == CONFIGURED else result.policy,
        value=result.value,
        trainings=result.trainings,
        promotions=result.promotions,
        halted=result.halted_words,
        reasons=tuple(event.reason for event in result.events if result.policy == CONFIGURED),
        after=after,
    )


def show(outcomes: Sequence[Outcome], lines: Sequence[Line]) -> None:
    """Print the table of the outcomes, and the verdict."""
    table = Table(*COLUMNS)
    for outcome in outcomes:
        table.add_row(*cells(outcome))
    console = Console(width=180)
    console.print(table)
    for line in lines:
        console.print(f"  {'holds' if line.holds else 'FAILS'}  {line.says}", highlight=False)


def save(outcomes: Sequence[Outcome], lines: Sequence[Line]) -> None:
    """Save the page and its image, and print where they are."""
    root = folder()
    root.mkdir(parents=True, exist_ok=True)
    whole = page(outcomes, lines, COLUMNS, [cells(outcome) for outcome in outcomes])
    (root / "policies.html").write_text(whole, encoding="utf-8")
    (root / "policies.svg").write_text(image(outcomes), encoding="utf-8")
    print(f"  page: {root / 'policies.html'}, image: {root / 'policies.svg'}", flush=True)


COLUMNS = (
    *("history", "metric", "default", "never", "best schedule", "curve", "to the curve", "to never"),
    *("trainings", "halted", "after breaks"),
)


def cells(outcome: Outcome) -> list[str]:
    """One row of the table."""
    own, never, best = outcome.default, outcome.never, outcome.best
    after = ", ".join(f"{100 * share:+.0f}%" for share in outcome.after_breaks.values())
    return [
        outcome.history,
        outcome.metric,
        number(own.value),
        number(never.value),
        f"{number(best.value)} ({best.policy}, {best.trainings})",
        number(outcome.curve),
        _signed(outcome.above_curve),
        _signed(outcome.above_never),
        f"{own.trainings} ({own.promotions} promoted)",
        own.halted,
        after,
    ]


def _signed(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:+.1f}%"
