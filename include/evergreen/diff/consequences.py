"""What follows from the changes of a pipeline, in sentences: for versions, champion, partitions, ticks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

from evergreen.diff.change import Change
from evergreen.diff.files import body_of, code_of
from evergreen.features.functions import Place, places
from evergreen.features.repository import FORMER
from evergreen.spec import Spec
from evergreen.training_set.digest import spec_digest, training_digest

_TICKS = 3


def consequences(before: Spec, after: Spec, changes: Sequence[Change], moment: datetime) -> Iterator[str]:
    """The sentences on a pipeline that both states of the folder describe; the files of both are read."""
    yield _of_versions(before, after)
    yield from _of_the_champion(before, after)
    yield from _of_partitions(after, changes)
    if before.ticks != after.ticks or before.first_partition != after.first_partition:
        yield f"Next ticks: {ticks_in_words(after, moment)}. Before: {ticks_in_words(before, moment)}."


def ticks_in_words(spec: Spec, moment: datetime) -> str:
    """The next ticks after a moment, with the partitions that they take."""
    ticks = islice(spec.ticks.following(moment, spec.first_partition), _TICKS)
    return "; ".join(" takes ".join(spec.ticks.in_words(tick)) for tick in ticks)


def _of_versions(before: Spec, after: Spec) -> str:
    train = f"None starts because of this: `evergreen train {after.name}` does."
    if training_digest(before) != training_digest(after) or code_of(before) != code_of(after):
        return f"Versions: the next training makes another model, with an id of its own. {train}"
    if spec_digest(before) != spec_digest(after):
        return (
            "Versions: the next training makes the same model, judged by another gate, with another id. "
            f"What was judged stays judged. {train}"
        )
    return "Versions: from the same data a training makes the same version as before."


def _of_the_champion(before: Spec, after: Spec) -> Iterator[str]:
    train = f"`evergreen train {after.name}`"
    if before.target != after.target:
        was = before.target or "no target"
        yield f"Champion: it predicts {was} and is refused from now on. Train a new one: {train}"
    elif before.task is not after.task:
        yield f"Champion: it was trained for {before.task}. Train a new one: {train}"
    else:
        yield _of_its_features(before, after, train)
    if after.models.require_signature and not before.models.require_signature:
        yield "Champion: if it is not signed, it is refused from now on."


def _of_its_features(before: Spec, after: Spec, train: str) -> str:
    lost = [place for place in places(before) if not _is_kept(before, after, place)]
    keep = f"`evergreen models features {after.name} VERSION --keep`"
    if not lost:
        return "Champion: it stays in force, with the features it was trained on."
    if all(_is_described(before, after, place) for place in lost):
        return (
            "Champion: it stays in force, with the features it was trained on. Their code is found in the "
            f"history of a clone; where there is none, as in an image, keep it first: {keep}"
        )
    signed = "only a signed version has their code" if after.models.signing else "nothing has their code"
    return (
        f"Champion: no description names the file of its features any more, and {signed}. Keep it: "
        f"{keep}, or train a new one: {train}"
    )


def _of_partitions(after: Spec, changes: Sequence[Change]) -> Iterator[str]:
    touched = {change.effect.partitions for change in changes}
    if "cut" in touched:
        yield (
            "Partitions: once some are published, ingest is refused, since their keys would have other rows. "
            "Write the calendar as it was, or give the pipeline another name."
        )
    elif "read" in touched:
        span = f" --partition {after.first_partition} --to KEY" if after.calendar.has_time else ""
        yield (
            "Partitions: published ones stay as they were read. To read them again: "
            f"`evergreen ingest {after.name}{span}`"
        )
    elif "judged" in touched:
        yield "Partitions: published ones are not judged again."


def _is_kept(before: Spec, after: Spec, place: Place) -> bool:
    """Whether the folder of today has the code of a function of before, there or among the former."""
    body = body_of(before, place)
    today = [one for one in places(after) if one.origin == place.origin]
    former = after.folder.parent / place.folder.relative_to(before.folder.parent) / FORMER
    kept = sorted(former.glob("*.py"))
    bodies = [*(body_of(after, one) for one in today), *(file.read_bytes() for file in kept)]
    return body is None or body in bodies


def _is_described(before: Spec, after: Spec, place: Place) -> bool:
    file = _today(before, after, place)
    return any(one.file == file for one in places(after))


def _today(before: Spec, after: Spec, place: Place) -> Path:
    """Where a file of before would be today."""
    return after.folder.parent / place.file.relative_to(before.folder.parent)
