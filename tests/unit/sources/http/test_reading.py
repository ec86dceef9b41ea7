"""The chains of requests of `for_each`: the order of their rows, what they have in common, their limits."""

from __future__ import annotations

import json
import random
import threading
import time

import pytest

from evergreen.errors import SourceError, UnavailableError
from tests.http_peers import Asked, Said, serving
from tests.unit.sources.http.shop import PAGES, SALES, STORES, parts, read, shop, source


@pytest.mark.parametrize("parallel", [1, 2, 4, 32])
def test_rows_stand_in_the_order_of_the_values_whatever_the_answers_do(parallel: int) -> None:
    delays = random.Random(parallel)

    def slowly(asked: Asked) -> Said:
        time.sleep(delays.random() * 0.02)
        return shop(asked)

    with serving(shop) as peer:
        whole = read(peer, source()).table()
    assert whole["sale"].to_pylist() == SALES
    assert whole["store"].to_pylist() == [float(sale[0]) for sale in SALES]
    assert whole.schema.names == ["sale", "n", "only_1", "only_2", "only_0", "store"]
    for _ in range(3):
        with serving(slowly) as peer:
            table = read(peer, source(parallel=parallel)).table()
        assert table.equals(whole)
        assert len(peer.asked) == 1 + 7 * PAGES


def test_requests_are_in_flight_at_the_same_time_and_no_more_of_them() -> None:
    together, lock = threading.Barrier(3), threading.Lock()
    running, most = 0, 0

    def behave(asked: Asked) -> Said:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if parts(asked)[0] <= 3:
            together.wait(30)
        with lock:
            running -= 1
        return Said(body=b'{"data": []}')

    with serving(behave) as peer:
        read(peer, source(parallel=3, for_each={"store": STORES})).table()
    assert most == 3


def test_a_value_far_ahead_waits_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evergreen.sources.http.reading._AHEAD", 3)
    asked_then: list[int] = []

    def behave(asked: Asked) -> Said:
        store = parts(asked)[0]
        if store == 1:
            time.sleep(0.3)
            asked_then.extend(parts(one)[0] for one in peer.asked)
        return Said(body=json.dumps({"data": [{"n": store}]}).encode())

    with serving(behave) as peer:
        table = read(peer, source(parallel=2)).table()
    assert max(asked_then) <= 3
    assert table["n"].to_pylist() == STORES


def test_the_rate_is_shared() -> None:
    with serving(lambda asked: Said(body=b'{"data": []}')) as peer:
        began = time.monotonic()
        read(peer, source(parallel=4, rate="40 per second")).table()
        assert time.monotonic() - began >= 7 / 40


@pytest.mark.parametrize("parallel", [1, 4])
def test_bytes_are_those_of_all_values(parallel: int) -> None:
    size = len(shop(Asked("GET", "/stores/1/sales", {}, b"")).body)
    with serving(shop) as peer:
        read(peer, source(max_bytes=size * 40, parallel=parallel)).table()
        with pytest.raises(SourceError, match="raise max_bytes"):
            read(peer, source(max_bytes=size * 20, parallel=parallel))


@pytest.mark.parametrize("parallel", [1, 4])
def test_time_is_that_of_all_values(parallel: int) -> None:
    def slowly(asked: Asked) -> Said:
        time.sleep(0.1)
        return shop(asked)

    brief = source(parallel=parallel, timeout="1 second")
    with serving(slowly) as peer, pytest.raises(UnavailableError, match=r"^store \d: .*timeout is over"):
        read(peer, brief.model_copy(update={"timeout": brief.timeout / 4}))


def test_pages_are_those_of_one_value() -> None:
    with serving(shop) as peer:
        read(peer, source(max_pages=PAGES)).table()
        with pytest.raises(SourceError, match=r"store 1: .*more than 3 pages"):
            read(peer, source(max_pages=PAGES - 1))


def test_an_error_ends_the_waiting_of_the_others() -> None:
    def behave(asked: Asked) -> Said:
        store = parts(asked)[0]
        return Said(429, b"", {"Retry-After": "200"}) if store == 1 else Said(400 if store == 2 else 200)

    began = time.monotonic()
    with serving(behave) as peer, pytest.raises(SourceError, match=r"store 2: .*answered 400"):
        read(peer, source(parallel=2))
    assert time.monotonic() - began < 60
