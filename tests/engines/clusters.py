"""Clusters of two workers on this machine, of which one may be killed as a host that is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.servers import unused_port

_WAIT = 120.0  # seconds


class Cluster:
    """A scheduler or master, and its workers, each a process with all that it has started."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder = folder
        self._variables = {**os.environ, **variables}
        self.port = unused_port()
        self._all: list[subprocess.Popen[bytes]] = []
        self._head = self._start(self.head())
        self._await_head()
        self.workers = [self._start(self.worker()) for _ in range(2)]

    @property
    def address(self) -> str:
        """What `EVERGREEN_COMPUTE` is for it."""
        raise NotImplementedError

    def head(self) -> list[str]:
        raise NotImplementedError

    def worker(self) -> list[str]:
        raise NotImplementedError

    def kill_one(self) -> None:
        """Kill a worker and all its processes, and let another take its place in the cluster."""
        os.killpg(self.workers.pop(0).pid, signal.SIGKILL)
        self.workers.append(self._start(self.worker()))

    def without_workers(self) -> None:
        """Kill all workers."""
        while self.workers:
            os.killpg(self.workers.pop().pid, signal.SIGKILL)

    def with_workers(self) -> None:
        """Start workers again."""
        self.workers += [self._start(self.worker()) for _ in range(2)]

    def close(self) -> None:
        """Kill everything that was started."""
        for one in self._all:
            with suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.wait(60)

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._folder / f"{len(self._all)}.log").open("wb") as log:
            started = subprocess.Popen(
                command,
                env=self._variables,
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._all.append(started)
        return started

    def _await_head(self) -> None:
        end = time.monotonic() + _WAIT
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._head.poll() is None, (self._folder / "0.log").read_text()
                time.sleep(0.1)
        raise AssertionError((self._folder / "0.log").read_text())


class DaskCluster(Cluster):
    """A Dask scheduler with workers of one thread, which no nanny replaces."""

    @property
    def address(self) -> str:
        return f"dask://127.0.0.1:{self.port}"

    def head(self) -> list[str]:
        return [*_MODULE, "distributed.cli.dask_scheduler", *_DASK, "--port", str(self.port)]

    def worker(self) -> list[str]:
        where = f"tcp://127.0.0.1:{self.port}"
        return [*_MODULE, "distributed.cli.dask_worker", where, *_DASK, "--nthreads", "1", "--no-nanny"]


_MODULE = [sys.executable, "-m"]
_DASK = ["--host", "127.0.0.1", "--no-dashboard"]


class SparkCluster(Cluster):
    """A Spark master with workers of one core."""

    @property
    def address(self) -> str:
        return f"spark://127.0.0.1:{self.port}"

    def head(self) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--webui-port", "0"]
        return [_spark_class(), "org.apache.spark.deploy.master.Master", *where]

    def worker(self) -> list[str]:
        size = ["--cores", "1", "--memory", "1g", "--host", "127.0.0.1", "--webui-port", "0"]
        return [_spark_class(), "org.apache.spark.deploy.worker.Worker", *size, self.address]


def _spark_class() -> str:
    import pyspark

    return str(Path(pyspark.__file__).parent / "bin" / "spark-class")
