"""The code of a version's features, for people: to look at, and to keep in the repository.

Nothing is executed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.errors import IntegrityError, NotFoundError
from evergreen.features.functions import Place, places
from evergreen.features.own import SIGNED, OwnFeatures, own_features
from evergreen.features.repository import FORMER, find
from evergreen.features.stored import sha256, stored_as, stored_features
from evergreen.registry.versions import FEATURES

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline


@dataclass(frozen=True)
class Code:
    """The file of a function as a version has stored it.

    `where` says where its code is found to be executed, None where it is not. `changes` are those from the
    file of today.
    """

    origin: str
    sha256: str
    where: str | None
    changes: list[str] = field(repr=False)


def code_of(pipeline: Pipeline, version: str) -> tuple[OwnFeatures, list[Code]]:
    """The features of a version, and the files of its functions.

    Raises `NotFoundError` if there is no such version or it kept none, `IntegrityError` if a file is damaged.
    """
    own = own_features(pipeline, version)
    found = []
    for place, body in stored_code(pipeline, version):
        there = find(pipeline.spec, place, sha256(body))
        where = there.where if there else (SIGNED if own.where.get(place.origin) == SIGNED else None)
        today = place.file.read_bytes() if place.file.is_file() else b""
        found.append(Code(place.origin, sha256(body), where, changes(today, body, ("deployed", "stored"))))
    return own, found


def keep(pipeline: Pipeline, version: str) -> list[Path]:
    """Write the files of a version's functions that the repository lacks into `former`, and return them.

    From then on they may be executed wherever this repository is deployed: a person should look at them, and
    commit them. Raises as `code_of` does.
    """
    kept = []
    for place, body in stored_code(pipeline, version):
        if find(pipeline.spec, place, sha256(body)) is None:
            file = place.folder / FORMER / f"{place.file.stem}-{sha256(body)[:16]}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
            kept.append(file)
    return kept


def stored_code(pipeline: Pipeline, version: str) -> list[tuple[Place, bytes]]:
    """The files of a version's functions with their places; raises as `code_of` does."""
    registry, name = pipeline.registry, pipeline.name
    if FEATURES not in registry.files(version):
        raise NotFoundError(
            f"{name}: version {version} of an older release has kept nothing of its features: train a new one"
        )
    stored = stored_features(pipeline, version)
    found = []
    for place in places(stored.described_in(pipeline.spec)):
        body = registry.read(version, stored_as(place))
        if sha256(body) != stored.sources.get(place.origin):
            raise IntegrityError(
                f"{name}: version {version}: '{stored_as(place)}' is not the file that {FEATURES} names: "
                "restore it, or withdraw the version"
            )
        found.append((place, body))
    return found


def changes(before: bytes, after: bytes, names: tuple[str, str]) -> list[str]:
    """The lines of a unified diff of two files called so, without control characters; none of equal ones."""
    sides = (_lines(before), _lines(after))
    return [] if before == after else list(unified_diff(*sides, *names, lineterm=""))


def _lines(body: bytes) -> list[str]:
    text = body.decode(errors="replace").expandtabs()
    return [
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
        for line in text.split("\n")
    ]
