"""The descriptions of pipelines, read by name or by file."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from evergreen.description import explain, read_mapping
from evergreen.errors import SpecError
from evergreen.spec.features import FEATURE_SETS, load_sets
from evergreen.spec.folders import find
from evergreen.spec.spec import Spec
from evergreen.spec.targets import described_for, listed_targets, pipeline_of

_NOT_WRITTEN = {
    "folder": "it is the folder of this file",
    "other_targets": "list the columns to predict in target",
    FEATURE_SETS: "name shared sets in features.sets",
    "feature_code": "name a function in features.function",
}


def load_spec(name: str, folder: Path | None = None) -> Spec:
    """The description of the pipeline called `name` in a folder, by default the configured one.

    Raises `NotFoundError` for an unknown pipeline and for a folder that describes several, `SpecError` for an
    invalid description.
    """
    found = find(name, folder)
    return parse_spec(found.file, found.target)


def parse_spec(file: Path, target: str | None = None) -> Spec:
    """The description in a `pipeline.yaml`; raises `SpecError` naming file, key path and allowed values.

    Where the file lists several targets, `target` is the one whose pipeline is meant.
    """
    content = read_mapping(file)
    folder = file.parent.name
    where, name, others = f"{file}", folder, set[str]()
    if targets := listed_targets(file, content):
        if target not in targets:
            raise SpecError(f"{file}: target: there are several, name one of {', '.join(targets)}")
        name, others = pipeline_of(folder, target), targets.keys() - {target}
        where = f"{file}: {name}"
        content = described_for(content, targets[target], target)
    for key, remedy in _NOT_WRITTEN.items():
        if key in content:
            raise SpecError(f"{where}: {key}: no such key: {remedy}")
    try:
        spec = Spec.model_validate({**content, "folder": file.parent, "other_targets": sorted(others)})
    except ValidationError as error:
        raise SpecError(f"{where}: {explain(Spec, error)}") from None
    if spec.name != name:
        written = spec.name.removesuffix(f"_{target}") if targets else spec.name
        raise SpecError(f"{where}: name: '{written}' must be the folder's name, '{folder}'")
    if spec.name == FEATURE_SETS:
        raise SpecError(f"{where}: name: '{FEATURE_SETS}' is the folder of shared feature sets: take another")
    return spec.model_copy(update={"feature_sets": load_sets(file, spec.features.sets)})
