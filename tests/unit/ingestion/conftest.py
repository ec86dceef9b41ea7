"""The scripted API of the tests of sources, for what is asked of an API before it is read."""

from tests.unit.sources.conftest import answer, api

__all__ = ["answer", "api"]
