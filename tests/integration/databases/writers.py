"""A program that writes predictions, to be killed: `python -m ... CONNECTION VALUE`, or `hold`."""

from __future__ import annotations

import json
import sys
import time

from evergreen.connections import Connection
from evergreen.databases.registry import writer
from tests.integration.databases.test_write_back import DAYS, ROWS, TABLE, predictions, write


def main() -> None:
    """Write each of the days, all rows with the value; or hold the table's lock."""
    connection, mode = Connection(**json.loads(sys.argv[1])), sys.argv[2]
    if mode == "hold":
        with writer(connection) as opened:
            opened.lock(TABLE)
            print("held", flush=True)
            time.sleep(600)
    table = predictions(ROWS, float(mode))
    print("ready", flush=True)
    for day in DAYS:
        write(connection, table, day)


if __name__ == "__main__":
    main()
