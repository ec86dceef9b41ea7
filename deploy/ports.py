"""Ports of this machine. Needs Python alone: `make env` runs before there is an environment."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


def is_listening(port: int) -> bool:
    """Whether something accepts connections at this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def is_free(port: int) -> bool:
    """Whether a service could listen at this port of 127.0.0.1."""
    with socket.socket() as probe:
        # As servers do: an address whose last connections are in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return not is_listening(port)
