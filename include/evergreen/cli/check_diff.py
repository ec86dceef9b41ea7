"""The part of `evergreen check` that compares the folders with a revision of git."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from evergreen.cli.command import Answer

Base = Annotated[
    str | None,
    typer.Option(
        "--diff",
        metavar="REVISION",
        help="what changes since this revision of git touch: DAGs, data, versions, gates; checks nothing",
    ),
]


def compared(base: str, pipeline: str | None, moment: datetime) -> Answer:
    """What the changes since a revision touch; a difference is no failure."""
    from evergreen.description import pipelines_folder
    from evergreen.diff.compare import differences
    from evergreen.diff.everywhere import everywhere
    from evergreen.diff.markdown import markdown
    from evergreen.diff.revision import at_revision
    from evergreen.spec import pipelines_of

    folder = pipelines_folder()
    with at_revision(base, folder) as revision:
        named = (
            {name for at in (revision.now, revision.then) for name in pipelines_of(pipeline, at)}
            if pipeline
            else set()
        )
        found = list(differences(revision, sorted(named), moment))
        beside = list(everywhere(revision))
        document = {
            "base": revision.name,
            "commit": revision.commit,
            "all_pipelines": beside,
            "pipelines": [one.document() for one in found],
        }
        return Answer(document, markdown(revision, found, beside))
