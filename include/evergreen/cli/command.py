"""What all commands share: `--json` and `--debug`, one document on standard output, and exit codes."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import logging
import math
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, get_type_hints

import typer

from evergreen.calendar import PartitionError
from evergreen.cli import complete
from evergreen.cli.tables import Rows
from evergreen.cli.usage import AS_JSON
from evergreen.environment import load_environment
from evergreen.errors import EvergreenError, NothingToDoError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from evergreen.pipeline import Pipeline

PipelineName = Annotated[
    str,
    typer.Argument(metavar="PIPELINE", help="the name of a pipeline", autocompletion=complete.pipelines),
]


def optional_pipeline(without: str) -> Any:
    """The argument of a command that takes a pipeline or none; `without` says what it does then."""
    return typer.Argument(metavar="[PIPELINE]", help=without, autocompletion=complete.pipelines)


AsJson = Annotated[bool, typer.Option(AS_JSON, help="print one JSON document, logs go to standard error")]
Why = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="kept with the event, for people")]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of a failure")]


@dataclass(frozen=True)
class Answer:
    """The result of a command: a document for programs, the same for people, and the exit code.

    `error` is a line for standard error.
    """

    document: Any
    shown: RenderableType
    exit_code: int = 0
    error: str = ""


Command = Callable[..., Answer]


def register(app: typer.Typer, name: str, *examples: str) -> Callable[[Command], Command]:
    """Make a function that returns an `Answer` a command of the app, with `--json` and `--debug` added.

    Its help ends with the examples: what stands after `evergreen` in a line that calls it.
    """

    def add(function: Command) -> Command:
        @functools.wraps(function)
        def run(*, as_json: bool, debug: bool, **arguments: Any) -> NoReturn:
            answer = _answer(functools.partial(function, **arguments), debug)
            if answer.error:
                print(f"evergreen: {answer.error}", file=sys.stderr)  # noqa: T201
            if as_json:
                print(json.dumps(plain(answer.document), indent=2, allow_nan=False))  # noqa: T201
            elif answer.shown:
                _show(answer.shown)
            raise typer.Exit(answer.exit_code)

        run.__signature__ = _signature(function)  # type: ignore[attr-defined]
        run.__annotations__ = {}
        app.command(name, short_help=_first_sentence(function), epilog=_shown_examples(examples))(run)
        return function

    return add


def open_pipeline(name: str) -> Pipeline:
    """The pipeline that a command works on, found in the same way as by `evergreen.open`."""
    from evergreen.front_door.opened import find

    return find(name)


def each(keys: Sequence[str], label: str) -> Iterator[str]:
    """The keys one by one, with a progress bar on a terminal's standard error."""
    from rich.progress import track

    yield from track(keys, description=label, console=_stderr(), transient=True, disable=not _watched())


@contextlib.contextmanager
def told(*, always: bool = False) -> Iterator[None]:
    """What the library logs of its progress meanwhile, line by line on a terminal's standard error.

    With `always`, also where nobody watches.
    """
    if not (always or _watched()):
        yield
        return
    log, lines = logging.getLogger("evergreen"), logging.StreamHandler(sys.stderr)
    lines.setFormatter(logging.Formatter("%(message)s"))
    level = log.level
    log.addHandler(lines)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(lines)
        log.setLevel(level)


@contextlib.contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[..., None]]:
    """A progress bar on a terminal's standard error, `total` steps long (None: not known).

    The yielded function shows a name and advances the bar by one step, or by the given number of steps.
    """
    from rich.progress import Progress

    with Progress(console=_stderr(), transient=True, disable=not _watched()) as bar:
        task = bar.add_task(label, total=total)

        def advance(name: str, steps: int = 1) -> None:
            bar.update(task, advance=steps, description=f"{label} {name}")

        yield advance


def table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> RenderableType:
    """A table for people, without the columns that are empty in all rows."""
    return Rows.of(columns, rows)


def plain(value: Any) -> Any:
    """The value as JSON values: data classes as objects, NaN and infinity as null, numpy's as numbers."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _answer(command: Callable[[], Answer], debug: bool) -> Answer:
    try:
        load_environment()
        # Standard output is only for the document, but libraries may print to it.
        with contextlib.redirect_stdout(sys.stderr):
            return command()
    except (typer.BadParameter, typer.Exit, typer.Abort):
        raise
    except PartitionError as error:
        raise typer.BadParameter(str(error)) from None
    except NothingToDoError as error:
        return Answer({"nothing_to_do": _line(error)}, _line(error))
    except EvergreenError as error:
        return _failed(_line(error), error.exit_code, debug)
    except Exception as error:  # noqa: BLE001 - a user gets a line and not a traceback, whatever failed
        line = f"unexpected {type(error).__name__}: {_line(error)}"
        return _failed(line if debug else f"{line} (--debug shows where)", 1, debug)


def _failed(line: str, exit_code: int, debug: bool) -> Answer:
    if debug:
        traceback.print_exc(file=sys.stderr)
    return Answer({"error": line}, "", exit_code, line)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _signature(function: Command) -> inspect.Signature:
    hints = get_type_hints(function, include_extras=True)
    own = [
        parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(function).parameters.items()
    ]
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in (("as_json", AsJson), ("debug", Debug))
    ]
    return inspect.Signature([*own, *flags])


def _shown_examples(examples: Sequence[str]) -> str | None:
    # The character \b keeps the lines below it as they are.
    return "\n".join(["\b", "Examples:", *(f"  evergreen {one}" for one in examples)]) if examples else None


def _first_sentence(function: Command) -> str:
    paragraph = " ".join(inspect.cleandoc(function.__doc__ or "").partition("\n\n")[0].split())
    return paragraph if paragraph.count(". ") == 0 else f"{paragraph.partition('. ')[0]}."


def _show(shown: RenderableType) -> None:
    from rich.console import Console

    if isinstance(shown, str):
        print(shown)  # noqa: T201
        return
    console = Console()
    # A pipe has no width, and 80 columns would break versions and reasons apart.
    (console if console.is_terminal else Console(width=160)).print(shown, crop=False)


def _stderr() -> Any:
    from rich.console import Console

    return Console(stderr=True)


def _watched() -> bool:
    return sys.stderr.isatty()
