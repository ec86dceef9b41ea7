"""A message to one of the services that apprise (https://github.com/caronc/apprise) knows by an address.

Such an address holds tokens, and apprise and the HTTP client below it log parts of it. So the message is sent
by a process of its own, whose log is off.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from evergreen.alerts import send_by_apprise

if TYPE_CHECKING:
    from evergreen.alerts.alert import Message
    from evergreen.connections import Connection
    from evergreen.spec.alerts import Severity

_TYPES: dict[Severity, str] = {"info": "info", "warning": "warning", "critical": "failure"}
_TIMEOUT = 60.0  # seconds: some services are asked more than once
_REASONS = {
    send_by_apprise.NOT_TAKEN: "it cannot be reached, or did not take the message",
    send_by_apprise.NO_ADDRESS: "the 'url' in its extra is not an address that apprise knows",
}


@dataclass(frozen=True)
class Service:
    """A message to an apprise address. `kind` is apprise's type of a notification."""

    url: str = field(repr=False)
    title: str
    text: str
    kind: str

    def send(self) -> str | None:
        """Send it; None if it was taken, else in some words why not. They hold no part of the address."""
        try:
            done = subprocess.run(  # noqa: S603 - this very interpreter
                [sys.executable, "-P", send_by_apprise.__file__],
                input=json.dumps(asdict(self)).encode(),
                capture_output=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it did not answer within {_TIMEOUT:.0f} seconds"
        if not done.returncode:
            return None
        return _REASONS.get(done.returncode, f"the program that sends it ended with code {done.returncode}")


def service_of(connection: Connection, message: Message) -> Service:
    """The message to the address in the connection's extra."""
    return Service(str(connection.extra["url"]), message.subject, message.text, _TYPES[message.severity])
