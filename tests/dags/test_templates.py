"""What a run is given is never rendered: a reason or a key with braces stays what it is."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest
from airflow.sdk import BaseOperator

import evergreen_airflow.operators as operators

RENDERED = {"pipeline", "source"}
"""Names in the description, which the DAG files give; nothing that a run, a row or an answer brings."""

OPERATORS = sorted(
    {
        kind
        for module in pkgutil.iter_modules(operators.__path__)
        for _, kind in inspect.getmembers(
            importlib.import_module(f"{operators.__name__}.{module.name}"), inspect.isclass
        )
        if issubclass(kind, BaseOperator) and kind.__module__.startswith(operators.__name__)
    },
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
def test_only_names_of_the_description_are_rendered(kind: type[BaseOperator]) -> None:
    assert set(kind.template_fields) <= RENDERED
    assert tuple(kind.template_ext) == ()


def test_all_operators_were_looked_at() -> None:
    assert {"ScoreOperator", "RetrainOperator", "PromoteOperator"} <= {kind.__name__ for kind in OPERATORS}
