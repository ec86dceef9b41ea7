"""The receivers of alerts get reports too."""

from tests.unit.alerts.conftest import mailbox, new_receiver, webhook

__all__ = ["mailbox", "new_receiver", "webhook"]
