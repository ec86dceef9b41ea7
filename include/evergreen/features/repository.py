"""Code of feature functions that the repository of the pipelines has, today or formerly.

Code from here was reviewed and deployed like all code of the repository, so it may be executed. It is found
by its SHA-256: whoever asks for it can only choose among what the repository has.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO

from evergreen.errors import SpecError
from evergreen.features.functions import Place, places
from evergreen.features.stored import sha256
from evergreen.git import git
from evergreen.spec import Spec
from evergreen.spec.features import load_sets

FORMER = "former"
"""The folder, in that of a pipeline or of a feature set, for former files of its function under any name."""

_COMMITS = 1_000


@dataclass(frozen=True)
class Found:
    """A file's content, and where in the repository it was found, in words."""

    body: bytes = field(repr=False)
    where: str


def find(spec: Spec, place: Place, digest: str) -> Found | None:
    """The file of this SHA-256 that a function had at its place; None if the repository has none.

    It may be the file of today, one in the folder `former` beside it, or an earlier state of it in the git
    history of what is checked out, where the repository is a clone with its history. Only `former` counts for
    a file that no description names now: a folder may hold scripts that are no features.
    """
    looks = (_today, _kept, _history) if _described(spec, place) else (_kept,)
    candidates = (found for look in looks for found in look(place))
    return next((found for found in candidates if sha256(found.body) == digest), None)


def _described(spec: Spec, place: Place) -> bool:
    """Whether the file is that of a function of today, of the pipeline or of a set, used or not."""
    there = {one.file for one in places(spec)}
    if place.folder != spec.folder:
        with suppress(SpecError):
            (shared,) = load_sets(spec.folder / "pipeline.yaml", (place.folder.name,))
            there.add(shared.folder / shared.function.partition(":")[0])
    return place.file in there


def _today(place: Place) -> Iterator[Found]:
    if place.file.is_file():
        yield Found(place.file.read_bytes(), "as deployed")


def _kept(place: Place) -> Iterator[Found]:
    for file in sorted((place.folder / FORMER).glob("*.py")):
        yield Found(file.read_bytes(), f"{FORMER}/{file.name}")


def _history(place: Place) -> Iterator[Found]:
    """Earlier states of the file in the commits that the checked out one descends from, newest first."""
    # The folder of all pipelines is there also where the pipeline's or the set's own is gone.
    root = place.folder.parent
    name = place.file.relative_to(root).as_posix()
    listed = git(root, "rev-list", f"--max-count={_COMMITS}", "HEAD", "--", name)
    commits = listed.printed.decode().split()  # none where there is no git, or no repository
    if not commits:
        return
    asked = "".join(f"{commit}:./{name}\n" for commit in commits)
    answered = git(root, "cat-file", "--batch=%(objecttype) %(objectsize)", given=asked)
    answer = BytesIO(answered.printed)
    for commit in commits:
        kind, _, size = answer.readline().decode().strip().rpartition(" ")
        if kind == "blob":  # not where the commit removed the file
            yield Found(answer.read(int(size)), f"commit {commit[:12]}")
            answer.readline()
