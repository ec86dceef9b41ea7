"""What is inside a network, in every form that an address can be written in."""

from __future__ import annotations

import httpx
import pytest

from evergreen.errors import SourceError
from evergreen.sources.http.inside import Outside, is_inside

INSIDE = (
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.8",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "2002:7f00:1::",
    "64:ff9b::a9fe:a9fe",
    "no address",
)
OUTSIDE = (
    "93.184.216.34",
    "2606:2800:220:1:248:1893:25c8:1946",
    "::ffff:93.184.216.34",
    "64:ff9b::5db8:d822",
)


@pytest.mark.parametrize("address", INSIDE)
def test_it_is_inside(address: str) -> None:
    assert is_inside(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_it_is_outside(address: str) -> None:
    assert not is_inside(address)


@pytest.mark.parametrize(("host", "refused"), [("localhost", True), ("93.184.216.34", False)])
def test_a_proxy_is_asked_for_no_host_inside(
    host: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://10.0.0.1:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    outside, url = Outside("x", "the server"), httpx.URL(f"http://{host}/")
    if refused:
        with pytest.raises(SourceError, match="is not followed: give the address there"):
            outside.check_asked(url)
    else:
        outside.check_asked(url)
    outside.check_reached(url, "connection.connect_tcp.complete", {})  # it is the proxy's
