"""What several workers say together."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from evergreen.serving.meters import Meters
from evergreen.serving.told import Condition, Told, ToldCanary, ToldShadow, furthest_behind
from evergreen.serving.worker import Worker, any_has_looked, covers, forget

PATIENCE = 1e6  # seconds: no run of these tests takes so long
NOW = time.monotonic()


def told(version: str | None = "b", *, seen: float = NOW, loaded: float = NOW, taken: bool = True) -> Told:
    canary = ToldCanary("c", 0.25, taken)
    return Told(version is not None, version, "b", "", seen, loaded, canary, ToldShadow("d", taken), 1000.0)


@pytest.mark.parametrize(
    ("worker", "condition"),
    [
        (told(), Condition.CURRENT),
        (told(seen=NOW - 2 * PATIENCE), Condition.STALE),
        (told("a"), Condition.BEHIND),
        (told(None), Condition.NOT_LOADED),
    ],
)
def test_the_worker_that_is_furthest_behind_speaks_for_all(worker: Told, condition: Condition) -> None:
    found = furthest_behind([told(), worker, told()], patience=PATIENCE)
    assert found.condition(PATIENCE) == condition
    assert found.document(PATIENCE)["version"] == worker.version


def test_figures_are_the_least_of_the_workers_and_ages_the_largest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evergreen.serving.meters.time.monotonic", lambda: NOW)
    workers = [{"p": told(loaded=NOW - 50)}, {"p": told("a", seen=NOW - 90)}, {"p": told(taken=False)}]
    text = Meters(lambda: workers).read().decode()
    found = {
        (sample.name.removeprefix("evergreen_serving_"), sample.labels.get("version")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["up", None] == 1
    assert found["current", None] == 0
    assert found["canary_share", "c"] == 0
    assert found["shadow_asked", "d"] == 0
    assert found["look_back_end_seconds", None] == 1000
    assert found["storage_age_seconds", None] == 90
    assert found["model_age_seconds", "b"] == 50
    assert found["model_age_seconds", "a"] == 0


def test_a_worker_covers_what_the_others_can_answer() -> None:
    both, one = {"p": told(), "q": told()}, {"p": told(), "q": told(None)}
    assert covers(both, [one, both])
    assert covers(one, [one])  # nobody can answer for q
    assert not covers(one, [one, both])
    assert covers(one, [])


def test_workers_hear_of_each_other_until_one_is_forgotten(tmp_path: Path) -> None:
    first, second = Worker(tmp_path, 0, 2, first=True), Worker(tmp_path, 1, 2)
    first.tell({"p": told(None)}, has_looked=False)
    assert (second.others(), any_has_looked(tmp_path)) == ([], False)
    first.answers = True
    first.tell({"p": told()}, has_looked=True)
    assert second.others() == [{"p": told()}]
    assert first.others() == []
    assert any_has_looked(tmp_path)
    forget(tmp_path, 0)
    assert (second.others(), any_has_looked(tmp_path)) == ([], False)
