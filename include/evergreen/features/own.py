"""The features that a version was trained with, which may be others than the description has now.

Whoever can write to the storage must not be able to run code in the workers. So the code of a version is only
executed if it is in the repository of the pipelines, today or formerly, or if the version has a valid
signature by a key of `models.signing`. See docs/adr/0045-a-version-keeps-its-features.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evergreen.errors import ChangedError, EvergreenError, IntegrityError, NotFoundError
from evergreen.features.functions import Place, places
from evergreen.features.repository import Found, find
from evergreen.features.stored import StoredFeatures, sha256, stored_as, stored_features
from evergreen.registry.versions import FEATURES

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

SIGNED = "signed"
"""Where the code of a signed version was found: with the version itself."""


@dataclass(frozen=True)
class OwnFeatures:
    """The features of a version: `pipeline` is the pipeline with them described.

    Its positive class and the other targets, which are hidden, are those of the version too.

    `where` says, of each function's file by origin, where its code was found. Where `problem` says why the
    version's own code is not executed, `pipeline` has the features of today.
    """

    pipeline: Pipeline
    where: dict[str, str] = field(default_factory=dict)
    problem: ChangedError | None = None


def own_features(pipeline: Pipeline, version: str) -> OwnFeatures:
    """The features of a version; none of its code is executed, only compared.

    A version of an older release has kept nothing of its features: it has those of today. Raises
    `NotFoundError` if there is no such version, `IntegrityError` if its file is damaged, and `ChangedError`
    if it predicts another target than the description.
    """
    registry = pipeline.registry
    if FEATURES not in registry.files(version):
        return OwnFeatures(pipeline)
    stored = stored_features(pipeline, version)
    if stored.target != pipeline.spec.target:
        what = f"{_target(stored.target)}, and the description now says {_target(pipeline.spec.target)}"
        raise ChangedError(
            f"{pipeline.name}: version {version} predicts {what}: train a new one: evergreen train "
            f"{pipeline.name}",
            f"it predicts {what}",
        )
    kept = {"positive": stored.positive, "other_targets": stored.other_targets}
    if any(getattr(pipeline.spec, name) != value for name, value in kept.items()):
        pipeline = pipeline.described_by(pipeline.spec.model_copy(update=kept))
    there = places(stored.described_in(pipeline.spec))
    if there and stored.same_as(pipeline.spec):
        return OwnFeatures(pipeline, {place.origin: "as deployed" for place in there})
    found: dict[str, Found] = {}
    for place in there:
        try:
            found[place.origin] = _code(pipeline, version, place, stored)
        except _UnvouchedError as why:
            return OwnFeatures(pipeline, {}, _not_executed(pipeline, version, place, str(why)))
    code = {origin: one.body for origin, one in found.items()}
    spec = stored.given_to(pipeline.spec, version, code)
    where = {origin: one.where for origin, one in found.items()}
    return OwnFeatures(pipeline.described_by(spec), where)


class _UnvouchedError(Exception):
    """Why nobody vouches for the code of a function."""


def _code(pipeline: Pipeline, version: str, place: Place, stored: StoredFeatures) -> Found:
    digest = stored.sources.get(place.origin, "")
    if (found := find(pipeline.spec, place, digest)) is not None:
        return found
    if pipeline.spec.models.signing is None:
        raise _UnvouchedError("it is not in the repository, and versions are not signed")
    name = stored_as(place)
    try:
        pipeline.registry.check_signed(version)
    except IntegrityError:
        raise _UnvouchedError("it is not in the repository, and has no valid signature") from None
    except EvergreenError as error:
        raise _UnvouchedError(f"its signature cannot be checked: {error}") from None
    try:
        # The signature covers the digests in the manifest, which the bytes are checked against.
        body = pipeline.registry.read(version, name)
    except (IntegrityError, NotFoundError):
        raise _UnvouchedError(f"it is not in the repository, and '{name}' is damaged or gone") from None
    if sha256(body) != digest:
        raise _UnvouchedError(f"'{name}' is not the file that {FEATURES} names")
    return Found(body, SIGNED)


def _not_executed(pipeline: Pipeline, version: str, place: Place, why: str) -> ChangedError:
    name = pipeline.name
    what = f"was trained with other features than {place.origin} gives now, and its own code is not executed"
    return ChangedError(
        f"{name}: version {version} {what} ({why}): look at it and keep it: evergreen models features {name} "
        f"{version} --keep, or train a new one: evergreen train {name}",
        f"it {what}: {why}",
    )


def _target(name: str | None) -> str:
    return f"'{name}'" if name else "no target"
