"""The folder of pipelines as it was at a revision of git, beside the one of today, which stays as it is."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from evergreen.errors import EvergreenError
from evergreen.git import git


@dataclass(frozen=True)
class Revision:
    """A revision of the `repository` that holds the folder of pipelines `now`.

    `then` is a temporary copy of this folder as it was, empty if it was not there. `files` are those of today
    that git does not ignore, and `differing` the names below the repository that differ from the revision.
    """

    name: str
    commit: str
    repository: Path
    now: Path
    then: Path
    files: frozenset[Path] = field(repr=False)
    differing: tuple[str, ...] = field(repr=False)

    def named(self, text: str) -> str:
        """A message on the copy, with the name of the folder that it is a copy of."""
        return text.replace(str(self.then), f"{self.name}:{self.now.relative_to(self.repository).as_posix()}")


@contextmanager
def at_revision(name: str, folder: Path) -> Iterator[Revision]:
    """The folder of pipelines at a revision such as `main` or `HEAD~1`; the copy is deleted at the end.

    Raises `EvergreenError` without git, outside a repository, and for a revision that there is not.
    """
    folder = folder.resolve()
    repository = _repository(folder)
    commit = _commit(name, repository)
    with TemporaryDirectory(prefix="evergreen-diff-") as place:
        then = Path(place).resolve() / folder.name
        then.mkdir()
        within = folder.relative_to(repository).as_posix().removeprefix(".")
        _extract(name, f"{commit}:{within}", repository, then)
        listed = _names(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        others = _names(repository, "ls-files", "-z", "--others", "--exclude-standard")
        differing = _names(repository, "diff", "-z", "--name-only", "--no-ext-diff", commit)
        yield Revision(
            name,
            commit,
            repository,
            folder,
            then,
            frozenset(folder / one for one in listed),
            tuple(sorted({*differing, *others})),
        )


def _repository(folder: Path) -> Path:
    said = git(folder, "rev-parse", "--show-toplevel")
    if said.error is not None:
        raise EvergreenError(f"{folder}: {said.error}: --diff needs git, and the folder in a clone")
    return Path(said.printed.decode().rstrip("\n"))


def _commit(name: str, repository: Path) -> str:
    # A name that begins like an option would be one.
    known = name and not name.startswith("-")
    said = git(repository, "rev-parse", "--verify", f"{name}^{{commit}}") if known else None
    if said is None or said.error is not None:
        raise EvergreenError(
            f"{repository}: no revision '{name}': fetch it, or name another such as main or HEAD~1"
        )
    return said.printed.decode().strip()


def _extract(name: str, tree: str, repository: Path, then: Path) -> None:
    if git(repository, "cat-file", "-e", tree).error is not None:
        return  # all of its pipelines are new
    packed = git(repository, "archive", "--format=tar", tree)
    try:
        if packed.error is not None:
            raise EvergreenError(f"{repository}: the folder of '{name}' cannot be read: {packed.error}")
        with tarfile.open(fileobj=BytesIO(packed.printed)) as archive:
            archive.extractall(then, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise EvergreenError(
            f"{repository}: the folder of '{name}' cannot be unpacked ({error}): name another revision"
        ) from None


def _names(folder: Path, *arguments: str) -> list[str]:
    return [
        name for name in git(folder, *arguments).printed.decode(errors="surrogateescape").split("\0") if name
    ]
