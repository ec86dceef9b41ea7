"""Tuning of a policy's settings, and what a tuned policy is worth on partitions it was not tuned on.

Every trial is a full replay. A training may be as of any partition and not only of a coarser grid, because
delayed trainings would make it another policy. Trials share trained models, so there are never more trainings
than partitions, and later trials cost little.

The best of many trials looks better than it is, because it was chosen for it. So the splits are nested in
time (rolling origin: Tashman 2000, "Out-of-sample tests of forecasting accuracy"): for each stretch of the
later part the setting is searched anew on all that lies before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from evergreen.backtest.policies import CONFIGURED, Policy, parse_policy, variant
from evergreen.backtest.result import PolicyResult, joined
from evergreen.backtest.tradeoff import above_curve
from evergreen.backtest.workers import Workers
from evergreen.errors import NothingToDoError
from evergreen.metrics import metric_named
from evergreen.signals import SIGNALS
from evergreen.signals.turn import Turn, in_partitions
from evergreen.spec import Spec

TRIALS = 40
STRETCHES = 2  # of the later part
BATCH = 4  # trials that are proposed together, whatever the number of processes
TUNED = "tuned"
SCHEDULES = ("never", "every 7", "every 14", "every 30")


@dataclass(frozen=True)
class Trial:
    """The result of one setting on the partitions searched; `value` is None if nothing was scored."""

    overrides: dict[str, Any]
    value: float | None
    trainings: int


@dataclass(frozen=True)
class Split:
    """A setting that was chosen on the partitions up to `until`, and replayed on `start` to `last`."""

    until: str
    start: str
    last: str
    overrides: dict[str, Any]
    results: list[PolicyResult] = field(repr=False)


@dataclass(frozen=True)
class Tuned:
    """The result of a search: the best setting as `overrides` of `monitoring`, and what it is worth.

    It was searched for on `first` to `last` with at most `allowed` trainings there. An empty setting says
    that nothing was better than the description's own. `inside` are the results of the policies on these same
    partitions. `results` are those on the partitions from `start` on, where the policy `TUNED` has in each
    of the `splits` the setting that was chosen on what lies before it.
    """

    overrides: dict[str, Any]
    first: str
    start: str
    last: str
    allowed: int
    configured: Trial
    best: Trial
    trials: list[Trial] = field(repr=False)
    splits: list[Split] = field(repr=False)
    inside: list[PolicyResult] = field(repr=False)
    results: list[PolicyResult] = field(repr=False)

    @property
    def helps(self) -> bool:
        """Whether the tuned policy is better than the configured one on what it was not tuned on."""
        (own, found) = (named(self.results, name).value for name in (CONFIGURED, TUNED))
        metric = metric_named(self.results[0].metric)
        return own is not None and found is not None and metric.loss(found, own) < 0


@dataclass(frozen=True)
class Worth:
    """A policy's figures in sample or out of it; `distance` is what `above_curve` gives."""

    where: str
    policy: str
    value: float | None
    trainings: int
    distance: float | None


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
    """Search the settings of the active signals on the published partitions `nights`, and judge the search.

    The best setting has the lowest error with at most `per_year` trainings a year (default: the configured
    budget). The partitions after `until` are cut into `STRETCHES`, each judged by a setting that is searched
    on all partitions before it. Seeded: the same rows give the same answer, with any number of processes.
    Raises `NothingToDoError` if there is no partition before `until`, or none after it.
    """
    ends = _ends(nights, until)
    if not ends:
        raise NothingToDoError(
            f"{spec.name}: there must be partitions before and after {until}: choose another --tune-to"
        )

    def searched(keys: Sequence[str]) -> tuple[int, list[Trial], Trial]:
        allowed = _allowed(spec, len(keys), per_year)
        found = _search(workers, spec, keys, trials, allowed, progress=progress)
        return allowed, found, min(found, key=lambda trial: (_loss(spec, trial, allowed), trial.trainings))

    def replayed(overrides: dict[str, Any], keys: Sequence[str]) -> list[PolicyResult]:
        policies = [parse_policy(CONFIGURED), *([variant(spec, TUNED, overrides)] if overrides else [])]
        days = None if known is None else [day for day in known if keys[0] <= day <= keys[-1]]
        found = workers.replay([*policies, *schedules], keys[0], keys[-1], progress=progress, known=days)
        # Where nothing was better than what is configured, that is the tuned policy.
        return found if overrides else [found[0], replace(found[0], policy=TUNED), *found[1:]]

    splits = []
    for end, following in pairwise(ends):
        late = [key for key in nights if end < key <= following]
        _, _, best = searched([key for key in nights if key <= end])
        results = replayed(best.overrides, late)
        splits.append(Split(end, late[0], late[-1], best.overrides, results))
    allowed, found, best = searched(nights)
    return Tuned(
        best.overrides,
        first=nights[0],
        start=splits[0].start,
        last=nights[-1],
        allowed=allowed,
        configured=found[0],
        best=best,
        trials=found,
        splits=splits,
        inside=replayed(best.overrides, nights),
        results=[joined(parts) for parts in zip(*(split.results for split in splits), strict=True)],
    )


def searches(nights: Sequence[str], until: str) -> int:
    """How many searches `tune` makes."""
    return len(_ends(nights, until))


def worth(tuned: Tuned) -> list[Worth]:
    """The figures of the tuned policy and the configured one, in sample and out of it."""
    return [
        Worth(where, name, result.value, result.trainings, above_curve(results, name))
        for where, results in (("in sample", tuned.inside), ("out of sample", tuned.results))
        for name in (TUNED, CONFIGURED)
        for result in [named(results, name)]
    ]


def named(results: Sequence[PolicyResult], policy: str) -> PolicyResult:
    """The result of the policy of this name, which is there."""
    return next(result for result in results if result.policy == policy)


def _ends(nights: Sequence[str], until: str) -> list[str]:
    """The last partitions of the part up to `until` and of each stretch after it; none if a part is empty."""
    early, late = ([key for key in nights if (key <= until) is side] for side in (True, False))
    if not early or not late:
        return []
    count = min(STRETCHES, len(late))
    return [early[-1], *(late[len(late) * (number + 1) // count - 1] for number in range(count))]


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
        budget = spec.lengths.budget
        per_year = budget.times * a_year / spec.calendar.about(budget.per)
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
