"""What is known of a signal stands in `evergreen.signals` and nowhere else: no table of names grows back."""

from __future__ import annotations

from pathlib import Path

from evergreen.signals import SIGNALS
from tests.unit.metrics.test_one_home import ROOT, literals, named_in

HOME = ROOT / "include" / "evergreen" / "signals"

EXCEPTIONS = {
    "include/evergreen/alerts/conditions.py": {
        *("bias", "coverage", "drift", "performance", "skew"),  # keys of alerts
    },
    "include/evergreen/backtest/result.py": {"coverage"},  # a figure of a policy
    "include/evergreen/backtest/work.py": {"drift"},  # the package
    "include/evergreen/cli/serve.py": {"skew"},  # a command
    "include/evergreen/cli/stages.py": {"coverage", "skew"},  # columns of a record
    "include/evergreen/evaluation/evaluate.py": {"coverage"},  # a part of an evaluation
    "include/evergreen/explain/night.py": {"drift"},  # a figure of a record
    "include/evergreen/front_door/tables.py": {"bias", "coverage"},  # columns of a record
    "include/evergreen/models_site/figures.py": {"drift"},  # the id of a figure
    "include/evergreen/models_site/read.py": {"drift"},  # a column of a record
    "include/evergreen/monitoring/measure.py": {"bias", "coverage"},  # columns of a record
    "include/evergreen/monitoring/record.py": {
        *("bias", "coverage", "drift", "prediction_drift", "skew"),  # the same
    },
    "include/evergreen/monitoring/reference.py": {"coverage"},  # a part of a reference
    "include/evergreen/registry/overview.py": {"coverage"},  # a part of an evaluation
    "include/evergreen/side_by_side/measured.py": {"coverage"},  # the same
}
"""Other things of the same name."""


def named_outside(home: Path, names: set[str]) -> dict[str, set[str]]:
    files = [
        file
        for folder in ("include/evergreen", "plugins", "dags")
        for file in (ROOT / folder).rglob("*.py")
        if home not in file.parents
    ]
    return {str(file.relative_to(ROOT)): found for file in files if (found := named_in(file, names))}


def test_no_other_module_names_a_signal_or_writes_its_words() -> None:
    names = {text for signal in SIGNALS.values() for text in (signal.name, signal.words)}
    assert named_outside(HOME, names) == EXCEPTIONS, "ask the signal itself: evergreen.signals.SIGNALS"


def test_every_signal_is_named_in_one_module_alone() -> None:
    home = {file.stem: set(literals(file)) for file in HOME.rglob("*.py")}
    alerts = {signal.alert for signal in SIGNALS.values()}
    for name in set(SIGNALS) - alerts:
        assert [module for module, named in home.items() if name in named] == [name]
