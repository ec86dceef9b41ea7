"""`evergreen alerts`: the open alerts, muted and heard again, by the same calls as anywhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from evergreen.alerts.alert import Alert
from evergreen.alerts.delivery import notify
from evergreen.cli import app
from evergreen.pipeline import Pipeline
from evergreen.storage import Storage


@pytest.fixture(autouse=True)
def _open_alert(configured: Storage) -> None:
    """An alert of the flowers, which have no time."""
    found = Alert("drift", "warning", "drift is there", "see the data", "iris", "snapshot")
    notify(Pipeline.open("iris", storage=configured), [found], "snapshot")


def run(*arguments: str, exit_code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["alerts", *arguments, "--json"])
    assert result.exit_code == exit_code, result.output
    return dict(json.loads(result.stdout))


def test_an_alert_is_listed_muted_and_heard_again() -> None:
    (found,) = run("list", "iris")["alerts"]
    assert (found["alert"]["key"], found["mute"], found["told"]) == ("drift", None, {})
    done = run("mute", "iris", "drift", "--why", "known")["mute"]
    assert (done["key"], done["why"], done["until"]) == ("drift", "known", None)
    assert "@" in done["by"]
    assert "until it is over, by " in CliRunner().invoke(app, ["alerts", "list", "iris"]).stdout
    assert run("unmute", "iris", "drift")["mute"]["ended"] == f"unmuted by {done['by']}"
    listed = run("list", "iris")
    assert ([one["mute"] for one in listed["alerts"]], len(listed["mutes"])) == ([None], 1)


def test_what_cannot_be_muted_is_said_in_a_line() -> None:
    assert (
        "no alert 'limit' is open: see evergreen alerts list iris"
        in run("mute", "iris", "limit", exit_code=1)["error"]
    )
    wrong = CliRunner().invoke(app, ["alerts", "mute", "iris", "drift", "--until", "2024-01-09"])
    assert wrong.exit_code == 2
    assert "a snapshot has no later partition" in " ".join(wrong.stderr.replace("│", " ").split())
