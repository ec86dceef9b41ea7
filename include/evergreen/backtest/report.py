"""The page of a backtest: the result of each policy, in figures and words. Self-contained, no script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.backtest import report_plots as plots
from evergreen.backtest.policies import CONFIGURED
from evergreen.backtest.result import PolicyResult, further_metrics, promised_levels
from evergreen.backtest.tradeoff import above_curve, points
from evergreen.drift import limited
from evergreen.numbers import number, percent
from evergreen.pages.templates import template
from evergreen.signals.drift import DRIFT
from evergreen.spec import Spec

if TYPE_CHECKING:
    from evergreen.backtest.tune import Tuned

_FOLDER = Path(__file__).resolve().parent


def render_backtest(
    spec: Spec, first: str, last: str, results: Sequence[PolicyResult], tuned: Tuned | None = None
) -> str:
    """The page of the policies' results on the partitions from `first` to `last`. All text is escaped."""
    from evergreen.backtest.tune import as_yaml, worth

    watched = _watched(results)
    leading = plots.leading_features(watched) if watched else []
    scored = [result for result in results if result.value is not None]
    known = sorted({day for result in results for day in result.delays or ()})
    return template(_FOLDER, "report.html.jinja").render(
        spec=spec,
        first=tuned.start if tuned else first,
        last=tuned.last if tuned else last,
        results=results,
        says=_answer(results),
        error=plots.error_over_time(results, known) if scored else None,
        smoothed=plots.SMOOTHED,
        series=plots.SERIES,
        curve=plots.tradeoff_curve(results, _colours(results)) if scored else None,
        has_curve=len({point.trainings for point in points(results)[0]}) > 1,
        watched=watched,
        halted=any(result.halted for result in results),
        further=further_metrics(results),
        levels=promised_levels(results),
        leading=leading,
        drift=_drift(spec, watched, leading) if watched and leading else [],
        rows=[_row(results, result) for result in results],
        known=known,
        told=[result for result in results if result.events],
        fixed=[point.policy for point in points(results)[0]],
        tuned=tuned,
        tuned_yaml=as_yaml(tuned.overrides) if tuned else "",
        worth=worth(tuned) if tuned else [],
        side=_side,
        number=number,
        percent=percent,
    )


def _drift(spec: Spec, watched: PolicyResult, features: Sequence[str]) -> list[dict[str, Any]]:
    """A figure of each statistic by which a feature drifted; of the first one if no feature did."""
    whys = {why for night in watched.nights for found in night.drifted.values() for why in found}
    drawn = [statistic for statistic in limited() if statistic.why in whys] or [limited()[0]]
    limits = [(statistic, DRIFT.of(spec.monitoring).limit(statistic)) for statistic in drawn]
    return [
        {
            "words": statistic.words,
            "limit": limit,
            "image": plots.drift_over_time(watched, features, statistic, limit),
        }
        for statistic, limit in limits
    ]


def _answer(results: Sequence[PolicyResult]) -> str:
    """The outcome, in a sentence or two."""
    scored = [result for result in results if result.value is not None]
    if not scored:
        return "No policy had a champion in this range: nothing was scored."
    said = []
    for result in scored:
        distance = above_curve(results, result.policy)
        if distance is not None:
            side = "worse" if distance > 0 else "better"
            said.append(
                f"{result.policy}: {result.metric} {number(result.value)} with {_trainings(result)}, "
                f"{percent(abs(distance))} {side} than fixed schedules with as many trainings."
            )
    if said:
        return " ".join(said)
    return " ".join(
        f"{result.policy}: {result.metric} {number(result.value)} with {_trainings(result)}."
        for result in scored[:3]
    )


def _trainings(result: PolicyResult) -> str:
    return f"{result.trainings} training{'' if result.trainings == 1 else 's'}"


def _row(results: Sequence[PolicyResult], result: PolicyResult) -> dict[str, Any]:
    distance = above_curve(results, result.policy)
    delays = [
        f"{day}: {'no decision' if delay is None else f'{delay} later' if delay else 'the same night'}"
        for day, delay in (result.delays or {}).items()
    ]
    return {
        "result": result,
        "side": "" if distance is None else "worse" if distance > 0 else "better",
        "distance": "" if distance is None else percent(abs(distance)),
        "alarms": "" if result.false_alarms is None else str(result.false_alarms),
        "delays": delays,
    }


def _side(distance: float | None) -> str:
    return "" if distance is None else f"{percent(abs(distance))} {'worse' if distance > 0 else 'better'}"


def _watched(results: Sequence[PolicyResult]) -> PolicyResult | None:
    """The policy whose measurements are drawn: the configured one, or the first that scored anything."""
    scored = [result for result in results if result.nights]
    return next((result for result in scored if result.policy == CONFIGURED), scored[0] if scored else None)


def _colours(results: Sequence[PolicyResult]) -> dict[str, int]:
    return {result.policy: place for place, result in enumerate(results)}
