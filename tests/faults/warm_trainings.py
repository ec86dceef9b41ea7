"""A program that imports everything once and then forks a process for each attempt to train.

It speaks as `tests.faults.warm` does: a job a line comes in, what happens goes out, a JSON document a line.
The libraries are imported and compute nothing here: a fork would lose their threads.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evergreen.errors import EvergreenError
from evergreen.storage import Credentials, Storage
from tests.faults.trainings import LIBRARIES, TrainingJob, opened


def main() -> None:
    """Serve jobs until standard input ends."""
    channel = os.dup(1)
    os.dup2(2, 1)

    def say(**document: Any) -> None:
        os.write(channel, (json.dumps({**document, "at": time.monotonic()}) + "\n").encode())

    setup = json.loads(sys.stdin.readline())
    storage = Storage(
        setup["bucket"], "", Credentials(setup["endpoint"], access_key="test", secret_key="test")
    )
    storage._client  # noqa: B018 - made here, with no connection yet, once for all attempts
    for library in (*LIBRARIES, "sklearn.ensemble", "skops.io"):
        importlib.import_module(library)
    gc.freeze()  # a process that is forked would copy all that its collector looks at
    say(event="ready")
    for line in sys.stdin:
        _attempt(storage, TrainingJob(**json.loads(line)), say)


def _attempt(storage: Storage, job: TrainingJob, say: Callable[..., None]) -> None:
    pid = os.fork()
    if not pid:
        try:
            _child(storage, job, say)
        finally:
            os._exit(1)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    say(event="exit")
    sys.stdin.readline()
    os.waitpid(pid, 0)


def _child(storage: Storage, job: TrainingJob, say: Callable[..., None]) -> None:
    pipeline = opened(Path(job.folder), job.library, storage.child(job.prefix))
    say(event="opened", pid=os.getpid())
    error: dict[str, Any] | None = None
    try:
        for name, step in job.steps():
            step(pipeline)
            say(event="step", step=name)
    except EvergreenError as known:
        error = {"kind": type(known).__name__, "text": str(known), "known": True, "trace": ""}
    except BaseException as unknown:  # noqa: BLE001 - whatever it is, the test must hear of it
        trace = traceback.format_exc()[-3000:]
        error = {"kind": type(unknown).__name__, "text": str(unknown), "known": False, "trace": trace}
    say(event="end", error=error)


if __name__ == "__main__":
    main()
