"""A process of several threads that all promote a version of their own at one agreed instant.

Rounds come in a line each (JSON: `over`, the champion of the round's beginning, and `promoters`, the versions
of the threads). When all versions are committed the process says `ready`; the line that answers holds the
instant (monotonic seconds, the same clock in all processes), and what became of each thread goes out.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

from evergreen.errors import ConflictError, EvergreenError
from evergreen.registry.registry import Registry
from evergreen.storage import Storage

PIPELINE = "bikes"
AS_OF = "snapshot"


def main() -> None:
    """Serve rounds until standard input ends."""
    storage = Storage.open().child(PIPELINE)
    registries: dict[int, Registry] = {}
    for line in sys.stdin:
        job = json.loads(line)
        for number, version in enumerate(job["promoters"]):
            registry = registries.setdefault(number, Registry(storage, PIPELINE))
            if not registry.has(version):
                registry.commit(version, {"model.skops": version.encode()})
        say("ready")
        at = float(sys.stdin.readline())
        ended: list[dict[str, Any]] = []
        threads = [
            threading.Thread(target=promote, args=(registries[number], version, job["over"], at, ended))
            for number, version in enumerate(job["promoters"])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        say(ended)


def promote(
    registry: Registry, version: str, over: str | None, at: float, ended: list[dict[str, Any]]
) -> None:
    """Promote the version at the instant, and add what became of it."""
    outcome: dict[str, Any] = {"version": version, "pid": os.getpid()}
    while (left := at - time.monotonic()) > 0:
        time.sleep(left)
    try:
        event = registry.promote(version, AS_OF, {"by": version}, over=over)
        outcome |= {"how": "won", "seq": event.seq}
    except ConflictError as error:
        outcome |= {"how": "lost", "text": str(error)}
    except EvergreenError as error:
        outcome |= {"how": type(error).__name__, "text": str(error)}
    ended.append(outcome)


def say(document: Any) -> None:
    """A line to whoever asked."""
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    main()
