"""Evergreen keeps tabular models fresh: ingest, validate, train, gate, promote, score, monitor.

    import evergreen
    p = evergreen.open("bike_demand")
    p.champion().predict("2011-04-30")

What `__all__` names is public and stays as it is from release to release; everything else may change. All of
it reads, and nothing of it writes. See docs/how-to/python.md. The stages themselves are driven by the DAGs
and by the `evergreen` command; the library never imports Airflow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evergreen.errors import (
    EvergreenError,
    IntegrityError,
    NotFoundError,
    NothingToDoError,
    RefusedError,
    SourceError,
    SpecError,
    StorageError,
    UnavailableError,
)

if TYPE_CHECKING:
    from evergreen.calendar import PartitionError
    from evergreen.front_door.model import Card, Model
    from evergreen.front_door.opened import Pipeline, open, pipelines  # noqa: A004 - read evergreen.open
    from evergreen.training_set.assemble import TrainingSet

__version__ = "0.1.0"

__all__ = [
    "Card",
    "EvergreenError",
    "IntegrityError",
    "Model",
    "NotFoundError",
    "NothingToDoError",
    "PartitionError",
    "Pipeline",
    "RefusedError",
    "SourceError",
    "SpecError",
    "StorageError",
    "TrainingSet",
    "UnavailableError",
    "open",
    "pipelines",
]

# Every import of the library passes through here, also those of DAG files: what is public is imported when
# it is asked for.
_HOMES = {
    "Card": "evergreen.front_door.model",
    "Model": "evergreen.front_door.model",
    "PartitionError": "evergreen.calendar",
    "Pipeline": "evergreen.front_door.opened",
    "TrainingSet": "evergreen.training_set.assemble",
    "open": "evergreen.front_door.opened",
    "pipelines": "evergreen.front_door.opened",
}


if not TYPE_CHECKING:  # a type checker would take any name for one that is there

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'evergreen' has no attribute '{name}'")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
