"""Unit tests run without Airflow: to import it is an error here, whatever was imported before."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from functools import cache
from importlib.abc import MetaPathFinder

import pytest
from sqlalchemy.orm import DeclarativeBase, Mapped, configure_mappers, mapped_column

from tests.unit.two_pipelines import evergreen, pipelines

__all__ = ["evergreen", "pipelines"]


class NoAirflow(MetaPathFinder):
    """Refuses to find `airflow`."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname.partition(".")[0] == "airflow":
            raise ImportError(f"{fullname}: the library must not import airflow")


@cache
def _let_airflow_finish() -> None:
    """Configure a table, before which Airflow imports the rest of its own, whosesoever the table is."""

    class Base(DeclarativeBase):
        pass

    class Table(Base):
        __tablename__ = "of_nobody"
        number: Mapped[int] = mapped_column(primary_key=True)

    configure_mappers()


@pytest.fixture(scope="module", autouse=True)
def no_airflow() -> Iterator[None]:
    """Block Airflow for a file of this folder; what runs after it gets back what was imported."""
    if "airflow.models" in sys.modules:
        _let_airflow_finish()
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "airflow"}
    finder = NoAirflow()
    sys.meta_path.insert(0, finder)
    yield
    sys.meta_path.remove(finder)
    sys.modules.update(hidden)


@pytest.fixture(autouse=True)
def _clean(clean_environment: None) -> None:
    """Every unit test starts without a store."""


@pytest.fixture(autouse=True)
def python_s_own_log_level() -> Iterator[None]:
    """What is logged as where only the library is: Airflow, in the same process, lets more through."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.WARNING)
    yield
    root.setLevel(level)
