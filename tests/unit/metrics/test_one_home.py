"""What is known of a metric stands in `evergreen.metrics` and nowhere else: no table of names grows back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from evergreen.metrics import METRICS

ROOT = Path(__file__).parents[3]
HOME = ROOT / "include" / "evergreen" / "metrics"

EXCEPTIONS = {
    "include/evergreen/draft/target.py": {"cost"},  # a column that is likely the target
    "include/evergreen/sources/files/avro_file.py": {"precision"},  # the digits of a decimal, in Avro's words
}
"""Other things of the same name."""


def literals(file: Path) -> Iterator[str]:
    """The texts of a module, without its docstrings' words: a name counts where it is the whole text."""
    return (
        node.value
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def modules() -> list[Path]:
    return [
        file
        for folder in ("include/evergreen", "plugins", "dags")
        for file in (ROOT / folder).rglob("*.py")
        if HOME not in file.parents
    ]


def named_in(file: Path, names: set[str]) -> set[str]:
    """Those of the names that are texts of a module. To parse all modules would take seconds."""
    text = file.read_text()
    return names & {*literals(file)} if any(name in text for name in names) else set()


def test_no_other_module_names_a_metric_or_writes_its_words() -> None:
    names = {text for metric in METRICS.values() for text in (metric.name, metric.words)}
    found = {str(file.relative_to(ROOT)): named for file in modules() if (named := named_in(file, names))}
    assert found == EXCEPTIONS, "ask the metric itself: evergreen.metrics.metric_named, or spec.metric"


def test_every_metric_is_named_in_one_module_alone() -> None:
    # A rate of one class may have the name of the metric over all classes.
    home = {file: set(literals(file)) for file in HOME.rglob("*.py") if file.stem != "rates"}
    for name in METRICS:
        assert len([file for file, named in home.items() if name in named]) == 1, name
