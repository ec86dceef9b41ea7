from __future__ import annotations

import pytest

from evergreen.compute.choice import Choice, Kind, chosen, parse
from evergreen.errors import EvergreenError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local", Choice(Kind.LOCAL)),
        ("processes:8", Choice(Kind.PROCESSES, 8)),
        ("dask://scheduler:8786", Choice(Kind.DASK, address="tcp://scheduler:8786")),
        ("dask+tls://10.0.0.1:8786", Choice(Kind.DASK, address="tls://10.0.0.1:8786")),
        ("spark://a:7077,b:7077", Choice(Kind.SPARK, address="spark://a:7077,b:7077")),
    ],
)
def test_an_engine_is_named_by_a_text(text: str, expected: Choice) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "processes", "processes:0", "dask://host", "ray://host:1", "Local", "spark://"]
)
def test_another_text_is_refused_and_what_is_allowed_is_said(text: str) -> None:
    with pytest.raises(
        EvergreenError, match=rf"EVERGREEN_COMPUTE is '{text}': write local, processes:4, dask://"
    ):
        parse(text)


def test_the_variable_decides_and_the_default_is_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen() == Choice(Kind.LOCAL)
    assert chosen("processes:2") == Choice(Kind.PROCESSES, 2)
    monkeypatch.setenv("EVERGREEN_COMPUTE", "processes:3")
    assert chosen("processes:2") == Choice(Kind.PROCESSES, 3)
