"""A report: what there is to do, and the parts that say what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evergreen.pages.plots import NightPoint


@dataclass(frozen=True)
class Link:
    """A page that shows more: its name, and its address from the report's own."""

    words: str
    address: str


@dataclass(frozen=True)
class ToDo:
    """One thing for a person to do.

    `what` says in a sentence what is wrong and what mends it. `commands` mend it or show more, in their
    order, as `page` does where there is one.
    """

    what: str
    commands: tuple[str, ...] = ()
    page: Link | None = None


@dataclass(frozen=True)
class Table:
    """Rows of text below the names of their columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Course:
    """The metric of the monitored nights up to a report's, oldest first; those from `since` on are shaded."""

    metric: str
    nights: tuple[NightPoint, ...]
    since: str = ""


@dataclass(frozen=True)
class Part:
    """One part of a report: what it is about, in sentences, and what these rest on."""

    title: str
    sentences: tuple[str, ...]
    table: Table | None = None
    course: Course | None = None


@dataclass(frozen=True)
class Report:
    """What the night of one partition brought, or a week.

    `name` is that of its stored page and `title` what it is of in words. `partition` is the last one that it
    tells of. `sentence` says all in one line, which is enough where nothing is to be done and it is `brief`.
    A program knows it by its `kind`.
    """

    pipeline: str
    description: str
    owner: str
    name: str
    title: str
    partition: str
    sentence: str
    to_do: tuple[ToDo, ...]
    parts: tuple[Part, ...]
    brief: bool = False
    kind: str = "report"

    @property
    def count(self) -> str:
        """How much there is to do, in words."""
        return f"{len(self.to_do)} to do" if self.to_do else "nothing to do"

    @property
    def heading(self) -> str:
        """The report in one line: whether there is something to do, and what it tells."""
        return f"{self.pipeline} {self.title}: {self.count}: {self.sentence}"

    @property
    def text(self) -> str:
        """The report as plain text, for a mail or a chat."""
        if self.brief and not self.to_do:
            return self.heading
        said = [f"{part.title}: {' '.join(part.sentences)}" for part in self.parts if part.sentences]
        return "\n".join([self.heading, "", *_listed(self.to_do), *said])


def _listed(to_do: Sequence[ToDo]) -> list[str]:
    if not to_do:
        return []
    lines = ["To do:"]
    for number, one in enumerate(to_do, 1):
        lines.append(f"{number}. {one.what}")
        lines += [f"   {command}" for command in one.commands]
    return [*lines, ""]
