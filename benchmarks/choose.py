"""Which settings the defaults are chosen from: a grid over the suite, each history left out once.

    python -m benchmarks.choose grid.yaml

The file names knobs by their key path and the values to try, the present default first:

    gate.champion.margin: [0%, 10%]
    monitoring.retrain.cooldown: [5 partitions, 10 partitions]

What is kept of earlier runs is used again: only trainings that no setting asked for before are made.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.histories import HISTORIES
from benchmarks.histories.choice import (
    Score,
    Scores,
    Setting,
    as_changes,
    choose,
    grid,
    leave_one_out,
    score_of,
    sensitivity,
)
from benchmarks.policies import run_suite
from evergreen.description import read_mapping


def main() -> None:
    """Run the grid of the file that is named, and print what is chosen, left out and sensitive."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choose", description=__doc__)
    parser.add_argument("grid", type=Path, help="YAML: knobs by key path, and the values of each")
    parser.add_argument("--history", action="append", choices=HISTORIES, help="try these alone")
    options = parser.parse_args()
    histories = [HISTORIES[name] for name in options.history or HISTORIES]
    scores: dict[Setting, dict[str, Score]] = {}
    for setting in grid(read_mapping(options.grid)):
        print(f"trying {told(setting)}", flush=True)
        outcomes = run_suite(histories, as_changes(setting))
        scores[setting] = {outcome.history: score_of(outcome) for outcome in outcomes}
    show(scores)


def show(scores: Scores) -> None:
    """Print the settings, what is chosen without each history, and the sensitivity of each knob."""
    console = Console(width=160)
    chosen = choose(scores, list(next(iter(scores.values()))))
    console.print(_settings(scores), f"chosen on all: {told(chosen)}")
    left = Table("left out", "chosen on the others", "lines broken", "to the curve")
    for one in leave_one_out(scores):
        left.add_row(one.history, told(one.chosen), str(one.score.broken), f"{100 * one.score.above:+.1f}%")
    console.print(left, _sensitive(sensitivity(scores, chosen)))


def told(setting: Setting) -> str:
    """The setting in one line."""
    return ", ".join(f"{knob} {value}" for knob, value in setting) or "the defaults"


def _settings(scores: Scores) -> Table:
    table = Table("setting", "lines broken", "mean to the curve", "worst")
    for setting, by_history in scores.items():
        above = [score.above for score in by_history.values()]
        broken = sum(score.broken for score in by_history.values())
        table.add_row(told(setting), str(broken), _share(sum(above) / len(above)), _share(max(above)))
    return table


def _sensitive(found: Mapping[str, Mapping[str, tuple[int, float]]]) -> Table:
    table = Table("knob", "value", "lines broken", "mean to the curve")
    for knob, values in found.items():
        for value, (broken, above) in values.items():
            table.add_row(knob, value, str(broken), _share(above))
    return table


def _share(value: float) -> str:
    return f"{100 * value:+.1f}%"


if __name__ == "__main__":
    main()
