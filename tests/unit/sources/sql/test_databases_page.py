"""The table in docs/how-to/databases.md: each database, its package, connection and write-back."""

from __future__ import annotations

import re
from pathlib import Path

from evergreen.connections import from_environment
from evergreen.databases.registry import DATABASES

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs" / "how-to" / "databases.md").read_text()
INSTALLED = (ROOT / "requirements.in").read_text()


def test_the_table_has_each_database_as_it_is():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if line.startswith("| `") and "`conn_type`" not in line
    ]
    named = [kind for row in rows for kind in re.findall(r"`(\w+)`", row[0])]
    assert named == list(DATABASES)
    for kinds, _, package, connection, writes, _ in rows:
        conn_type = re.findall(r"`(\w+)`", kinds)[0]
        entry = DATABASES[conn_type]
        assert package == ("is there" if f"\n{entry.package}" in INSTALLED else f"`{entry.package}`"), (
            conn_type
        )
        assert writes == ("yes" if entry.write else "no"), conn_type
        found = from_environment("x", {"AIRFLOW_CONN_X": connection.strip("`")})
        assert found.conn_type == conn_type
