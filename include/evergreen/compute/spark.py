"""Items computed by the executors of a Spark master, each as a job of its own.

A job of many tasks is given up as a whole where one of them fails too often. One job an item leaves the
others alone, and what was lost is begun again from here.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
import uuid
from contextlib import suppress
from functools import partial
from typing import Any

from evergreen.compute.elsewhere import call_here, called, code
from evergreen.compute.steps import Told
from evergreen.compute.task import LostError, Outcome, Task
from evergreen.errors import NotInstalledError, UnavailableError, one_line

ALONE = 60.0  # seconds without any executor
_LOOK = 5.0


class Spark:
    """The executors of the master at an address, such as `spark://host:7077`."""

    at_once = 32  # jobs; each waits in a thread

    def __init__(self, task: Task, address: str) -> None:
        try:
            from pyspark.sql import SparkSession
        except ImportError:
            raise NotInstalledError(
                "EVERGREEN_COMPUTE: Spark is not installed here: pip install -r requirements-spark.txt"
            ) from None
        # The workers have the same image, and with it the same interpreter.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        settings = {"spark.ui.enabled": "false", "spark.log.level": "ERROR"}
        if paths := os.environ.get("PYTHONPATH"):
            settings["spark.executorEnv.PYTHONPATH"] = paths
        builder = SparkSession.builder.master(address).appName("evergreen").config(map=settings)
        try:
            # One a process, which the tasks after this one use too: it takes seconds to begin.
            self._context: Any = builder.getOrCreate().sparkContext
        except Exception as error:  # noqa: BLE001 - Java's, a missing Java, a master that does not answer
            raise UnavailableError(
                f"EVERGREEN_COMPUTE: Spark cannot begin at {address} ({_cause(error)}): start its master, "
                "name another, or install Java 17 or 21"
            ) from None
        self._address, self._task = address, task
        self._sent = self._context.broadcast(task.pickled)
        self._group, self._closed = f"evergreen-{uuid.uuid4().hex}", threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def call(self, item: Any, seconds: float, told: Told) -> Outcome:
        """What comes of an item on whichever executor takes it."""
        body = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        compute = partial(_on_executor, self._sent, self._task.name, seconds, code())
        try:
            self._context.setJobGroup(self._group, "evergreen")
            (answer,) = self._context.parallelize([body], 1).map(compute).collect()
        except Exception as error:  # noqa: BLE001 - whatever it is, the item has no outcome
            raise LostError(_cause(error)) from None
        return called(answer, told)

    def _watch(self) -> None:
        """Give up all jobs where there has been no executor for a while: they would wait for ever."""
        alone_since = None
        while not self._closed.wait(_LOOK):
            with suppress(Exception):
                executors = self._context._jsc.sc().getExecutorMemoryStatus().size() - 1  # one is this
                if executors > 0:
                    alone_since = None
                    continue
                alone_since = alone_since or time.monotonic()
                if time.monotonic() - alone_since > ALONE:
                    self._context.cancelJobGroup(self._group)

    def close(self) -> None:
        """Give up what still computes, and let the executors forget the task."""
        self._closed.set()
        with suppress(Exception):
            self._context.cancelJobGroup(self._group)
            self._sent.destroy()


def _on_executor(sent: Any, name: str, seconds: float, expected: dict[str, str], item: bytes) -> Any:
    return call_here(sent.value, name, item, seconds, expected)


def _cause(error: Exception) -> str:
    """The line of Java's exception that says something, or of Python's."""
    java = getattr(error, "java_exception", None)
    return one_line(java.getMessage() if java is not None else error)
