"""Many promoters at one instant: exactly one wins, and the others are told who."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from evergreen.registry.registry import Registry
from evergreen.storage import Storage
from tests.campaign import rounds
from tests.faults.forks import ROOT
from tests.faults.promoters import AS_OF, PIPELINE

PROCESSES, THREADS, ROUNDS = rounds(2, 4), 8, rounds(6, 50)


@contextmanager
def promoters(storage: Storage) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes of `tests.faults.promoters` at a store."""
    environment = {
        **os.environ,
        "EVERGREEN_STORAGE": storage.uri(),
        "AWS_ENDPOINT_URL": storage.credentials.endpoint_url or "",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }
    command = [sys.executable, "-m", "tests.faults.promoters"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    running = [subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) for _ in range(PROCESSES)]
    try:
        yield running
    finally:
        for process in running:
            process.stdin.close()
        for process in running:
            process.wait(120)


def ask(process: subprocess.Popen[str], document: Any) -> None:
    process.stdin.write(json.dumps(document) + "\n")


def answer(process: subprocess.Popen[str]) -> Any:
    line = process.stdout.readline()
    assert line, "a process of promoters died"
    return json.loads(line)


def race(
    running: Sequence[subprocess.Popen[str]], over: str | None, versions: Sequence[str]
) -> list[dict[str, Any]]:
    """What became of every promoter of one round."""
    for number, process in enumerate(running):
        ask(process, {"over": over, "promoters": versions[number * THREADS : (number + 1) * THREADS]})
    for process in running:
        assert answer(process) == "ready"
    at = time.monotonic() + 0.05
    for process in running:
        ask(process, at)
    return [outcome for process in running for outcome in answer(process)]


@pytest.mark.timeout(rounds(300, 3600))
def test_of_many_promoters_at_a_barrier_one_wins_each_round(storage: Storage, tell):
    versions = [f"{AS_OF}-{number:03d}" for number in range(PROCESSES * THREADS)]
    champion: str | None = None
    winners: list[str] = []
    pids: Counter[int] = Counter()
    with promoters(storage) as running:
        for number in range(1, ROUNDS + 1):
            ended = race(running, champion, versions)
            won = [outcome for outcome in ended if outcome["how"] == "won"]
            lost = [outcome for outcome in ended if outcome["how"] == "lost"]
            assert [(outcome["seq"]) for outcome in won] == [number], ended
            assert len(lost) == PROCESSES * THREADS - 1, ended
            champion = won[0]["version"]
            # Each loser is told in one line, with the winner's name and number.
            assert all(f"{champion} was promoted by " in outcome["text"] for outcome in lost)
            assert all(f"(event {number})" in outcome["text"] for outcome in lost)
            assert not any("\n" in outcome["text"] for outcome in lost)
            winners.append(champion)
            pids[won[0]["pid"]] += 1
            # Losers try the same version again, the winner has a new one.
            versions[versions.index(champion)] = f"{AS_OF}-{PROCESSES * THREADS + number:03d}"
    registry = Registry(storage.child(PIPELINE), PIPELINE)
    events = registry.history()
    tell(
        f"{ROUNDS} rounds of {PROCESSES * THREADS} promoters in {PROCESSES} processes: {len(winners)} won, "
        f"{ROUNDS * (PROCESSES * THREADS - 1)} told who won; wins by process {sorted(pids.values())}; "
        f"{len(events)} events"
    )
    assert [event.seq for event in events] == list(range(1, ROUNDS + 1))
    assert [event.version for event in events] == winners
    assert [event.replaces for event in events] == [None, *winners[:-1]]
    assert registry.champion() == champion
    assert json.loads(storage.read(f"{PIPELINE}/champion.json").body)["version"] == champion
    assert registry.verify() == []
    assert len(pids) >= rounds(1, 2)  # who is first in a few rounds is luck
