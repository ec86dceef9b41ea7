"""The command itself: its version, and wrong usage as a document where one is asked for."""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from evergreen.errors import one_line

AS_JSON = "--json"


class Commands(TyperGroup):
    """The commands; with `--json` wrong usage is a document on standard output too, as every failure is."""

    def make_context(self, info_name: str | None, args: list[str], *others: Any, **extra: Any) -> Any:
        """The context of a call; raises as typer's does."""
        as_json = AS_JSON in args  # typer takes from the list what it has read
        with _documented(as_json):
            context = super().make_context(info_name, args, *others, **extra)
        context.meta[AS_JSON] = as_json
        return context

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was called; raises as typer's does."""
        with _documented(ctx.meta[AS_JSON]):
            return super().invoke(ctx)


def _say_version(asked: bool) -> None:
    if asked:
        from evergreen import __version__

        print(f"evergreen {__version__} (Python {platform.python_version()})")  # noqa: T201
        raise typer.Exit


ShowVersion = Annotated[
    bool,
    typer.Option(
        "--version",
        callback=_say_version,
        is_eager=True,
        expose_value=False,
        help="Show the version of evergreen, and of Python.",
    ),
]


def options(version: ShowVersion = False) -> None:
    """Keeps tabular models fresh: ingest, train, score, monitor, backtest."""


@contextlib.contextmanager
def _documented(as_json: bool) -> Iterator[None]:
    try:
        yield
    except typer.TyperException as error:
        if as_json:
            print(json.dumps({"error": one_line(error.format_message(), None)}, indent=2))  # noqa: T201
        raise
