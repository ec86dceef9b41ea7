"""Tuning of a policy's settings: a search on the first part of the history, evaluated on the rest.

Every trial is a full replay. A training may be as of any partition and not only of a coarser grid, because
delayed trainings would make it another policy. Trials share trained models, so there are never more trainings
than partitions, and later trials cost little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evergreen.backtest.policies import CONFIGURED, Policy, parse_policy, variant
from evergreen.backtest.result import PolicyResult
from evergreen.backtest.workers import Workers
from evergreen.errors import NothingToDoError
from evergreen.signals import SIGNALS
from evergreen.signals.turn import Turn, in_partitions
from evergreen.spec import Spec

TRIALS = 40
BATCH = 4  # trials that are proposed together, whatever the number of processes
TUNED = "tuned"
SCHEDULES = ("never", "every 7", "every 14", "every 30")


@dataclass(frozen=True)
class Trial:
    """The result of one setting on the first part; `value` is None if nothing was scored."""

    overrides: dict[str, Any]
    value: float | None
    trainings: int


@dataclass(frozen=True)
class Tuned:
    """The result of a search: the best setting as `overrides` of `monitoring`, and its results on the rest.

    It was searched for on `first` to `until` with at most `allowed` trainings there, and is compared on
    `start` to `last` in `results`. An empty setting says that nothing was better than the description's own.
    """

    overrides: dict[str, Any]
    first: str
    until: str
    start: str
    last: str
    allowed: int
    configured: Trial
    best: Trial
    trials: list[Trial] = field(repr=False)
    results: list[PolicyResult] = field(repr=False)


def tune(
    workers: Workers,
    spec: Spec,
    nights: Sequence[str],
    until: str,
    *,
    trials: int = TRIALS,
    per_year: float | None = None,
    schedules: Sequence[Policy] = tuple(map(parse_policy, SCHEDULES)),
    progress: Callable[[str, int], None] = lambda name, steps: None,
    known: Sequence[str] | None = None,
) -> Tuned:
    """Search the settings of the active signals on the published partitions `nights` up to `until`.

    The best setting has the lowest error with at most `per_year` trainings a year (default: the configured
    budget). Seeded: the same rows give the same answer, with any number of processes. Raises
    `NothingToDoError` if either part has no partition.
    """
    early = [key for key in nights if key <= until]
    late = [key for key in nights if key > until]
    if not early or not late:
        raise NothingToDoError(
            f"{spec.name}: there must be partitions before and after {until}: choose another --tune-to"
        )
    allowed = _allowed(spec, len(early), per_year)
    found = _search(workers, spec, early, trials, allowed, progress=progress)
    best = min(found, key=lambda trial: (_loss(spec, trial, allowed), trial.trainings))
    rest = [parse_policy(CONFIGURED), *schedules]
    if best.overrides:
        rest.insert(1, variant(spec, TUNED, best.overrides))
    results = workers.replay(rest, late[0], late[-1], progress=progress, known=known)
    return Tuned(
        best.overrides,
        early[0],
        early[-1],
        late[0],
        late[-1],
        allowed,
        configured=found[0],
        best=best,
        trials=found,
        results=results,
    )


def turns(spec: Spec) -> dict[str, Turn]:
    """What can be tuned, by name: the settings of the active signals, and the cooldown."""
    found: dict[str, Turn] = {}
    for name in spec.signals:
        found |= SIGNALS[name].turns()
    return {**found, "cooldown": Turn(("retrain", "cooldown"), range(1, 22), in_partitions)}


def _search(
    workers: Workers,
    spec: Spec,
    early: Sequence[str],
    trials: int,
    allowed: int,
    *,
    progress: Callable[[str, int], None],
) -> list[Trial]:
    """The configured policy as a trial, and those of Optuna's TPE (Bergstra et al. 2011), seeded."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=spec.training.seed, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    (own,) = workers.replay([parse_policy(CONFIGURED)], early[0], early[-1])
    found = [Trial({}, own.value, own.trainings)]
    progress("trials", 1)
    while (left := trials - len(found) + 1) > 0:
        asked = [study.ask() for _ in range(min(BATCH, left))]
        settings = [_overrides(spec, trial) for trial in asked]
        policies = [
            variant(spec, f"trial {trial.number}", s) for trial, s in zip(asked, settings, strict=True)
        ]
        results = workers.replay(policies, early[0], early[-1])
        for trial, setting, result in zip(asked, settings, results, strict=True):
            found.append(Trial(setting, result.value, result.trainings))
            study.tell(trial, _loss(spec, found[-1], allowed))
        progress("trials", len(asked))
    return found


def _overrides(spec: Spec, trial: Any) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    for name, turn in turns(spec).items():
        place = overrides
        for key in turn.path[:-1]:
            place = place.setdefault(key, {})
        step = turn.steps[trial.suggest_int(name, 0, len(turn.steps) - 1)]
        place[turn.path[-1]] = _written(turn.written(step))
    return overrides


def _loss(spec: Spec, trial: Trial, allowed: int) -> float:
    """The loss to minimise: the error, increased by the share of trainings above the limit."""
    if trial.value is None:
        return 1e300
    loss = spec.metric.loss(trial.value)
    return loss + abs(loss) * max(0.0, trial.trainings / allowed - 1)


def _allowed(spec: Spec, partitions: int, per_year: float | None) -> int:
    a_year = spec.calendar.a_year
    if per_year is None:
        budget = spec.monitoring.retrain.budget
        per_year = budget.times * a_year / budget.per
    return max(1, int(per_year * partitions / a_year))


def _written(text: str) -> Any:
    """A number if it is one, so that YAML shows it without quotes."""
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def as_yaml(overrides: Mapping[str, Any]) -> str:
    """The setting as YAML to paste into a description."""
    import yaml

    return yaml.safe_dump({"monitoring": dict(overrides)}, sort_keys=False, default_flow_style=False)
