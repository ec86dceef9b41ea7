"""`evergreen new`: from a source to the folder of a pipeline that runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from evergreen.connections import Connect, from_environment
from evergreen.description import pipelines_folder
from evergreen.draft.folder import check_free, write_folder
from evergreen.draft.guesses import Unconfirmed, unconfirmed
from evergreen.draft.plan import Plan, plan_of
from evergreen.draft.source import look_for_draft
from evergreen.errors import SpecError
from evergreen.units import Identifier


@dataclass(frozen=True)
class Drafted:
    """A pipeline that was drafted: its plan, its files, and the variable that is to be defined, if one is."""

    plan: Plan
    files: list[Path]
    to_define: str | None

    @property
    def folder(self) -> Path:
        """The pipeline's folder."""
        return self.files[0].parent

    @property
    def guesses(self) -> list[Unconfirmed]:
        """What is to be confirmed or corrected."""
        return unconfirmed(self.folder)


def new_pipeline(
    name: str,
    source: str,
    *,
    target: str | None = None,
    table: str | None = None,
    conn_id: str | None = None,
    connect: Connect = from_environment,
) -> Drafted:
    """Look at a source and write the folder of a pipeline that reads it, in the configured folder.

    Raises `SpecError` for a name that is none or is taken and for data that no pipeline can be made of, and
    what `look_for_draft` raises. Then nothing is written.
    """
    try:
        TypeAdapter(Identifier).validate_python(name)
    except ValidationError:
        raise SpecError(
            f"'{name}' cannot name a pipeline: use a-z, 0-9 and '_', and begin with a letter"
        ) from None
    check_free(name, pipelines_folder())
    named = look_for_draft(name, source, table, conn_id, connect)
    plan = plan_of(name, named.look, target)
    return Drafted(plan, write_folder(plan, pipelines_folder()), named.to_define)
