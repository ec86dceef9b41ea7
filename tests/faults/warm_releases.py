"""A program that imports everything once and then forks a process for each attempt to release a model.

It speaks as `tests.faults.warm` does: a job a line comes in, what happens goes out, a JSON document a line.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from evergreen.errors import EvergreenError
from evergreen.registry.registry import Registry
from evergreen.storage import Credentials, Storage
from tests.faults.releases import registry_of, release


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
    _warm_up()
    say(event="ready")
    for line in sys.stdin:
        _attempt(storage, setup["key"], json.loads(line), say)


def _attempt(storage: Storage, key: str, job: dict[str, Any], say: Callable[..., None]) -> None:
    pid = os.fork()
    if not pid:
        try:
            _child(registry_of(storage.child(job["prefix"]), key), job, say)
        finally:
            os._exit(1)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    say(event="exit")
    sys.stdin.readline()
    os.waitpid(pid, 0)


def _child(registry: Registry, job: dict[str, Any], say: Callable[..., None]) -> None:
    say(event="opened", pid=os.getpid())
    error: dict[str, Any] | None = None
    try:
        if job["work"] == "rollback":
            registry.rollback(reason={"attempt": job["attempt"]})
        elif job["work"] == "clean":
            registry.clean(timedelta(seconds=-1))  # also what happened within this second
        else:
            release(registry, job["version"], job["attempt"])
    except EvergreenError as known:
        error = {"kind": type(known).__name__, "text": str(known), "known": True, "trace": ""}
    except BaseException as unknown:  # noqa: BLE001 - whatever it is, the test must hear of it
        trace = traceback.format_exc()[-3000:]
        error = {"kind": type(unknown).__name__, "text": str(unknown), "known": False, "trace": trace}
    say(event="end", error=error)


def _warm_up() -> None:
    """Import what signing needs: the first time takes seconds."""
    from model_signing import signing, verifying

    assert signing
    assert verifying
    # Python tries the folder out with a file that has a name, once a process.
    tempfile.gettempdir()
    gc.freeze()  # a process that is forked would copy all that its collector looks at


if __name__ == "__main__":
    main()
