"""`make bench`: measures, prints a table, and writes `bench.json` into the embedded stack's folder."""

from __future__ import annotations

import argparse
import json
import sys

from rich.console import Console
from rich.table import Table

from benchmarks import (
    adaptive,
    backfill,
    backtest,
    data_docs,
    databases,
    drift,
    files,
    front_door,
    gate,
    history,
    http,
    intervals,
    large_partition,
    models_pages,
    monitoring,
    named_columns,
    nights,
    parse,
    policies,
    postgres_to_lake,
    registry,
    sampled_training,
    serving,
    sets,
    training,
    validation,
    years,
)
from benchmarks.figure import Figure
from deploy.embedded.home import Home

BENCHMARKS = {
    "postgres": postgres_to_lake.measure,
    "files": files.measure,
    "databases": databases.measure,
    "http": http.measure,
    "validation": validation.measure,
    "data_docs": data_docs.measure,
    "drift": drift.measure,
    "monitoring": monitoring.measure,
    "large_partition": large_partition.measure,
    "training": training.measure,
    "sampled_training": sampled_training.measure,
    "named_columns": named_columns.measure,
    "gate": gate.measure,
    "intervals": intervals.measure,
    "registry": registry.measure,
    "models_pages": models_pages.measure,
    "backtest": backtest.measure,
    "policies": policies.measure,
    "adaptive": adaptive.measure,
    "sets": sets.measure,
    "history": history.measure,
    "backfill": backfill.measure,
    "parse": parse.measure,
    "nights": nights.measure,
    "years": years.measure,
    "front_door": front_door.measure,
    "serving": serving.measure,
}


def main() -> int:
    """Run the benchmarks; returns 1 if a figure is over its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, help="run one")
    only = parser.parse_args().only
    figures: list[Figure] = []
    for name, measure in BENCHMARKS.items():
        if only in (None, name):
            print(f"measuring {name} ...", flush=True)
            figures += measure()
    _print(figures)
    home = Home.from_environment().root
    home.mkdir(parents=True, exist_ok=True)
    (home / "bench.json").write_text(json.dumps([figure.to_dict() for figure in figures], indent=2) + "\n")
    return 0 if all(figure.ok for figure in figures) else 1


def _print(figures: list[Figure]) -> None:
    table = Table("figure", "value", "limit", "")
    for figure in figures:
        table.add_row(
            figure.name,
            f"{figure.value:.2f} {figure.unit}",
            f"{figure.limit:g} {figure.unit}",
            "ok" if figure.ok else "over",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
