"""The proxy passes calls on untouched, and breaks those that its plan names as it says."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from evergreen.storage import Credentials, Storage
from tests.faults.s3_proxy import Call, Fault, Plan, S3Proxy

BODY = bytes(range(256)) * 400


@pytest.fixture
def proxy(s3_server: str) -> Iterator[S3Proxy]:
    with S3Proxy(s3_server) as running:
        yield running


def through(
    proxy: S3Proxy, method: str, path: str, body: bytes | None = None, patience: float = 60
) -> tuple[int, bytes]:
    """One request by way of the proxy: its status and body. It waits `patience` seconds for an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=patience)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def get(proxy: S3Proxy, storage: Storage, key: str) -> tuple[int, bytes]:
    """Read an object by way of the proxy."""
    what = {"Bucket": storage.bucket, "Key": key}
    signed = urlsplit(storage._client.generate_presigned_url("get_object", what))
    return through(proxy, "GET", f"{signed.path}?{signed.query}")


def only(fault: Fault) -> Plan:
    return Plan(1, 1.0, weights={fault: 1})


def test_whole_calls_pass_and_are_noted(proxy, storage):
    path = f"/{storage.bucket}/a/b%20c"
    assert through(proxy, "PUT", path, BODY)[0] == 200
    assert get(proxy, storage, "a/b c") == (200, BODY)
    assert storage.read("a/b c").body == BODY
    assert [(call.method, call.key, call.fault) for call in proxy.calls] == [
        (method, "a/b c", None) for method in ("PUT", "GET")
    ]


def test_a_whole_client_works_through_it(proxy, storage):
    client = Storage(storage.bucket, "", Credentials(proxy.address, access_key="k", secret_key="s"))
    client.stage("x", BODY)
    client.create("y", b"")
    assert (client.read("x").body, client.list(""), client.delete_all("")) == (BODY, ["x", "y"], 2)


@pytest.mark.parametrize(("fault", "status"), [(Fault.ERROR, 500), (Fault.SLOW_DOWN, 503)])
def test_a_refused_call_never_reaches_the_server(proxy, storage, fault, status):
    proxy.plan = only(fault)
    assert through(proxy, "PUT", f"/{storage.bucket}/x", BODY)[0] == status
    assert not storage.exists("x")


@pytest.mark.parametrize(
    ("fault", "error", "written"),
    [
        (Fault.RESET, ConnectionResetError, False),
        (Fault.RESET_AFTER, ConnectionResetError, True),
        (Fault.SILENCE, TimeoutError, False),
        (Fault.SILENCE_AFTER, TimeoutError, True),
        (Fault.TRUNCATED, http.client.HTTPException, True),
    ],
)
def test_a_broken_write_is_done_or_not(proxy, storage, fault, error, written):
    proxy.plan = only(fault)
    with pytest.raises(error):
        through(proxy, "PUT", f"/{storage.bucket}/x", BODY, patience=2 if error is TimeoutError else 60)
    assert storage.exists("x") == written
    assert proxy.counts() == {str(fault): 1}


def test_an_error_after_the_write(proxy, storage):
    proxy.plan = only(Fault.ERROR_AFTER)
    assert through(proxy, "PUT", f"/{storage.bucket}/x", BODY)[0] == 500
    assert storage.exists("x")


def test_a_truncated_answer_ends_in_its_middle(proxy, storage):
    storage.stage("x", BODY)
    proxy.plan = only(Fault.TRUNCATED)
    with pytest.raises(http.client.IncompleteRead) as told:
        get(proxy, storage, "x")
    assert told.value.partial == BODY[: len(BODY) // 2]


def test_a_slow_answer_comes_whole(proxy, storage):
    storage.stage("x", BODY)
    proxy.plan = only(Fault.TRICKLE)
    assert get(proxy, storage, "x") == (200, BODY)


def test_a_plan_is_told_by_its_seed():
    keys = [f"p/lake/t/_delta_log/{n}.json" if n % 3 else f"p/x/{n}" for n in range(600)]
    calls = [Call(0.0, "PUT", key, {}) for key in keys]
    plans = [[plan.fault(call) for call in calls] for plan in (Plan(seed, 0.1, 0.5) for seed in (7, 7, 8))]
    assert plans[0] == plans[1] != plans[2]
    broken = [fault is not None for fault in plans[0]]
    assert 0.4 < sum(broken[n] for n in range(600) if n % 3) / 400 < 0.6
    assert 0.02 < sum(broken[::3]) / 200 < 0.2
