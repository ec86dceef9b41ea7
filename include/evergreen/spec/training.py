"""Training data, candidates, and the choice among them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from evergreen.calendar import Length
from evergreen.description import Described
from evergreen.metrics import Costs
from evergreen.spec.decision import DecisionRule
from evergreen.task import Task
from evergreen.units import (
    LONGEST_WINDOW,
    AnyLength,
    Column,
    Cron,
    Duration,
    HalfLife,
    HoldOut,
    ImportPath,
    Recency,
    Window,
)


def _sha256(value: str) -> str:
    if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ValueError("write the file's SHA-256 as 64 hexadecimal digits")
    return value


def _step(value: Any) -> Any:
    return {"step": value} if isinstance(value, str) else value


class Step(Described):
    """A transformer before the estimator: an import path alone, or with parameters and columns.

    `columns` are the names of the columns to transform, or `numbers` or `texts` for all columns of that kind
    at this step; the others pass unchanged. Without `columns` it transforms all.
    """

    step: ImportPath
    params: dict[str, Any] = {}
    columns: tuple[Column, ...] | Literal["numbers", "texts"] | None = None


class Pretrained(Described):
    """A fitted model that is used without training: its key below `EVERGREEN_STORAGE`, and its digest.

    A `.skops` file contains a scikit-learn estimator; an `.onnx` file a graph with one output of predictions,
    one of probabilities, or both.
    """

    key: str = Field(pattern=r".+\.(skops|onnx)$")
    sha256: Annotated[str, AfterValidator(_sha256)]


class Candidate(Described):
    """A candidate for the model: scikit-learn import paths, fixed and searched parameters.

    `search` maps a parameter to `[low, high]`, `[low, high, log]`, `[low, high, int]` or a list of choices
    (`{choices: [...]}`); a parameter of a step is written `<class in lower case>__<parameter>`, the class
    numbered from 1 (`simpleimputer-2`) if it is repeated. Without `preprocess` the steps are those of
    `evergreen.candidates.default_steps`; `[]` is none. `search: default` stands for the ranges of
    `evergreen.candidates.default_search`, without the parameters in `params`. `recency` is how fast its
    rows count less with age; without it `training.recency` holds. A `pretrained` model is measured as it
    is, and allows no other key.
    """

    estimator: ImportPath | None = None
    params: dict[str, Any] = {}
    preprocess: tuple[Annotated[Step, BeforeValidator(_step)], ...] | None = None
    target_transform: Literal["log1p"] | None = None
    search: dict[str, list[Any] | dict[Literal["choices"], list[Any]]] | Literal["default"] = {}
    recency: Recency | None = None
    pretrained: Pretrained | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Candidate:
        if (self.estimator is None) == (self.pretrained is None):
            raise ValueError("give an 'estimator' to train or a 'pretrained' model, one of them")
        others = (self.params, self.preprocess, self.target_transform, self.search, self.recency)
        if self.pretrained and any(others):
            raise ValueError("a 'pretrained' model is measured as it is: leave the other keys out")
        return self

    @property
    def label(self) -> str:
        """Its name for people: the estimator's import path, or the key of the pretrained model."""
        return self.estimator or (self.pretrained.key if self.pretrained else "")


class Tuning(Described):
    """How parameters are searched: trials per candidate with a search, folds, separation of folds.

    `within` stops the search of all candidates after that time, even if trials are left; the result then
    depends on the speed of the machine. `gap` is the length left out between the rows a fold is fit on
    and those it is scored on (not for snapshots). Rows with the same value of the column `group` are never on
    both sides of a fold or of the hold-out (only for snapshots).
    """

    trials: int = Field(default=10, ge=1, le=10_000)
    within: Duration | None = None
    folds: int = Field(default=3, ge=2, le=50)
    gap: AnyLength = Length(0, "day")
    group: Column | None = None


class Training(Described):
    """What a challenger is trained on and how it is chosen.

    `window` is how far back training reads. With `since change` it begins at the last break that a signal
    found (see `evergreen.training_set.window`) and is at most as long as it says, by default 365 days.
    `minimum` is the minimum number of published partitions in it;
    `holdout` a length at the window's end, or for a snapshot a random (stratified) share. `weight`
    is a column of row weights. `balance` weighs the classes of a classification equally, and `recency` gives
    a row the weight 0.5 ** (age / half-life) where a candidate does not say its own: both in fitting only.
    `calibrate` maps the probabilities of a classification to shares that happened, and `decision` is from
    which probability on a row is predicted to be of the positive class: both learnt from the folds alone.
    """

    window: Window = LONGEST_WINDOW
    minimum: AnyLength = Length(1)
    holdout: HoldOut = 0.2
    metric: str
    candidates: tuple[Candidate, ...] = Field(min_length=1)
    tuning: Tuning = Tuning()
    weight: Column | None = None
    balance: bool = False
    recency: Recency = "none"
    calibrate: Literal["isotonic", "sigmoid"] | None = None
    decision: DecisionRule | None = None
    seed: int = 0
    schedule: Cron | None = None

    def half_life(self, number: int) -> HalfLife | None:
        """The half-life of a candidate's rows: its own, else that of all; None where their age is no matter.

        A pretrained model is not fit and has none.
        """
        candidate = self.candidates[number]
        if candidate.pretrained:
            return None
        found = self.recency if candidate.recency is None else candidate.recency
        return found if isinstance(found, HalfLife) else None

    @property
    def costs(self) -> Costs | None:
        """What wrong decisions cost; None where the description does not say it."""
        return None if self.decision is None else self.decision.costs

    def check_task(self, task: Task) -> None:
        """Raise `ValueError`, naming the key, for what this task does not have."""
        if task is Task.CLASSIFICATION:
            return
        if self.balance:
            raise ValueError(f"training.balance: {task} has no classes to balance, leave it out")
        if self.calibrate is not None:
            raise ValueError(f"training.calibrate: {task} gives no probabilities, leave it out")
        if self.decision is not None:
            raise ValueError(f"training.decision: {task} has no positive class, leave it out")
