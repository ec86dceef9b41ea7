"""What a boosting library must be able to do, and the rows that it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evergreen.boosters.columns import Floats

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """Rows to fit: `matrix` (n, d) as `Columns.matrix` gives it, `target` (n,), `weights` (n,) or None.

    `classes` is how many classes a classification has, whose target is their numbers from 0; 0 for a
    regression. `of_categories` are the positions of columns that hold codes. `monotone` is for each column 1
    or -1 if the prediction may only grow or fall with it, else 0; None without constraints.
    """

    matrix: Floats = field(repr=False)
    target: Floats = field(repr=False)
    weights: Floats | None = field(repr=False)
    classes: int
    of_categories: tuple[int, ...]
    monotone: tuple[int, ...] | None

    def taken(self, rows: NDArray[np.intp]) -> Problem:
        """Some of the rows, by their positions."""
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, matrix=self.matrix[rows], target=self.target[rows], weights=weights)


class Library(ABC):
    """One library. Everything it does runs on one thread and is seeded, so equal rows give equal bytes.

    `parameters` are those that a description may set; they were reviewed: none reads or writes a file, opens
    a connection, or chooses a device or threads. `rounds` is the one for the number of rounds, and `most` its
    value where none is set. `aliases` are other names of parameters, `own` the name of the library's module.
    """

    own: ClassVar[str]
    parameters: ClassVar[frozenset[str]]
    rounds: ClassVar[str]
    most: ClassVar[int]
    aliases: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def fit(self, problem: Problem, params: Params) -> bytes:
        """A model of all rows in the library's own format, without anything that differs between runs."""

    @abstractmethod
    def stop(self, problem: Problem, later: Problem, params: Params, patience: int) -> dict[str, Any]:
        """The parameters found by early stopping: at least the number of rounds.

        The model is fit on `problem` until it has not become better on `later` for `patience` rounds.
        """

    @abstractmethod
    def load(self, data: bytes, features: int, classes: int) -> Any:
        """The model in bytes that `fit` wrote, of so many features and classes (0: a regression).

        Raises `ValueError` saying what is wrong with them.
        """

    @abstractmethod
    def predict(self, model: Any, matrix: Floats, of_categories: tuple[int, ...]) -> Floats:
        """Predictions (n,) of a regression or of the second of two classes, or (n, k) of more classes."""

    @abstractmethod
    def contributions(self, model: Any, matrix: Floats, of_categories: tuple[int, ...]) -> Floats:
        """Shapley values of the columns for the raw score, and its base last, as the library computes them.

        They are (n, d + 1) for one output; for k of them (n, k, d + 1), or all k in a row (n, k (d + 1)).
        """


def settings_of(
    library: Library,
    problem: Problem,
    params: Params,
    *,
    objectives: tuple[str, str, str],
    always: Params,
    monotone: Any,
) -> tuple[dict[str, Any], int]:
    """The settings of a library that names classes and constraints as most do, and the number of rounds.

    `objectives` are what is learnt if nothing else is set: of a regression, of two classes and of more.
    `always` wins over `params`. `monotone` are the problem's constraints as the library writes them.
    """
    kind = objectives[2 if problem.classes > 2 else 1 if problem.classes else 0]
    own = {"objective": kind, **params, **always}
    if problem.classes > 2:
        own["num_class"] = problem.classes
    if problem.monotone:
        own["monotone_constraints"] = monotone
    return own, int(own.pop(library.rounds, library.most))


def outputs_of(classes: int) -> int:
    """How many numbers a model gives for a row: one, or one for each of more than two classes."""
    return classes if classes > 2 else 1


def check_tree(left: NDArray[Any], right: NDArray[Any], nodes: int) -> None:
    """Raise `ValueError` unless following children from node 0 ends.

    `left` and `right` are the children that are inner nodes, of all nodes. If each node is the child of at
    most one and node 0 of none, no way from node 0 comes to a node twice.
    """
    children = np.concatenate([left, right])
    if len(children) and (children.min() < 1 or children.max() >= nodes):
        raise ValueError("a tree has a node that is not there")
    if np.bincount(children, minlength=1).max() > 1:
        raise ValueError("a tree has a node with two parents")


def numbers(values: Any, count: int, low: int, high: int) -> NDArray[np.int64]:
    """The whole numbers (count,) in a list, each from `low` to below `high`; `ValueError` otherwise."""
    found = np.asarray(values)
    if found.shape != (count,) or (count and found.dtype.kind not in "iu"):
        raise ValueError("a list of numbers is not as long as its tree")
    found = found.astype(np.int64)
    if count and (found.min() < low or found.max() >= high):
        raise ValueError("a number is out of its range")
    return found
