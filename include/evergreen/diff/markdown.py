"""The differences as a text that reads well in a terminal, and as a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evergreen.diff.change import Change
from evergreen.diff.compare import Difference
from evergreen.diff.revision import Revision
from evergreen.errors import one_line


def markdown(revision: Revision, found: Sequence[Difference], all_pipelines: Sequence[str]) -> str:
    """What the changes since a revision touch, in Markdown."""
    return "\n".join(_lines(revision, found, all_pipelines))


def _lines(revision: Revision, found: Sequence[Difference], all_pipelines: Sequence[str]) -> Iterator[str]:
    yield f"# What changes since {revision.name} ({revision.commit[:12]}) touch"
    if not found and not all_pipelines:
        yield "\nNothing that a pipeline depends on."
    if all_pipelines:
        yield "\n## All pipelines\n"
        yield from (f"- {_line(line)}" for line in all_pipelines)
    for one in found:
        yield f"\n## {one.pipeline}: {one.state}\n"
        if one.dags:
            yield f"- DAGs: {', '.join(map(_code, one.dags))}"
        elif one.state == "changed":
            yield "- DAGs: none does anything else."
        yield from (f"- {_line(line)}" for line in one.said)
        if one.changes:
            yield ""
        yield from map(_change, one.changes)


def _change(change: Change) -> str:
    return f"- {_code(change.what)}{_sides(change)} ({change.effect.words})"


def _sides(change: Change) -> str:
    match change.before, change.after:
        case None, None:
            return " differs"
        case None, str(after):
            return f" is new: {_code(after)}"
        case str(before), None:
            return f" is gone: {_code(before)}"
        case before, after:
            return f": {_code(before)} is now {_code(after)}"


def _code(text: str | None) -> str:
    """As code, where a text of somebody else is no Markdown."""
    return f"`{_line(text or '').replace('`', chr(39))}`"


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in one_line(text, None))
