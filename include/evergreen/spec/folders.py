"""Which pipelines the folders describe, and where each one is described.

A folder with a `pipeline.yaml` describes the pipeline of its own name or, where the description lists several
targets, one for each of them: `bikes_casual` and `bikes_registered` in the folder `bikes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evergreen.description import pipelines_folder, read_mapping
from evergreen.errors import SpecError, UnknownPipelineError
from evergreen.sources.nearest import nearest
from evergreen.spec.targets import listed_targets, pipeline_of, plainly_one

DESCRIPTION = "pipeline.yaml"
"""The file that describes the pipelines of a folder."""


@dataclass(frozen=True)
class Found:
    """Where a pipeline is described: `target` is its own where the file lists several."""

    file: Path
    target: str | None = None


def pipeline_names(folder: Path | None = None) -> list[str]:
    """Sorted names of the pipelines in a folder, by default the configured one. No description is checked.

    Only one that may list several targets is parsed. Where its targets cannot be told, or their names are
    taken, its folder's name stands for them, which `find` refuses with the reason. Raises `SpecError` if
    there is no such folder.
    """
    folder = folder or pipelines_folder()
    if not folder.is_dir():
        raise SpecError(f"{folder}: no such folder of pipelines; set EVERGREEN_PIPELINES to one")
    files = folder.glob(f"*/{DESCRIPTION}")
    return sorted(name for file in files for name in pipelines_of(file.parent.name, folder))


def pipelines_of(name: str, folder: Path | None = None) -> list[str]:
    """The pipelines that a name stands for: those of all targets for a folder's, else the name itself."""
    file = (folder or pipelines_folder()) / name / DESCRIPTION
    try:
        return [pipeline_of(name, target) for target in _targets(file)] or [name]
    except SpecError:
        return [name]


def find(name: str, folder: Path | None = None) -> Found:
    """Where the pipeline called `name` is described, in a folder or by default the configured one.

    Raises `UnknownPipelineError` for an unknown pipeline, and for a folder that describes several;
    `SpecError` where the targets of the description cannot be told, or the names of its pipelines are taken.
    """
    folder = folder or pipelines_folder()
    file = folder / name / DESCRIPTION
    if file.is_file():
        if targets := _targets(file):
            several = ", ".join(pipeline_of(name, target) for target in targets)
            raise UnknownPipelineError(
                f"{file} describes a pipeline for each of its targets: name one of {several}"
            )
        return Found(file)
    wrong: SpecError | None = None
    for other, target in _prefixes(folder, name):
        try:
            if target in _targets(other):
                return Found(other, target)
        except SpecError as error:  # of a description that has nothing to do with it, perhaps
            wrong = error
    if wrong is not None:
        raise wrong
    raise UnknownPipelineError(f"no pipeline '{name}' in {folder} ({nearest(name, pipeline_names(folder))})")


def _targets(file: Path) -> list[str]:
    """The targets that a file lists; raises `SpecError` for wrong ones, and where a name is taken."""
    targets = _listed(file)
    for target in targets:
        name = pipeline_of(file.parent.name, target)
        if taken := next(_others(file, name), None):
            raise SpecError(
                f"{file}: target: '{name}' would be the name of a pipeline here and in {taken.parent}: "
                "rename one of both folders"
            )
    return targets


def _listed(file: Path) -> list[str]:
    try:
        text = file.read_bytes()
    except OSError:  # the description itself is refused for it when it is read
        return []
    return [] if plainly_one(text) else list(listed_targets(file, read_mapping(file)))


def _others(file: Path, name: str) -> Iterator[Path]:
    """The other files that describe a pipeline of this name."""
    folder = file.parent.parent
    if (folder / name / DESCRIPTION).is_file():
        yield folder / name / DESCRIPTION
    for other, target in _prefixes(folder, name):
        try:
            if other != file and target in _listed(other):
                yield other
        except SpecError:  # one that is refused itself takes no name
            continue


def _prefixes(folder: Path, name: str) -> Iterator[tuple[Path, str]]:
    """The descriptions that a name may be that of one target of, each with this target."""
    parts = name.split("_")
    for at in range(1, len(parts)):
        file = folder / "_".join(parts[:at]) / DESCRIPTION
        if file.is_file():
            yield file, "_".join(parts[at:])
