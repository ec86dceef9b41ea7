"""Which DAGs Airflow starts no run of by the clock: the demo's, while its history lies in the past.

The demo's history begins in 2011. A night that the clock starts is of yesterday: all days between would be
missing, and the monitor, which retrains only for the newest partition, would train for none of those before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from deploy.demo_data.sources import Loaded
from deploy.embedded.home import Home, write_atomically
from evergreen.stages import INGEST

PIPELINE = "bike_demand"


@dataclass(frozen=True)
class Nights:
    """The file with the ids of the DAGs that are held back, which Airflow's local settings read."""

    path: Path

    @property
    def held(self) -> bool:
        """Whether a DAG is held back."""
        return self.path.exists()

    def hold(self, dag_id: str = INGEST.dag_id(PIPELINE)) -> None:
        """Start no run of this DAG by the clock; backfills and runs started by hand go on."""
        write_atomically(self.path, f"{dag_id}\n", mode=0o644)

    def go_on(self) -> None:
        """Hold none back."""
        self.path.unlink(missing_ok=True)


def nights(home: Home) -> Nights:
    """The file of a stack."""
    return Nights(home.source / "held.txt")


def are_next(newest: date | None, loaded: Loaded) -> bool:
    """Whether the next night of the clock leaves no day out after the `newest` published one."""
    return loaded.kind == "simulated" and newest is not None and newest >= loaded.last - timedelta(days=1)
