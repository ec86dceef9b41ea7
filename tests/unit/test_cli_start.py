"""A command imports what it needs: those that only look load no library that models or expectations need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evergreen.storage import Storage
from tests.unit.test_layering import HEAVY

LAKE = {"deltalake", "numpy", "pandas", "pyarrow"}
READ = {"deltalake", "numpy", "obstore", "pyarrow"}
PROGRAM = """
import sys
from evergreen.cli import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("pipelines", set()),
        ("models list kiosk", {"obstore"}),
        ("models verify kiosk", READ),
        ("quarantine list kiosk", LAKE),
        ("status kiosk", READ),
    ],
)
def test_what_a_command_imports(
    configured: Storage, monkeypatch: pytest.MonkeyPatch, command: str, needed: set[str]
) -> None:
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(Path(__file__).parents[1] / "pipelines"))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command.split()], check=True, capture_output=True, text=True
    )
    assert set(done.stderr.split()) & HEAVY == needed


def test_what_shows_a_version_needs_no_numpy():
    read = "import sys, evergreen.asked.finding, evergreen.registry.overview"
    subprocess.run(
        [sys.executable, "-c", f"{read}; assert 'numpy' not in sys.modules"], check=True, timeout=60
    )
