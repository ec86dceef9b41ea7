"""The program that sends one message by apprise: JSON on standard input, the answer in its exit code.

It logs nothing, and needs nothing of the library.
"""

from __future__ import annotations

import json
import logging
import sys

NOT_TAKEN, NO_ADDRESS = 3, 4


def main() -> int:
    """Send the message; 0 if it was taken."""
    from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

    logging.disable()
    message = json.load(sys.stdin)
    sender = Apprise(asset=AppriseAsset(app_id="Evergreen", http_redirects=False, storage_mode="memory"))
    if not sender.add(message["url"]):
        return NO_ADDRESS
    taken = sender.notify(
        title=message["title"],
        body=message["text"],
        notify_type=NotifyType(message["kind"]),
        body_format=NotifyFormat.TEXT,
    )
    return 0 if taken else NOT_TAKEN


if __name__ == "__main__":
    sys.exit(main())
