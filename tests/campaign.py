"""How much the tests inject and draw, and the program that runs them with their full counts.

`make test` injects every kind of fault at every place once. `make campaign` injects hundreds more, drawn from
a seed, and prints a table of them. A test asks `rounds` for its counts; `CAMPAIGNS` names the tests that do.

    python -m tests.campaign [NAME ...]

runs those campaigns, or all of them. What each injected is kept in `.evergreen/campaign/`: when all were
asked for and some have passed already with this seed at this commit, only the others are run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FULL = "EVERGREEN_CAMPAIGN" in os.environ
SEED = int(os.environ.get("EVERGREEN_CAMPAIGN_SEED") or 0)
INJECTED = "injected"  # the name under which a test records what it did

_CHAOS = "tests/integration/ingestion/test_chaos"
_RELEASES = "tests/integration/registry"
CAMPAIGNS: dict[str, list[str]] = {
    "ingest-kills": [f"{_CHAOS}_kill.py", "tests/integration/ingestion/test_late_rows.py"],
    "changed-rows": [f"{_CHAOS}_changed.py"],
    "ingest-s3": [f"{_CHAOS}_s3.py"],
    "ingest-postgres": [f"{_CHAOS}_postgres.py"],
    "ingest-runs": [f"{_CHAOS}_runs.py"],
    "new": ["tests/integration/draft/test_new.py"],
    "api": ["tests/integration/ingestion/test_api_misbehaves.py"],
    "generated-apis": ["tests/unit/sources/http/test_generated_apis.py"],
    "release-kills": [f"{_RELEASES}/test_chaos_kill.py"],
    "damaged-models": [f"tests/unit/boosters/test_{name}.py" for name in ("damaged_files", "hostile_bytes")],
    "training-kills": [f"{_RELEASES}/test_chaos_training.py"],
    "release-s3": [f"{_RELEASES}/test_chaos_s3.py"],
    "write-back-kills": ["tests/integration/databases/test_write_back.py"],
    "serving": [f"tests/integration/serving/test_{name}.py" for name in ("follow", "workers", "outages")],
    "backups": ["tests/integration/test_backup_of_running_nights.py"],
    "maintenance": ["tests/integration/test_maintenance.py"],
    "promoters": [f"{_RELEASES}/test_races.py"],
    "online": ["tests/integration/serving/test_online_is_offline.py"],
    "request-log": ["tests/integration/serving/test_log_faults.py"],
    "backtest-kills": ["tests/unit/backtest/test_run.py", "tests/unit/backtest/test_cache.py"],
    "registry-machine": ["tests/unit/registry/test_registry_machine.py"],
    "gate": [
        "tests/unit/evaluation/test_gate_simulation.py",
        "tests/unit/evaluation/test_power.py",
        "tests/unit/evaluation/test_snapshot_simulation.py",
    ],
    "chance": ["tests/unit/evaluation/test_chance_simulation.py"],
    "trial": ["tests/unit/evaluation/test_trial_simulation.py"],
    "interval": ["tests/unit/evaluation/test_interval_simulation.py"],
    "drift": ["tests/unit/monitoring/test_drift_simulation.py"],
    "coverage": ["tests/unit/signals/test_coverage_simulation.py"],
    "sequential": ["tests/unit/signals/test_sequential.py"],
    "guards": ["tests/guards"],
    "calendars": ["tests/dags/test_timetable.py", "tests/unit/calendar/test_zone.py"],
    "hostile-requests": [
        "tests/integration/serving/test_hostile.py",
        "tests/unit/serving/test_arrow_stream.py",
    ],
    "workers": ["tests/workers"],
    "properties": ["-m", "hypothesis", "tests"],
}


def rounds(quick: int, full: int) -> int:
    """How many of something this run takes: `quick` in `make test`, `full` in `make campaign`."""
    return full if FULL else quick


def seed(number: int) -> int:
    """A seed of this run: the test's own number, moved by `SEED` in a campaign."""
    return number + SEED if FULL else number


def examples(quick: int) -> int:
    """How many examples of a property this run draws: ten times as many in a campaign."""
    return rounds(quick, 10 * quick)


@dataclass(frozen=True)
class Row:
    """A campaign in the table: how its tests ended, in how many seconds, and what they injected."""

    name: str
    passed: int
    failed: int
    seconds: float
    injected: tuple[str, ...]

    @classmethod
    def read(cls, name: str, file: Path) -> Row:
        """The row of a campaign from the report that pytest wrote of it."""
        suite = next(ElementTree.parse(file).iter("testsuite"))
        told = [each for each in suite.iter("property") if each.get("name") == INJECTED]
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        return cls(
            name,
            int(suite.get("tests", 0)) - failed - int(suite.get("skipped", 0)),
            failed,
            float(suite.get("time", 0)),
            tuple(each.get("value", "") for each in told),
        )

    @property
    def well(self) -> bool:
        """Whether all of its tests passed, and there was one at least."""
        return not self.failed and self.passed > 0

    def lines(self) -> list[str]:
        """The row as lines of text."""
        end = "passed" if self.well else "FAILED"
        head = (
            f"{self.name:<18}{end}  {self.passed:>4} tests passed, {self.failed} failed, {self.seconds:.0f} s"
        )
        return [head, *(f"{'':<18}  {text}" for text in self.injected)]


def main(names: list[str]) -> int:
    """Run the campaigns of these names, all of them if there is none, and print the table."""
    if unknown := sorted(set(names) - set(CAMPAIGNS)):
        print(f"no campaign is named {', '.join(unknown)}: there are {', '.join(CAMPAIGNS)}", file=sys.stderr)
        return 2
    folder = ROOT / ".evergreen" / "campaign" / f"{_commit()}-seed-{SEED}"
    folder.mkdir(parents=True, exist_ok=True)
    done = {name for name in CAMPAIGNS if not names and _passed(folder, name)}
    done = set() if len(done) == len(CAMPAIGNS) else done
    for name in names or CAMPAIGNS:
        if name in done:
            print(f"--- {name}: has passed already", flush=True)
        else:
            print(f"--- {name}, seed {SEED}", flush=True)
            _run(name, folder)
    rows = [Row.read(name, folder / f"{name}.xml") for name in names or CAMPAIGNS]
    print(f"\nWhat was injected, seed {SEED}, at {_commit()}:\n")
    print("\n".join(line for row in rows for line in row.lines()))
    return 0 if all(row.well for row in rows) else 1


def _run(name: str, folder: Path) -> None:
    tests = CAMPAIGNS[name]
    workers = ["-n", os.environ.get("JOBS") or "2"] if name in ("properties", "gate", "trial") else []
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        *workers,
        "-o",
        "timeout=7200",
        "-o",
        "junit_family=xunit1",
        *tests,
    ]
    subprocess.run(
        [*command, f"--junitxml={folder / name}.xml"],
        cwd=ROOT,
        env={**os.environ, "EVERGREEN_CAMPAIGN": "1"},
        check=False,
    )


def _passed(folder: Path, name: str) -> bool:
    file = folder / f"{name}.xml"
    return file.exists() and Row.read(name, file).well


def _commit() -> str:
    """What is tested: the commit, and whether files differ from it."""
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "no-commit"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
