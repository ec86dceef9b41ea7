"""What the columns of a format without types are read as: as declared, or else as they are published."""

from __future__ import annotations

from collections.abc import Mapping


class TextTypes(dict[str, str]):
    """A type for each column that is declared or published; `declared` has those of the description.

    A published column keeps its type whatever the values of one day look like. Other than a declared one it
    need not be there, and a value that would lose anything does not fit it: nobody has said that it may.
    """

    def __init__(self, declared: Mapping[str, str], published: Mapping[str, str]) -> None:
        super().__init__({**published, **declared})
        self.declared = dict(declared)


def declared_of(types: Mapping[str, str]) -> Mapping[str, str]:
    """Those of the types that the description declares, which are all of a plain mapping."""
    return types.declared if isinstance(types, TextTypes) else types


def is_declared(types: Mapping[str, str], name: str) -> bool:
    """Whether the type of a column is declared, not only published."""
    return name in declared_of(types)


def unlike(type_name: str, losses: Mapping[int, str], misfits: Mapping[int, str]) -> dict[int, str]:
    """By index why values do not fit the type that their column is published in, with what can be done.

    `losses` are those that would fit if somebody declared the type, and so said what may be lost.
    """
    why = f"and the column is published as {type_name}: fix the source, or declare"
    for_loss = f"{why} it {type_name} under the source's 'types'"
    for_misfit = f"{why} another type under the source's 'types' and give the pipeline a new name"
    reasons = {at: f"{reason}, {for_loss}" for at, reason in losses.items()}
    reasons |= {at: f"{reason}, {for_misfit}" for at, reason in misfits.items()}
    return dict(sorted(reasons.items()))
