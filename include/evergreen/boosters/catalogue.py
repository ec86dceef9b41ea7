"""Which boosting libraries there are, and the names that a description calls their estimators by.

Descriptions and digests are read without these libraries, so nothing heavy is imported here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from evergreen.errors import NotInstalledError

if TYPE_CHECKING:
    from evergreen.spec import Training

REMEDY = "pip install --no-deps -r requirements-boosting.txt"


@dataclass(frozen=True)
class Booster:
    """A library: its module, the packages it may come from, and its estimators by their names there."""

    module: str
    packages: tuple[str, ...]
    estimators: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The estimators as a description names them."""
        return tuple(f"{self.module}.{name}" for name in self.estimators)

    @property
    def version(self) -> str:
        """The installed version; `absent` where there is none."""
        return next(filter(None, map(_version, self.packages)), "absent")

    def check_installed(self) -> None:
        """Raise `NotInstalledError` with the remedy if the library is not installed."""
        if find_spec(self.module) is None:
            raise NotInstalledError(f"{self.packages[0]} is not installed: {REMEDY}")


BOOSTERS: Mapping[str, Booster] = {
    booster.module: booster
    for booster in (
        Booster("lightgbm", ("lightgbm",), ("LGBMRegressor", "LGBMClassifier")),
        # xgboost-cpu is the same module without the libraries of graphics cards.
        Booster("xgboost", ("xgboost-cpu", "xgboost"), ("XGBRegressor", "XGBClassifier")),
        Booster("catboost", ("catboost",), ("CatBoostRegressor", "CatBoostClassifier")),
    )
}


def booster_class(path: str) -> type[Any] | None:
    """The `Boosted` estimator for an import path such as `lightgbm.LGBMRegressor`; None for any other path.

    Raises `NotInstalledError` with the remedy if its library is not installed.
    """
    module, _, name = path.rpartition(".")
    booster = BOOSTERS.get(module)
    if booster is None or name not in booster.estimators:
        return None
    booster.check_installed()
    found: type[Any] = getattr(import_module(f"evergreen.boosters.{module}"), name)
    return found


def boosters_of(training: Training) -> tuple[Booster, ...]:
    """The libraries that the candidates name anywhere."""
    named = json.dumps(training.model_dump(mode="json", include={"candidates"}))
    return tuple(
        booster for booster in BOOSTERS.values() if any(f'"{path}"' in named for path in booster.paths)
    )


@lru_cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
