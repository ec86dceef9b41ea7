"""The part of `evergreen check` that looks at the sources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from evergreen.cli.checked import Checked
from evergreen.cli.command import open_pipeline
from evergreen.errors import EvergreenError

if TYPE_CHECKING:
    from evergreen.spec import Spec

AtSource = Annotated[
    bool | None,
    typer.Option(
        "--source/--no-source",
        help="look at one partition of the sources, or do not; default: if they answer within 5 seconds",
    ),
]


def check_sources(specs: list[Spec], *, wait: bool) -> Iterator[Checked]:
    """The checks of descriptions with the same sources against what these hold."""
    from evergreen.ingestion.against_source import ANSWERED, look_at_sources, look_within, mismatches
    from evergreen.validation.suite import load_suite

    try:
        pipeline = open_pipeline(specs[0].name)
        look = look_at_sources(pipeline) if wait else look_within(pipeline, ANSWERED)
    except EvergreenError as error:
        yield Checked(specs[0].name, "source", False, str(error))
        return
    if look is None:
        said = f"no answer within {ANSWERED:g} s: evergreen check {specs[0].name} --source waits for it"
        yield Checked(specs[0].name, "source", True, said, True)
        return
    for spec in specs:
        yield Checked(spec.name, "source", True, look.in_words(spec))
        for found in mismatches(spec, load_suite(spec), look.schema):
            yield Checked(spec.name, f"source: {found.where}", False, found.sentence)
