"""Training data, candidates, and the choice among them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from evergreen.calendar import Length
from evergreen.description import Described
from evergreen.metrics import Costs, MetricName
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
    SampleSize,
    Text,
    Window,
)

Sha256 = Annotated[
    str,
    Text("a SHA-256", r"[0-9a-f]{64}", "write the file's SHA-256 as 64 hexadecimal digits", "ba7816bf" * 8),
]
"""The SHA-256 of a file."""


def _step(value: Any) -> Any:
    return {"step": value} if isinstance(value, str) else value


class Step(Described):
    """A transformer before the estimator: an import path alone, or with parameters and columns."""

    step: ImportPath
    """The import path of the transformer. Example: sklearn.preprocessing.StandardScaler"""
    params: dict[str, Any] = {}
    """Its parameters. Example: {strategy: median}"""
    columns: tuple[Column, ...] | Literal["numbers", "texts"] | None = None
    """The columns to transform, or `numbers` or `texts` for all of that kind at this step; the others pass
    unchanged. Default: all. Example: numbers
    """


AnyStep = Annotated[Step, BeforeValidator(_step, json_schema_input_type=ImportPath | Step)]
"""A step, or its import path alone."""


class Pretrained(Described):
    """A fitted model that is used without training.

    A `.skops` file contains a scikit-learn estimator; an `.onnx` file a graph with one output of predictions,
    one of probabilities, or both.
    """

    key: str = Field(pattern=r".+\.(skops|onnx)$")
    """The key of the file below `EVERGREEN_STORAGE`. Example: pretrained/demand.onnx"""
    sha256: Sha256
    """The SHA-256 of the file, 64 hexadecimal digits. Example:
    ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
    """


class Candidate(Described):
    """A candidate for the model: an estimator with its steps and parameters, or a pretrained model."""

    estimator: ImportPath | None = None
    """The import path of the estimator."""
    params: dict[str, Any] = {}
    """Fixed parameters of the estimator. Example: {max_iter: 200}"""
    preprocess: tuple[AnyStep, ...] | None = None
    """The steps before the estimator; default: what it needs for the columns' types
    (`evergreen.candidates.default_steps`); `[]` is none. Example: [sklearn.preprocessing.StandardScaler]
    """
    target_transform: Literal["log1p"] | None = None
    """What the target is transformed by before the fit, and predictions back. Example: log1p"""
    search: dict[str, list[Any] | dict[Literal["choices"], list[Any]]] | Literal["default"] = {}
    """Searched parameters, each as `[low, high]`, `[low, high, log]`, `[low, high, int]` or `{choices:
    [...]}`; `default` are the ranges of the estimator without those in `params`. One of a step is `<class in
    lower case>__<parameter>`, numbered from 1 (`simpleimputer-2`) if the class is repeated. Example:
    {max_depth: [2, 12, int]}
    """
    recency: Recency | None = None
    """How fast rows count less with age; default: `training.recency`."""
    pretrained: Pretrained | None = None
    """A fitted model in place of an estimator; measured as it is, it allows no other key."""

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
    """How parameters are searched."""

    trials: int = Field(default=10, ge=1, le=10_000)
    """How many trials each candidate with a search has."""
    within: Duration | None = None
    """The time after which the search of all candidates stops, even if trials are left; the result then
    depends on the speed of the machine. Example: 30 minutes
    """
    folds: int = Field(default=3, ge=2, le=50)
    """The number of folds of the cross-validation."""
    gap: AnyLength = Length(0, "day")
    """The length left out between the rows a fold is fit on and those it is scored on (not for snapshots).
    Example: 1 day
    """
    group: Column | None = None
    """A column whose rows of the same value are never on both sides of a fold or of the hold-out (only for
    snapshots). Example: patient
    """


class Training(Described):
    """What a challenger is trained on and how it is chosen."""

    window: Window = LONGEST_WINDOW
    """How far back training reads; `since change` begins at the last break that a signal found."""
    sample: SampleSize | None = None
    """How many of the window's rows, or which share of them, are trained and measured on, drawn by their
    keys; default: all. Example: 1000000 rows
    """
    minimum: AnyLength = Length(1)
    """The least number of published partitions in the window to train on. Example: 90 partitions"""
    holdout: HoldOut = 0.2
    """The length at the window's end, or for a snapshot the random (stratified) share, that challengers are
    measured on.
    """
    metric: MetricName
    """The metric by which models are compared. Example: mae"""
    candidates: tuple[Candidate, ...] = Field(min_length=1)
    """The candidates, of which the best in cross-validation becomes the challenger."""
    tuning: Tuning = Tuning()
    weight: Column | None = None
    """A column of row weights. Example: units"""
    balance: bool = False
    """Whether the classes of a classification weigh equally in fitting."""
    recency: Recency = "none"
    """How fast rows count less with age in fitting: a row's weight is 0.5 to the power of its age in
    half-lives.
    """
    calibrate: Literal["isotonic", "sigmoid"] | None = None
    """How the probabilities of a classification are mapped to shares that happened, learnt from the folds
    alone.
    """
    decision: DecisionRule | None = None
    """From which probability on a row is predicted to be of the positive class, learnt from the folds alone
    unless it is written.
    """
    seed: int = 0
    """The seed of everything random. Example: 42"""
    schedule: Cron | None = None
    """When trainings start regardless of signals; default: never. Example: 0 4 * * 0"""

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
