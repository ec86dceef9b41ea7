"""Addresses inside a network, where no answer from outside may lead a read: loopback, link-local, private.

Whoever answers may redirect to a name that is one address when it is looked up and another when it is used.
So what counts is the address that a connection has reached, before anything is sent through it.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx

from evergreen.errors import SourceError
from evergreen.shown import shown

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # an address of IPv4 is its end


def is_inside(address: str) -> bool:
    """Whether an address of IP, whatever the form, is not one of the public Internet."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(found, ipaddress.IPv6Address):
        translated = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF) if found in _TRANSLATED else None
        if within := found.ipv4_mapped or found.sixtofour or translated:
            found = within
    return not found.is_global or found.is_multicast


class Outside:
    """Lets a client of httpx reach the public Internet alone; `where` and `what` begin the message."""

    def __init__(self, where: str, what: str) -> None:
        self._where, self._what = where, what

    def check_asked(self, url: httpx.URL) -> None:
        """Raise `SourceError` where a proxy would be asked for a host inside: who it reaches is not seen."""
        if not _by_proxy(url):
            return
        try:
            found = socket.getaddrinfo(url.host, None, type=socket.SOCK_STREAM)
        except OSError:
            return  # the proxy knows more names
        self._check(url.host, [str(address[0]) for *_, address in found])

    def check_reached(self, url: httpx.URL, event: str, info: dict[str, Any]) -> None:
        """Raise `SourceError` where a connection, by an event of its trace, has reached a host inside."""
        if event != "connection.connect_tcp.complete" or _by_proxy(url):
            return
        stream = info["return_value"]
        try:
            self._check(url.host, [str(stream.get_extra_info("server_addr")[0])])
        except SourceError:
            stream.close()
            raise

    def _check(self, host: str, addresses: list[str]) -> None:
        if inside := next(filter(is_inside, addresses), None):
            raise SourceError(
                f"{self._where}: {self._what} redirects to {shown(host)}, which is {inside}, inside a "
                "network, and is not followed: give the address there in pipeline.yaml if it is right"
            )


def _by_proxy(url: httpx.URL) -> bool:
    proxies = getproxies()
    return bool(proxies.get(url.scheme) or proxies.get("all")) and not proxy_bypass(url.host)
