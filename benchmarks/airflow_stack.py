"""A complete stack for one benchmark, on free ports, removed afterwards."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.embedded import environment
from deploy.embedded.airflow_api import AirflowApi
from deploy.embedded.home import Home
from deploy.embedded.load import load
from deploy.embedded.nights import nights
from deploy.embedded.stack import Stack, down, up

REPOSITORY = Path(__file__).resolve().parents[1]


@contextmanager
def airflow_stack(*, demo: bool = True, held: Sequence[str] = ()) -> Iterator[tuple[Stack, AirflowApi]]:
    """The stack with the simulated sources loaded, and a session with its Airflow; removed afterwards.

    It has the repository's DAGs and the empty ones. Without the `demo` no sources are loaded. No run of the
    DAGs that are `held` is started by the clock.
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="evergreen-bench-") as folder:
        dags = Path(folder) / "dags"
        dags.mkdir()
        for file in (*(REPOSITORY / "dags").glob("*.py"), REPOSITORY / "benchmarks" / "dags" / "noop.py"):
            (dags / file.name).symlink_to(file)
        os.environ |= {"EVERGREEN_PORTS": "free", "EVERGREEN_DAGS": str(dags)}
        home = Home(Path(folder) / "home")
        if held:
            home.create()
            nights(home).hold("\n".join(held))
        try:
            stack = up(home)
            os.environ |= environment.read(home)
            if demo:
                load(stack, None)
            yield stack, AirflowApi.of(stack)
        finally:
            down(home)
            os.environ.clear()
            os.environ.update(before)


def wait(ready: Callable[[], bool], seconds: float = 900) -> None:
    """Return once it is ready; an error after so many seconds."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "Airflow did not get there"
        time.sleep(0.25)
