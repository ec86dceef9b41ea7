"""What a version keeps of its features: their description in `features.json`, and the files of the functions.

The file of the pipeline's own function is stored as `features.py`, that of a set as `features.<set>.py`. They
are only stored and compared here, never executed: see `evergreen.features.own`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from evergreen.errors import IntegrityError
from evergreen.features.functions import Place, places, source
from evergreen.registry.versions import FEATURES
from evergreen.spec import Features, FeatureSet, Spec
from evergreen.spec.features import FEATURE_SETS, FeatureCode

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

FORM = 1
"""The form of `features.json`; it changes when what was written before can no longer be read."""


@dataclass(frozen=True)
class StoredFeatures:
    """The features that a version was trained with.

    `features` and `sets` are as described, `sources` the SHA-256 (hexadecimal) of each function's file by
    origin, and `columns` what the functions gave. `target` is what the version predicts, `positive` the class
    that its description called so, and `other_targets` what was hidden like the target.
    """

    features: Features
    sets: tuple[FeatureSet, ...]
    sources: Mapping[str, str]
    columns: tuple[str, ...] = field(repr=False)
    target: str | None
    positive: bool | int | float | str | None = None
    other_targets: tuple[str, ...] = ()

    @classmethod
    def of(cls, spec: Spec, columns: Sequence[str] = ()) -> StoredFeatures:
        """The features of a description as it is now."""
        digests = {place.origin: sha256(source(spec, place)) for place in places(spec)}
        predicts = (spec.target, spec.positive, spec.other_targets)
        return cls(spec.features, spec.feature_sets, digests, tuple(columns), *predicts)

    def to_json(self) -> bytes:
        """The content of `features.json`."""
        predicts = {"target": self.target, "positive": self.positive, "other_targets": self.other_targets}
        content = {"form": FORM, **self._described, "columns": self.columns, **predicts}
        return json.dumps(content, indent=1).encode()

    @classmethod
    def from_dict(cls, spec: Spec, version: str, content: Mapping[str, Any]) -> StoredFeatures:
        """What the text of `to_json` says.

        Raises `IntegrityError` for another form, and `ValueError`, `TypeError`, `KeyError` or
        `AttributeError` for anything else.
        """
        if content["form"] != FORM:
            raise IntegrityError(
                f"{spec.name}: version {version}: {FEATURES} has form {content['form']} and not {FORM}: "
                "train a new version"
            )
        folder = spec.folder.parent / FEATURE_SETS
        sets = [
            FeatureSet(folder=folder / name, description="", owner="", **one)
            for name, one in content["sets"].items()
        ]
        features = Features.model_validate(content["features"])
        if features.sets != tuple(content["sets"]):
            raise ValueError("other sets than described")
        sources = {str(origin): str(digest) for origin, digest in content["sources"].items()}
        columns = tuple(map(str, content["columns"]))
        # An older release kept no positive class, and knew one target.
        positive = content.get("positive", spec.positive)
        others = tuple(map(str, content.get("other_targets", ())))
        return cls(features, tuple(sets), sources, columns, content["target"], positive, others)

    def same_as(self, spec: Spec) -> bool:
        """Whether the description has these very features, and files with these very functions."""
        return self._described == StoredFeatures.of(spec)._described

    def described_in(self, spec: Spec) -> Spec:
        """The description with these features in place of its own, and still with the files of the folder."""
        return spec.model_copy(update={"features": self.features, "feature_sets": self.sets})

    def given_to(self, spec: Spec, version: str, code: Mapping[str, bytes]) -> Spec:
        """The description with these features, and the files of their functions by origin."""
        made = FeatureCode(version, code, self.columns)
        return self.described_in(spec).model_copy(update={"feature_code": made})

    @property
    def _described(self) -> dict[str, Any]:
        return {
            "features": self.features.model_dump(mode="json"),
            "sets": {
                one.name: {"function": one.function, "look_back": str(one.look_back)} for one in self.sets
            },
            "sources": dict(self.sources),
        }


def stored_features(pipeline: Pipeline, version: str) -> StoredFeatures:
    """The features of a version that keeps them; raises `NotFoundError`, or `IntegrityError` for damage."""
    kept = partial(StoredFeatures.from_dict, pipeline.spec, version)
    return pipeline.registry.content(version, FEATURES, kept)


def feature_files(spec: Spec, columns: Sequence[str]) -> dict[str, bytes]:
    """The files, by name, that a version keeps of the description's features, which give these columns."""
    files = {stored_as(place): source(spec, place) for place in places(spec)}
    return {FEATURES: StoredFeatures.of(spec, columns).to_json(), **files}


def stored_as(place: Place) -> str:
    """The name of a function's file in the folder of a version."""
    own = place.key == "features.function"
    return "features.py" if own else f"features.{place.folder.name}.py"


def sha256(body: bytes) -> str:
    """SHA-256 (hexadecimal) of a file."""
    return hashlib.sha256(body).hexdigest()
