"""Bytes that are no model give a line, and never the end of the process."""

from __future__ import annotations

import importlib
import os
import random
import re
import signal
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

from evergreen.boosters.catalogue import booster_class
from evergreen.errors import IntegrityError, SpecError
from evergreen.registry.model_file import dump_model, load_model
from tests.campaign import rounds, seed
from tests.unit.boosters.made import PATHS, answers, kind_of, model, rows

READ, REFUSED, OTHER = range(3)
CHECKED = [path for path in PATHS if not path.startswith("catboost")]


def stored(path: str, data: bytes) -> bytes:
    """A model file of a fitted estimator whose bytes were exchanged."""
    fitted = model(path, n_estimators=3).fit(rows(), kind_of(path))
    fitted.model_ = np.frombuffer(data, dtype=np.uint8).copy()
    return dump_model(fitted)


def own_bytes(path: str, rounds: int = 3) -> bytes:
    return model(path, n_estimators=rounds).fit(rows(), kind_of(path)).model_.tobytes()


@pytest.mark.parametrize("path", PATHS)
def test_other_bytes_are_refused_in_one_line(path: str):
    own = own_bytes(path)
    others = [own_bytes(other) for other in PATHS if other != path]
    drawn = random.Random(0)
    halves = [own[: len(own) * share // 10] for share in range(10)]
    noise = [drawn.randbytes(size) for size in (1, 100, 10_000)]
    for data in [b"", b"\x80\x04N.", b"{}", b"[]", b"null", b"tree\n\n", *halves, own[:-1], *noise, *others]:
        with pytest.raises(IntegrityError, match=f"holds no model of {path.partition('.')[0]}: ") as caught:
            load_model(stored(path, data))
        assert "\n" not in str(caught.value)
        assert "train the version again" in str(caught.value)


def _outcomes(path: str, state: dict[str, Any], files: list[bytes]) -> list[int | str]:
    """What becomes of each of the files in a process of its own.

    This must run where the library has not computed yet: a fork of its threads would wait for them for ever.
    """
    kind = booster_class(path)
    assert kind is not None
    importlib.import_module(path.partition(".")[0])
    return [_outcome(kind, state | {"model_": np.frombuffer(data, dtype=np.uint8)}) for data in files]


def _outcome(kind: Any, state: dict[str, Any]) -> int | str:
    child = os.fork()
    if not child:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        try:
            found = kind.__new__(kind)
            found.__setstate__(state)
            answers(found, rows(50))
        except (IntegrityError, ValueError):
            os._exit(REFUSED)
        except BaseException:  # noqa: BLE001 - whatever it is, it is counted
            os._exit(OTHER)
        os._exit(READ)
    status = os.waitpid(child, 0)[1]
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else f"signal {os.WTERMSIG(status)}"


NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?")
EXTREMES = [b"-1", b"-7", b"0", b"1", b"99", b"1000000", b"2147483647", b"-2147483648", b"1e30", b"nan", b""]


def _damaged(data: bytes, drawn: random.Random) -> bytes:
    """The bytes with a number exchanged, a stretch cut out or doubled, or a byte changed."""
    place, length = drawn.randrange(len(data)), drawn.randrange(1, 100)
    match drawn.choice(["number", "number", "number", "cut", "double", "byte"]):
        case "number":
            found = drawn.choice(list(NUMBER.finditer(data)))
            return data[: found.start()] + drawn.choice(EXTREMES) + data[found.end() :]
        case "cut":
            return data[:place] + data[place + length :]
        case "double":
            return data[:place] + data[place : place + length] + data[place:]
        case _:
            return data[:place] + bytes([drawn.randrange(256)]) + data[place + 1 :]


@pytest.mark.parametrize("path", CHECKED)
def test_damage_of_any_kind_is_refused_or_harmless(path: str):
    """Unchecked, a third of these end the process of LightGBM, and a tenth that of XGBoost."""
    fitted = model(path, n_estimators=3).fit(rows(), kind_of(path))
    data, state = fitted.model_.tobytes(), fitted.__getstate__()

    drawn = random.Random(seed(7))
    files = [data, *(_damaged(data, drawn) for _ in range(rounds(150, 600)))]
    with ProcessPoolExecutor(1, get_context("forkserver")) as pool:
        whole, *outcomes = pool.submit(_outcomes, path, state, files).result()
    assert whole == READ
    found = Counter(outcomes)
    assert set(found) <= {READ, REFUSED}, found
    assert found[REFUSED] > 50


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("categories_", (None,)),
        ("categories_", "abc"),
        ("categories_", (None, None, (1, 2))),
        ("n_features_in_", 4),
        ("n_features_in_", "three"),
        ("model_", "tree"),
    ],
)
def test_a_state_that_is_none_of_a_model_is_refused(path: str, name: str, value: Any):
    fitted = model(path, n_estimators=3).fit(rows(), kind_of(path))
    setattr(fitted, name, value)
    with pytest.raises(IntegrityError, match="holds no model of"):
        load_model(dump_model(fitted))


@pytest.mark.parametrize("path", [path for path in PATHS if path.endswith("Classifier")])
def test_a_model_of_another_number_of_classes_is_refused(path: str):
    fitted = model(path, n_estimators=3).fit(rows(), kind_of(path))
    fitted.classes_ = fitted.classes_[:2]
    with pytest.raises(IntegrityError, match="holds no model of"):
        load_model(dump_model(fitted))


@pytest.mark.parametrize("path", PATHS)
def test_a_model_of_a_library_that_is_gone_says_how_to_install_it(path: str, monkeypatch):
    import sys

    data = dump_model(model(path, n_estimators=3).fit(rows(), kind_of(path)))
    monkeypatch.setitem(sys.modules, path.partition(".")[0], None)
    with pytest.raises(
        SpecError, match=r"is not installed: pip install --no-deps -r requirements-boosting\.txt"
    ):
        load_model(data)
