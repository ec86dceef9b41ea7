"""`python -m deploy.embedded up|down|status|load|demo|clean`: the embedded stack from a shell."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from deploy.demo_data.sources import DataError
from deploy.embedded.errors import StackError
from deploy.embedded.executor import Executor, asked
from deploy.embedded.home import Home
from evergreen.errors import EvergreenError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code. A failure is one line on standard error."""
    options = _parser().parse_args(arguments)
    home = Home.from_environment()
    try:
        _run(options, home)
    except (StackError, DataError, EvergreenError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{options.command}: interrupted; what was started stays as it is", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace, home: Home) -> None:
    from deploy.embedded import stack

    match options.command:
        case "up":
            stack.describe(stack.up(home, asked=_executor(options, home)))
        case "down":
            stack.down(home)
        case "status":
            for name, alive in stack.Stack.of(home).state().items():
                print(f"{name:15} {'runs' if alive else 'does not run'}")
        case "clean":
            stack.down(home)
            shutil.rmtree(home.root, ignore_errors=True)
        case "load":
            from deploy.embedded.load import load

            running = stack.Stack.of(home)
            running.require_running()
            load(running, options.data)
        case "feed":
            from deploy.embedded.feed import feed

            feed(home)
        case "keep":
            from deploy.embedded.keeper import keep

            keep(home, stack.Stack.of(home).start_again)
        case "demo":
            from deploy.embedded.demo import demo

            demo(home, options.data, _executor(options, home))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in {
        "down": "stop it",
        "status": "what runs",
        "clean": "stop it and remove its folder",
        "feed": "keep the simulated source up to yesterday (a service of the stack)",
        "keep": "start again what ends of the stack (a service of the stack)",
    }.items():
        commands.add_parser(name, help=text)
    up = commands.add_parser("up", help="start the stack")
    load = commands.add_parser("load", help="fill the demo's sources")
    demo = commands.add_parser("demo", help="the whole loop, from nothing to a table")
    for command in (load, demo):
        command.add_argument("--data", type=_file, help="the UCI bike sharing hour.csv (default: simulated)")
    for command in (up, demo):
        command.add_argument("--executor", default="", help="who runs the tasks: local (default) or celery")
        command.add_argument("--workers", default="", help="Celery workers for the nights (default: 1)")
    return parser


def _executor(options: argparse.Namespace, home: Home) -> Executor | None:
    return asked(options.executor, options.workers, Executor.saved(home))


def _file(text: str) -> Path | None:
    return Path(text) if text else None


if __name__ == "__main__":
    sys.exit(main())
