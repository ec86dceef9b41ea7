"""The command `evergreen`: every stage of every pipeline from a shell.

Exit codes: 0 done, or nothing to do; 1 failed, with one line that says why; 2 wrong usage; 3 refused, data by
validation or a model by its gate.
"""

from __future__ import annotations

import typer

from evergreen.cli import (
    alerts,
    backtest,
    backup,
    check,
    drill,
    expectations,
    explain,
    forget,
    labels,
    look,
    look_back,
    maintain,
    mlflow,
    models,
    new,
    quarantine,
    report,
    schema,
    serve,
    stages,
    status,
)
from evergreen.cli.usage import Commands, options

app = typer.Typer(
    name="evergreen",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.callback()(options)
new.add_to(app)
look.add_to(app)
check.add_to(app)
status.add_to(app)
stages.add_to(app)
maintain.add_to(app)
backtest.add_to(app)
drill.add_to(app)
explain.add_to(app)
report.add_to(app)
labels.add_to(app)
look_back.add_to(app)
expectations.add_to(app)
models.add_to(app)
mlflow.add_to(app)
quarantine.add_to(app)
serve.add_to(app)
alerts.add_to(app)
backup.add_to(app)
forget.add_to(app)
schema.add_to(app)


def main() -> None:
    """Run the command line; ends the program with its exit code."""
    app()
