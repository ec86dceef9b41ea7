"""The proxy passes bytes on untouched, and breaks the connections that its plan names where it says."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.faults.tcp_proxy import Break, Cuts, TcpProxy, Wound

BODY = bytes(range(256)) * 1000


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            while data := self.request.recv(65536):
                self.request.sendall(data)
        except OSError:
            return


class Fixed:
    """A plan of one wound."""

    def __init__(self, wound: Wound | None) -> None:
        self._wound = wound

    def wound(self, number: int) -> Wound | None:
        return self._wound


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    with TcpProxy(*server.server_address, stall=0.05) as running:
        yield running
    server.shutdown()
    thread.join()
    server.server_close()


def echoed(proxy: TcpProxy) -> tuple[bytes, bool]:
    """What comes back of `BODY`, and whether the connection was reset."""
    got = b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as client:
        sender = threading.Thread(target=_send, args=(client,))
        sender.start()
        try:
            while len(got) < len(BODY) and (data := client.recv(65536)):
                got += data
        except ConnectionResetError:
            return got, True
        finally:
            sender.join()
    return got, False


def _send(client: socket.socket) -> None:
    try:
        client.sendall(BODY)
    except OSError:
        return


def test_a_whole_connection_passes(proxy):
    assert echoed(proxy) == (BODY, False)
    assert (proxy.opened, proxy.broken) == (1, [])


@pytest.mark.parametrize("from_server", [True, False])
@pytest.mark.parametrize("kind", [Break.CUT, Break.STALL_AND_CUT])
def test_a_cut_resets_after_so_many_bytes(proxy, kind, from_server):
    proxy.plan = Fixed(Wound(kind, from_server, 100_000))
    got, was_reset = echoed(proxy)
    assert was_reset
    assert BODY.startswith(got)
    assert len(got) <= 100_000
    assert proxy.counts() == {str(kind): 1}


def test_a_stall_only_takes_time(proxy):
    proxy.plan = Fixed(Wound(Break.STALL, True, 5))
    assert echoed(proxy) == (BODY, False)
    assert proxy.counts() == {"stall": 1}


def test_a_place_that_is_not_reached_is_not_counted(proxy):
    proxy.plan = Fixed(Wound(Break.CUT, True, 2 * len(BODY)))
    assert echoed(proxy) == (BODY, False)
    assert proxy.broken == []


def test_a_plan_is_told_by_its_seed():
    plans = [[Cuts(3, 0.5, 9000).wound(number) for number in range(400)] for _ in range(2)]
    wounds = [wound for wound in plans[0] if wound]
    assert plans[0] == plans[1]
    assert 150 < len(wounds) < 250
    assert {wound.kind for wound in wounds} == set(Break)
    assert all(1 <= wound.after <= 9000 for wound in wounds)
