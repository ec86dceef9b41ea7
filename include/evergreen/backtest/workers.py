"""Replays of policies over the same rows, by the workers of an engine, which share results by a cache."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from evergreen.backtest.ahead import foreseen
from evergreen.backtest.cache import Cache
from evergreen.backtest.history import History
from evergreen.backtest.policies import Policy
from evergreen.backtest.replay import Progress, replay, silent
from evergreen.backtest.result import PolicyResult
from evergreen.backtest.work import Work
from evergreen.compute.choice import LOCAL, Choice, Kind, chosen
from evergreen.compute.spread import spread
from evergreen.compute.steps import step
from evergreen.errors import ChangedError, NothingToDoError
from evergreen.spec import Spec
from evergreen.training_set.digest import code_digest

WORKERS = 2
"""Processes of this machine where `EVERGREEN_COMPUTE` names no engine: each has the rows in memory."""

TRAININGS = "trainings"
"""What the progress of trainings that are done beforehand goes by."""


@dataclass(frozen=True)
class Shared:
    """What each worker replays with: the rows of history, loaded models, and where its cache is.

    `folder` is this machine's, `store` the `s3://` address that workers of all hosts share; either may be
    None. `code` is the digest of the code that the results are named by.
    """

    spec: Spec
    history: History = field(repr=False)
    pretrained: Mapping[int, Any] = field(default_factory=dict, repr=False)
    folder: Path | None = None
    store: str | None = None
    code: str = ""


@dataclass(frozen=True)
class _Replay:
    """A policy to be replayed over the partitions from `first` to `last`."""

    policy: Policy
    first: str
    last: str
    known: Sequence[str] | None

    def __str__(self) -> str:
        return f"the replay of '{self.policy.name}'"


@dataclass(frozen=True)
class _Training:
    """A training to be done beforehand."""

    as_of: str

    def __str__(self) -> str:
        return f"the training as of {self.as_of}"


@dataclass(frozen=True)
class _Prepared:
    """What a worker has made of what is shared."""

    spec: Spec
    history: History
    work: Work


class Workers:
    """The workers of an engine (`choice`, by default this process) with the same rows; a context manager."""

    def __init__(self, shared: Shared, choice: Choice | None = None) -> None:
        self._shared = shared
        self._spec = shared.spec
        self._choice = choice or Choice(Kind.LOCAL)
        self._history = shared.history
        self._held = ExitStack()

    def __enter__(self) -> Workers:
        self._task = self._held.enter_context(
            spread(_done, self._shared, prepare=_prepared, choice=self._choice)
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def replay(
        self,
        policies: Sequence[Policy],
        first: str,
        last: str,
        *,
        progress: Progress = silent,
        known: Sequence[str] | None = None,
    ) -> list[PolicyResult]:
        """Replay the policies as `evergreen.backtest.replay.replay` does; results in the order asked.

        On several processes the trainings of fixed schedules are distributed over all of them, even those
        of a single schedule; their progress has the name `TRAININGS`.
        """
        # First the work that cannot be shared, then the work that can, then what has little left to do.
        ordered = [*(one for one in policies if not one.fixed), *(one for one in policies if one.fixed)]
        replays = [_Replay(policy, first, last, known) for policy in ordered]
        alone = sum(not policy.fixed for policy in policies)
        ahead = [_Training(as_of) for as_of in self.foreseen(ordered[alone:], first, last)]
        rounds: list[list[_Replay | _Training]] = [[*replays[:alone], *ahead], [*replays[alone:]]]
        if not self._choice.elsewhere:
            # Where workers wait for one another's trainings, none of them is done twice.
            rounds = [[*rounds[0], *rounds[1]]]
        done: list[Any] = []
        for items in rounds:
            done += self._task.over(items, named=lambda item: f"{self._spec.name}: {item}", progress=progress)
        found = {one.policy: one for one in done if one is not None}
        return [found[policy.name] for policy in policies]

    def nights(self, first: str, last: str) -> list[str]:
        """The keys of the published partitions from `first` to `last`."""
        return list(self._history.published(first, self._spec.calendar.shift(last, 1)))

    def foreseen(self, policies: Sequence[Policy], first: str, last: str) -> list[str]:
        """The as-of keys that are trained in advance: those of fixed schedules, with several processes."""
        if self._choice.kind is Kind.LOCAL:
            return []
        keys = foreseen(self._spec, self._history, policies, first, last)
        # The other replays start with the first training, so it is not done in advance.
        return [*keys[1:], *keys[:1]]


def engine(workers: int) -> Choice:
    """The engine that `EVERGREEN_COMPUTE` names, by default up to `workers` processes of this machine."""
    count = min(workers, os.cpu_count() or 1)
    return chosen(f"{Kind.PROCESSES}:{count}" if count > 1 else LOCAL)


def shared_by(
    spec: Spec,
    rows: pd.DataFrame,
    pretrained: Mapping[int, Any] = {},
    folder: Path | None = None,
    store: str | None = None,
) -> Shared:
    """What workers replay with: rows (with `partition`), and results named by the code that is here."""
    return Shared(spec, History(spec, rows), pretrained, folder, store, code_digest(spec))


def _prepared(shared: Shared) -> _Prepared:
    spec = shared.spec
    if shared.code and code_digest(spec) != shared.code:
        raise ChangedError(
            f"{spec.name}: the workers have other features or packages than there are here: bring them the "
            "same checkout"
        )
    cache = Cache(shared.folder, shared.store)
    return _Prepared(spec, shared.history, Work(spec, shared.history, cache, shared.pretrained))


def _done(prepared: _Prepared, item: _Replay | _Training) -> PolicyResult | None:
    if isinstance(item, _Training):
        # If there is too little to train on, the replay that asks for it handles that.
        with suppress(NothingToDoError):
            prepared.work.trained(item.as_of)
        step(TRAININGS, 1)
        return None
    return replay(
        prepared.spec,
        prepared.history,
        item.policy,
        item.first,
        item.last,
        progress=step,
        work=prepared.work,
        known=item.known,
    )
