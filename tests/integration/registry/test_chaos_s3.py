"""Calls to the S3 server break while models are released, also when the server has done what it was asked."""

from __future__ import annotations

import copy
import random
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from botocore.retries.standard import ExponentialBackoff

from evergreen.errors import EvergreenError
from evergreen.storage import Credentials, Storage
from tests.campaign import FULL, rounds, seed
from tests.faults.releases import check_history, check_pointer, new_key, phase_of, registry_of, release
from tests.faults.s3_proxy import WEIGHTS, Fault, Plan, S3Proxy, Script
from tests.faults.warm import ImpatientStorage

SEED = seed(20240202)
FAULTS = rounds(0, 300)  # at random, after each in each phase
WRITERS = 3
PHASES = ("looking", "upload", "signature", "manifest", "history", "pointer")
ATTEMPTS = 6  # under fire; then the fire is out for all
RELEASES = rounds(2, 4)  # of each writer in one store
# A client waits a whole time-out for a silent server.
HASTY = {fault: weight if "silence" in fault else 3 * weight for fault, weight in WEIGHTS.items()}


@pytest.fixture
def proxy(storage: Storage, s3_server: str) -> Iterator[S3Proxy]:
    """Stands between the registry and the S3 server."""
    with S3Proxy(s3_server) as running:
        yield running


@pytest.fixture
def impatient(proxy: S3Proxy, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The store as it is through the proxy, by a client that tries a call three times in quick succession."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.02)
    return ImpatientStorage(storage.bucket, "", Credentials(proxy.address, access_key="t", secret_key="t"))


class _Writer:
    """Releases one version after the other, each until it succeeds, and rolls back now and then."""

    def __init__(self, number: int, storage: Storage, key: str, seed: str) -> None:
        self.number, self.storage, self.key = number, storage, key
        self.draw = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self.released: list[str] = []

    def run(self) -> None:
        for day in range(1, RELEASES + 1):
            version = f"2024-{self.number + 1:02d}-{day:02d}-v"
            if not self._until_done(version):
                self.problems.append(f"{version} was never released")
            self.released.append(version)

    def _until_done(self, version: str) -> bool:
        for attempt in range(ATTEMPTS + 1):
            try:
                event = release(registry_of(self.storage, self.key), version, attempt)
                assert event.version == version
            except EvergreenError as error:
                self.counts[type(error).__name__] += 1
                if "\n" in str(error):
                    self.problems.append(str(error))
            except Exception as error:  # noqa: BLE001 - no other error may come out
                self.problems.append(f"{type(error).__name__}: {error}")
            else:
                self.counts["released"] += 1
                return True
        return False


def each_once(proxy: S3Proxy, seen: Storage, store: Storage, key: str) -> list[str]:
    """Releases under every fault, one after the other; returns what is wrong.

    The first meets the fault once in each phase, in an empty store; the second where there is a champion; for
    the third it lasts through all that the client tries to write the event and the pointer. Every other fault
    is met by the second, the rest by the third, and in a campaign all by both. Of silence, for which a client
    waits, there is less.
    """
    once, writes = dict.fromkeys(PHASES, 1), {"history": 1, "pointer": 1}
    problems = []
    for number, fault in enumerate(Fault):
        here, there = store.child(f"fault-{number}"), seen.child(f"fault-{number}")
        versions = [f"2024-01-{day:02d}-v" for day in (1, 2, 3)]
        for_good = dict.fromkeys(writes, 4)
        met = (once, writes, {}) if "silence" in fault else (once, once, for_good)
        if not FULL:
            versions, met = versions[:2], (met[0], met[1 + number % 2])
        for version, times in zip(versions, met, strict=True):
            proxy.plan = Script(fault, times, phase_of)
            for attempt in range(ATTEMPTS):
                try:
                    release(registry_of(there, key), version, attempt)
                    break
                except EvergreenError as error:
                    problems += [str(error)] if "\n" in str(error) else []
            else:
                problems.append(f"{fault}: {version} was never released")
            proxy.plan = None
            release(registry_of(here, key), version, 99)  # as the task's retry does when the fire is out
            problems += check_pointer(here, key)
        problems += check_history(here, key)
        events = [event.version for event in registry_of(here, key).history()]
        if events != versions:
            problems.append(f"{fault}: released {versions}, in the history are {events}")
    return problems


@pytest.mark.timeout(rounds(300, 3600))
def test_each_call_of_releases_breaks_in_each_way(proxy, impatient, storage, tell):
    key, draw = new_key(), random.Random(SEED)
    problems = each_once(proxy, impatient, storage, key)
    places = {(phase_of(call), call.fault) for call in proxy.calls if call.fault}
    assert {(phase, fault) for phase in PHASES for fault in Fault} - places == set()
    wanted = proxy.counts().total() + FAULTS
    counts: Counter[str] = Counter()
    stores = looks = 0
    while proxy.counts().total() < wanted:
        store, seen = storage.child(f"store-{stores}"), impatient.child(f"store-{stores}")
        # Most releases succeed in the end: some stores are worse.
        proxy.plan = Plan(SEED + stores, draw.choice((0.08, 0.15, 0.25)), weights=HASTY)
        writers = [_Writer(n, copy.copy(seen), key, f"{SEED} {stores} {n}") for n in range(WRITERS)]
        threads = [threading.Thread(target=writer.run) for writer in writers]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            problems += check_pointer(store, key)
            looks += 1
            threads[looks % WRITERS].join(0.1)
        proxy.plan = None
        released = {version for writer in writers for version in writer.released}
        for writer in writers:
            problems += [text for text in writer.problems if "never released" not in text]
            counts.update(writer.counts)
        registry = registry_of(store, key)
        for version in sorted(released):
            release(registry, version, 99)  # as the task's retry does when the fire is out
        problems += check_history(store, key)
        events = [event.version for event in registry.history()]
        if sorted(events) != sorted(released):
            problems.append(f"released {sorted(released)}, in the history are {sorted(events)}")
        counts["events"] += len(events)
        stores += 1
    faults = proxy.counts()
    tell(
        f"broke {faults.total()} of {len(proxy.calls)} calls ({dict(faults.most_common())}) in {stores} "
        f"stores; {dict(counts)}; {looks} looks at the pointer, {len(problems)} problems"
    )
    assert problems == []
    assert all(faults[fault] >= 3 for fault in Fault)
    assert counts["released"] >= stores
    assert looks >= stores
