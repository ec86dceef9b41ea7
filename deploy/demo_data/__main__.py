"""The sources of the demo as one program: the weather API, and beside it the feed of the rentals."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import uvicorn

from deploy.demo_data.feed import feed
from deploy.demo_data.weather_api import create_app

PORT = 8200


def main() -> None:
    """Serve on port 8200 of every address of the container; both sources ask for `DEMO_PASSWORD`."""
    if not (password := os.environ.get("DEMO_PASSWORD")):
        sys.exit("set DEMO_PASSWORD in .env: the demo's sources ask for it")
    address = f"postgresql://demo:{password}@demo-db/rentals"
    threading.Thread(target=feed, args=(address,), daemon=True).start()
    # No weather has been loaded from a file here, so that the API simulates it.
    app = create_app(Path("/nowhere"), password)
    uvicorn.run(app, host="0.0.0.0", port=PORT, access_log=False)  # noqa: S104


if __name__ == "__main__":
    main()
