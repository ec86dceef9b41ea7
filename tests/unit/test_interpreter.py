"""Functions that run in a clean interpreter."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from evergreen.errors import NotFoundError
from evergreen.interpreter import NoAnswerError, run_clean

ROOT = Path(__file__).resolve().parents[2]
PLANTED: list[str] = []


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions of this module can be imported by another interpreter."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def what_is_here(argument: Any) -> dict[str, Any]:
    """What a function finds around itself."""
    return {
        "argument": argument,
        "planted": list(PLANTED),
        "variables": dict(os.environ),
        "modules": sorted(sys.modules),
        "pid": os.getpid(),
        "parent": os.getppid(),
    }


def change(argument: str) -> int:
    PLANTED.append(argument)
    os.environ["LEFT_BEHIND"] = argument
    return len(PLANTED)


def raises_a_known_error() -> None:
    raise NotFoundError("kiosk: no version 7: name one of those there are")


def raises_another_error() -> None:
    raise ValueError("two\nlines")


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leaves() -> None:
    print("a last word")
    sys.exit(0)


def test_it_has_nothing_of_this_process_but_arguments_and_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PLANTED", ["here"])
    monkeypatch.setitem(sys.modules, "planted_module", sys)
    for name in ("A_SECRET", "PATH_TO_A_SECRET"):
        monkeypatch.setenv(name, "of this process")
    found = run_clean(what_is_here, b"\0bytes", environment={"ONE": "1"})
    assert found["argument"] == b"\0bytes"
    assert found["planted"] == []
    assert set(found["variables"]) == {"ONE", "PYTHONPATH"}
    assert found["pid"] != os.getpid()
    assert found["parent"] != os.getpid()
    assert "planted_module" not in found["modules"]
    of_the_template = psutil.Process(found["parent"]).environ()
    assert "PATH" in of_the_template
    assert not {"A_SECRET", "PATH_TO_A_SECRET"} & set(of_the_template)


def test_calls_leave_nothing_to_one_another() -> None:
    assert [run_clean(change, "a", environment={}) for _ in range(2)] == [1, 1]
    first, second = (run_clean(what_is_here, None, environment={}) for _ in range(2))
    assert first["parent"] == second["parent"]
    assert "LEFT_BEHIND" not in second["variables"]


def test_an_error_of_ours_comes_back_as_what_it_is() -> None:
    with pytest.raises(NotFoundError, match=r"^kiosk: no version 7: name one of those there are$"):
        run_clean(raises_a_known_error, environment={})


@pytest.mark.parametrize(
    ("function", "how"),
    [
        (raises_another_error, r"ended with code 1 \(lines\)"),
        (is_killed, r"ended with code -9 \(it said nothing\)"),
        (leaves, r"ended with code 1 \(SystemExit: 0\)"),
    ],
)
def test_another_end_is_no_answer(function: Any, how: str) -> None:
    with pytest.raises(NoAnswerError, match=how):
        run_clean(function, environment={})
    assert run_clean(change, "next", environment={}) == 1


def test_a_function_that_cannot_be_imported_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "__module__", "nowhere.at_all")
    with pytest.raises(NoAnswerError, match=r"\(ModuleNotFoundError: No module named 'nowhere'\)"):
        run_clean(change, "a", environment={})


def test_variables_that_python_reads_start_another_template(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_clean(what_is_here, None, environment={})["parent"]
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert run_clean(what_is_here, None, environment={})["parent"] != before


def test_a_template_that_was_killed_is_replaced() -> None:
    before = run_clean(what_is_here, None, environment={})["parent"]
    os.kill(before, signal.SIGKILL)
    for _ in range(2):
        try:
            after = run_clean(what_is_here, None, environment={})["parent"]
        except NoAnswerError:
            continue
    assert after != before


def test_a_template_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(NoAnswerError, match=r"^ended with code 1 \(.+\)$"):
        run_clean(change, "a", environment={})
    monkeypatch.delenv("PYTHONHOME")
    assert run_clean(change, "a", environment={}) == 1


def test_threads_take_turns() -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda at=at: answers.append(run_clean(what_is_here, at, environment={})))
        for at in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each["argument"] for each in answers) == list(range(6))
    assert len({each["pid"] for each in answers}) == 6


def never_ends() -> None:
    threading.Event().wait()


def test_what_takes_longer_than_it_may_is_ended() -> None:
    with pytest.raises(NoAnswerError, match=r"took longer than 0\.05 s"):
        run_clean(never_ends, environment={}, seconds=0.05)
    assert run_clean(change, "x", environment={}, seconds=60) == 1
