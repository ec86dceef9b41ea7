"""The backtest as a command: retraining policies, compared on a range of history."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.cli.command import Answer, PipelineName, open_pipeline, progress, register, table
from evergreen.cli.stages import partitions
from evergreen.environment import home
from evergreen.numbers import number, percent

if TYPE_CHECKING:
    from rich.console import RenderableType

    from evergreen.backtest.policies import Policy
    from evergreen.backtest.result import PolicyResult
    from evergreen.backtest.tune import Tuned
    from evergreen.pipeline import Pipeline

First = Annotated[str, typer.Option("--from", metavar="KEY", help="the first partition")]
Last = Annotated[str, typer.Option("--to", metavar="KEY", help="the last partition")]
Named = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="NAME",
        help="configured, never, or 'every N' partitions; may be repeated "
        "[default: configured, never, 'every 7']",
    ),
]
Variants = Annotated[
    Path | None,
    typer.Option("--variants", metavar="FILE", help="YAML: names, and for each its changes in monitoring"),
]
DriftAt = Annotated[
    list[str] | None,
    typer.Option(
        "--drift-at",
        metavar="KEY",
        help="a partition at which the data is known to change; may be repeated; false alarms and delays are "
        "then counted",
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="PATH", help="where to save the page; default: EVERGREEN_HOME/backtest/reports"
    ),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="clear the cache of earlier runs")]
Tune = Annotated[
    bool,
    typer.Option("--tune", help="search the policy's settings, and say what they are worth out of sample"),
]
TuneTo = Annotated[
    str | None,
    typer.Option("--tune-to", metavar="KEY", help="the last partition of the first part; default: half"),
]
Trials = Annotated[int, typer.Option("--trials", min=1, help="how many settings are tried")]
MostTrainings = Annotated[
    float | None,
    typer.Option(
        "--max-trainings", min=0.1, help="the most trainings a year for a setting; default: the budget's"
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(
        app,
        "backtest",
        "backtest bike_demand --from 2011-05-01 --to 2011-08-31",
        "backtest bike_demand --from 2011-05-01 --to 2011-08-31 --policy never --policy 'every 14'",
    )(backtest)


def backtest(
    pipeline: PipelineName,
    first: First,
    last: Last,
    *,
    policy: Named = None,
    variants: Variants = None,
    drift_at: DriftAt = None,
    report: Report = None,
    fresh: Fresh = False,
    tune: Tune = False,
    tune_to: TuneTo = None,
    trials: Trials = 40,
    max_trainings: MostTrainings = None,
) -> Answer:
    """Replay a range of history day by day under several retraining policies, and compare them.

    Partitions that are not published yet are ingested first. Trained models are cached, so an interrupted run
    resumes where it stopped. A page with the figures is saved, and its path is printed.

    With --tune the settings of the configured policy are searched. What the search is worth is measured on
    the later part of the range, cut into stretches: on each, the setting found on what lies before it is
    compared with the configured policy and fixed schedules (or those of --policy).
    """

    opened = open_pipeline(pipeline)
    keys = partitions(opened, first, last)
    for key in [*(drift_at or ()), *([tune_to] if tune_to else ())]:
        opened.spec.calendar.check(key)
    chosen = _policies(opened, policy, variants, tune)
    _ingest(opened, first, last)

    from evergreen.backtest.run import opened as workers_of

    with workers_of(opened, first, last, fresh=fresh) as workers:
        nights = workers.nights(first, last)
        if tune:
            from evergreen.backtest import tune as search

            schedules = [one for one in chosen if one.name != "configured"]
            until = tune_to or nights[(len(nights) - 1) // 2]
            totals = {"trials": (trials + 1) * search.searches(nights, until)}
            with bars(totals, len(nights) + sum(key > until for key in nights)) as done:
                tuned = search.tune(
                    workers,
                    opened.spec,
                    nights,
                    until,
                    trials=trials,
                    per_year=max_trainings,
                    schedules=schedules,
                    progress=done,
                    known=drift_at,
                )
            results = tuned.results
        else:
            tuned = None
            totals = {"trainings": len(workers.foreseen(chosen, first, last))}
            with bars(totals, len(nights)) as done:
                results = workers.replay(chosen, first, last, progress=done, known=drift_at)
    page = _saved(opened, report, keys, results, tuned)
    document = {
        "pipeline": pipeline,
        "from": first,
        "to": last,
        "policies": [result.to_dict() for result in results],
        "report": str(page),
        **({"tuned": _tuned_document(tuned)} if tuned else {}),
    }
    return Answer(document, _shown(results, tuned, page))


@contextlib.contextmanager
def bars(totals: Mapping[str, int], nights: int) -> Iterator[Callable[[str, int], None]]:
    """A progress bar on a terminal's standard error for each name, `nights` long or as in `totals`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as shown:
        tasks: dict[str, Any] = {}

        def advance(name: str, steps: int) -> None:
            if name not in tasks:
                tasks[name] = shown.add_task(name, total=totals.get(name, nights))
            shown.advance(tasks[name], steps)

        yield advance


def _policies(pipeline: Pipeline, names: list[str] | None, file: Path | None, tune: bool) -> list[Policy]:
    """The policies asked for, each once."""
    from evergreen.backtest.policies import parse_policy, read_variants
    from evergreen.backtest.run import POLICIES
    from evergreen.backtest.tune import SCHEDULES

    wanted = dict.fromkeys(names or (SCHEDULES if tune else POLICIES))
    return [*map(parse_policy, wanted), *(read_variants(pipeline.spec, file) if file else ())]


def _ingest(pipeline: Pipeline, first: str, last: str) -> None:
    from evergreen.backtest.run import ensure_published

    if pipeline.spec.calendar.has_time:
        with progress(f"ingest {pipeline.name}", None) as done:
            ensure_published(pipeline, first, last, done)


def _saved(
    pipeline: Pipeline,
    path: Path | None,
    keys: Sequence[str],
    results: Sequence[PolicyResult],
    tuned: Tuned | None,
) -> Path:
    from evergreen.backtest.report import render_backtest

    page = path or home() / "backtest" / "reports" / f"{pipeline.name}_{keys[0]}_{keys[-1]}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(render_backtest(pipeline.spec, keys[0], keys[-1], results, tuned), encoding="utf-8")
    return page.resolve()


def _tuned_document(tuned: Tuned) -> dict[str, Any]:
    from dataclasses import asdict

    from evergreen.backtest.tune import worth

    return {
        "from": tuned.first,
        "to": tuned.last,
        "allowed_trainings": tuned.allowed,
        "overrides": tuned.overrides,
        "best": tuned.best,
        "configured": tuned.configured,
        "trials": tuned.trials,
        "splits": [
            {"until": one.until, "from": one.start, "to": one.last, "overrides": one.overrides}
            for one in tuned.splits
        ],
        "worth": [asdict(one) for one in worth(tuned)],
    }


def _shown(results: Sequence[PolicyResult], tuned: Tuned | None, page: Path) -> RenderableType:
    from rich.console import Group

    from evergreen.backtest.result import further_metrics, promised_levels
    from evergreen.backtest.tradeoff import above_curve

    known = any(result.delays is not None for result in results)
    halted = any(result.halted for result in results)
    further = further_metrics(results)
    levels = promised_levels(results)
    columns = ["policy", "metric", "value", "to the curve", *further]
    columns += [f"{percent(level)} hold" for level in levels]
    columns += ["trainings", "promoted", "worse", "inconclusive"]
    columns += ["halted"] if halted else []
    columns += ["false alarms", "delays"] if known else []
    columns += ["seconds", "fit", "predict", "measure"]
    rows = []
    for result in results:
        distance = above_curve(results, result.policy)
        row = [
            result.policy,
            result.metric,
            number(result.value),
            "" if distance is None else _side(distance),
            *(number(result.metrics.get(name)) for name in further),
            *(percent(result.coverage.get(level)) for level in levels),
        ]
        row += [str(result.trainings), str(result.promotions), str(result.worse), str(result.inconclusive)]
        row += [result.halted_words] if halted else []
        row += [_count(result.false_alarms), _delays(result)] if known else []
        row += [f"{result.seconds:.1f}", f"{result.fit_seconds:.1f}"]
        row += [f"{result.predict_seconds:.1f}", f"{result.measure_seconds:.1f}"]
        rows.append(row)
    parts: list[RenderableType] = [table(columns, rows)]
    if tuned:
        parts.append(_tuning(tuned))
    return Group(*parts, f"report: {page}")


def _tuning(tuned: Tuned) -> RenderableType:
    from rich.console import Group

    from evergreen.backtest.tune import as_yaml, worth

    rows = [
        [
            one.where,
            one.policy,
            number(one.value),
            str(one.trainings),
            "" if one.distance is None else _side(one.distance),
        ]
        for one in worth(tuned)
    ]
    stretches = ", ".join(f"{one.start} to {one.last}" for one in tuned.splits)
    searched = (
        f"searched on {tuned.first} to {tuned.last} in {len(tuned.trials) - 1} trials, with at most "
        f"{tuned.allowed} trainings there; out of sample (and in the figures above): {stretches}, each with "
        "the setting found on what lies before it"
    )
    if not tuned.overrides:
        found = "nothing was better than what is configured"
    elif tuned.helps:
        found = f"\n{as_yaml(tuned.overrides)}"
    else:
        found = f"out of sample tuning did not help: keep what is configured\n\n{as_yaml(tuned.overrides)}"
    return Group(searched, table(["", "policy", "value", "trainings", "to the curve"], rows), found)


def _side(distance: float) -> str:
    return f"{percent(abs(distance))} {'worse' if distance > 0 else 'better'}"


def _count(value: int | None) -> str:
    return "" if value is None else str(value)


def _delays(result: PolicyResult) -> str:
    delays = (result.delays or {}).items()
    return ", ".join(f"{day}: {'missed' if delay is None else delay}" for day, delay in delays)
