"""What replays keep in the storage, so that workers of every host and the next run share it.

There is a folder for each state of description and code (`<pipeline>/kept/<state>/`), as on a machine's own
disk. An object is what was stored together, named by the last of its entries, and created once: two workers
that have computed the same write the same. Everything here can be computed again, so a store that cannot be
written, or an object that somebody deletes, costs time and nothing else.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from evergreen.errors import ConflictError, EvergreenError
from evergreen.storage import Storage

STATES = 3  # folders of a pipeline
LARGEST = 4 * 2**30  # bytes of one; a larger one is cleared
SHARED = ("challenger/", "verdict/", "reference/")
"""What is worth a request: a night is measured in less time than the rest takes to be looked for."""

_USED = "used"
_log = logging.getLogger(__name__)


class Kept:
    """Entries by name, in the folder of the storage that `uri` names (`s3://...`)."""

    def __init__(self, uri: str) -> None:
        self._storage: Storage | None = Storage.open(uri)

    def find(self, name: str) -> dict[str, bytes]:
        """The entry and those stored with it; nothing where it is not there."""
        if self._storage is None or not name.startswith(SHARED):
            return {}
        try:
            found = self._storage.find(name)
        except EvergreenError as error:
            self._give_up(error)
            return {}
        return {} if found is None else _taken_apart(found.body)

    def put(self, bodies: Mapping[str, bytes]) -> None:
        """Store entries as one object, named by the last of them."""
        *_, name = bodies
        if self._storage is None or not name.startswith(SHARED):
            return
        try:
            self._storage.create(name, _together(bodies))
        except ConflictError:
            pass  # another worker was first, with the same
        except EvergreenError as error:
            self._give_up(error)

    def _give_up(self, error: EvergreenError) -> None:
        _log.warning("results are not shared through the storage: %s", error)
        self._storage = None


def enter(storage: Storage, pipeline: str, state: str, *, fresh: bool = False) -> str | None:
    """The address of a pipeline's folder for a state, which counts as used now; None without a way to write.

    `fresh` empties it first. Folders beyond the `STATES` used last are deleted: a run that uses one of them
    computes again what it misses.
    """
    there = storage.child(f"{pipeline}/kept")
    try:
        sizes = [entry.size for entry in there.look(f"{state}/")]
        if fresh or sum(sizes) > LARGEST:
            there.delete_all(f"{state}/")
        there.stage(f"{state}/{_USED}", b"")
        used = {
            name: max(entry.modified for entry in there.look(f"{name}/{_USED}") or there.look(f"{name}/"))
            for name in there.folders("")
            if name != state
        }
        for old in sorted(used, key=lambda name: used[name], reverse=True)[STATES - 1 :]:
            there.delete_all(f"{old}/")
    except EvergreenError as error:
        _log.warning("results are not shared through the storage: %s", error)
        return None
    return there.uri(state)


def _together(bodies: Mapping[str, bytes]) -> bytes:
    """Entries as one body: a line that names them with their lengths, then one after the other."""
    head = json.dumps({name: len(body) for name, body in bodies.items()}).encode()
    return b"\n".join([head, b"".join(bodies.values())])


def _taken_apart(body: bytes) -> dict[str, bytes]:
    head, _, rest = body.partition(b"\n")
    found, start = {}, 0
    for name, length in json.loads(head).items():
        found[name] = rest[start : start + length]
        start += length
    return found
