"""Where a server may listen."""

from __future__ import annotations

import socket

import pytest

from evergreen.errors import EvergreenError
from evergreen.serving.listening import Settings, address_of, listening


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_without_a_token_only_this_machine_may_ask(host: str) -> None:
    with pytest.raises(
        EvergreenError, match="can be reached by others: name the connection that has the token"
    ):
        listening(Settings(host, 0))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_a_loopback_address_needs_none(host: str) -> None:
    with listening(Settings(host, 0)) as listener:
        assert address_of(listener).startswith("http://127.0.0.")


def test_a_token_opens_every_address() -> None:
    listening(Settings("0.0.0.0", 0, token="s3cret")).close()
    assert "s3cret" not in repr(Settings(token="s3cret"))


def test_a_port_that_is_taken() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(EvergreenError, match=r"cannot listen at 127\.0\.0\.1:\d+ .*: choose another --port"),
    ):
        listening(Settings(port=other.getsockname()[1]))
