"""Alerts of a server: once for each version and outage, whoever looks how often, and that it is over."""

from __future__ import annotations

import time
from typing import Any

import pytest

from evergreen.alerts.served import ServedAlerts
from evergreen.pipeline import Pipeline
from evergreen.serving.told import Told
from evergreen.storage import Storage
from tests.unit.alerts.test_delivery import connect, spec_with

A, B, C = (f"2024-01-05-{letter * 12}" for letter in "abc")


@pytest.fixture
def pipeline(storage: Storage, webhook: Any, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    connect(monkeypatch, "ops", webhook.address)
    return Pipeline(spec_with(ops="warning"), storage)


def told(version: str | None, champion: str, *out: str, seen: float | None = None) -> Told:
    seen = time.monotonic() if seen is None else seen
    return Told(True, version, champion, "", seen, 0.0, out=dict.fromkeys(out, "a prediction differs"))


def unread(seen: float) -> Told:
    return Told(True, A, A, "", seen, 0.0, unread=True)


def test_each_version_that_stays_out_is_told_once_and_its_end_once(pipeline: Pipeline, webhook: Any) -> None:
    servers = [ServedAlerts([pipeline], 600) for _ in range(2)]

    def look(*workers: Told) -> list[str]:
        before = len(webhook.requests)
        for server in servers * 2:
            server([{"kiosk": worker} for worker in workers])
        return webhook.subjects[before:]

    assert look(told(A, A)) == []
    assert look(told(A, B)) == []  # it is being loaded
    assert look(told(A, B), told(A, B, B)) == []  # by one of the workers
    assert look(told(A, B, B), told(B, B)) == [f"[warning] kiosk: version {B} is not served"]
    assert "a prediction differs" in webhook.requests[0].body["message"]
    assert look(told(A, C, C)) == [
        f"[over] kiosk: version {B} is not served",
        f"[warning] kiosk: version {C} is not served",
    ]
    assert look(told(A, A)) == [f"[over] kiosk: version {C} is not served"]
    assert look(told(None, B, B)) == [f"[critical] kiosk: version {B} is not served"]


def test_a_storage_that_is_out_of_reach_is_told_without_it(
    pipeline: Pipeline, webhook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = ServedAlerts([pipeline], 600)
    now = time.monotonic()
    alerts([{"kiosk": told(A, A)}])
    with monkeypatch.context() as down:
        down.setattr("evergreen.alerts.served.time.monotonic", lambda: now + 5000)
        down.setattr("evergreen.alerts.served.read_book", None)  # no reading of the storage now
        down.setattr("evergreen.alerts.served.notify", None)
        alerts([{"kiosk": told(A, B, seen=now)}])  # a load takes long
        assert webhook.subjects == []
        for _ in range(3):
            alerts([{"kiosk": unread(now)}])
        assert webhook.subjects == ["[warning] kiosk: the server cannot read the storage"]
        for _ in range(2):
            alerts([{"kiosk": told(A, A, seen=now + 4999)}])
    assert webhook.subjects[1:] == ["[over] kiosk: the server cannot read the storage"]
