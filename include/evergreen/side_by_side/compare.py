"""What differs between two versions, as lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.features.keep import changes
from evergreen.numbers import number
from evergreen.side_by_side import measured
from evergreen.side_by_side.lines import DIGEST, Line, Part, known, line, lines

if TYPE_CHECKING:
    from evergreen.side_by_side.read import Side

_WINDOW = ("first", "last", "partitions", "rows")
_MODEL = ("estimator", "preprocess", "target_transform", "recency", "calibrate", "threshold", "pretrained")


@dataclass(frozen=True)
class SideBySide:
    """Two versions of a pipeline, the `parts` of them, and the `code` of feature functions that changed.

    `code` has by origin the lines of a unified diff from the first to the second.
    """

    first: Side
    second: Side
    parts: tuple[Part, ...]
    code: Mapping[str, list[str]] = field(repr=False)


def compare(first: Side, second: Side) -> SideBySide:
    """All that the records say of both."""
    parts = (
        Part("Data", known(_data(first, second))),
        Part("Model", known(_model(first, second))),
        Part("Features", known(_features(first, second))),
        measured.metrics(first, second),
        measured.on_the_same_rows(first, second),
        measured.slices(first, second),
        measured.importance(first, second),
        Part("Gate", known(_gate(first, second))),
        Part("Made with", known(_made_with(first, second))),
    )
    return SideBySide(first, second, tuple(part for part in parts if part.lines), _code(first, second))


def _data(first: Side, second: Side) -> Iterator[Line]:
    yield line("as of", first.lineage.get("as_of"), second.lineage.get("as_of"))
    windows = [side.lineage.get("window") or {} for side in (first, second)]
    for name in _WINDOW:
        values = [window.get(name) for window in windows]
        said = f"{name} partition" if name in ("first", "last") else name
        yield line(said, *values)
    qualities = [side.explanation.get("window") or {} for side in (first, second)]
    for name, said in (("known", "rows trained on"), ("held", "rows held out")):
        yield line(said, *(quality.get(name) for quality in qualities))
    yield line("partitions missing", *((one.get("missing") or {}).get("count") for one in qualities))
    yield from _digests(first, second, "data", "digest of the rows")
    tables = [side.lineage.get("table_versions") or {} for side in (first, second)]
    yield from lines(tables, of="version of table ")


def _model(first: Side, second: Side) -> Iterator[Line]:
    candidates = [side.lineage.get("candidate") or {} for side in (first, second)]
    for name in _MODEL:
        yield line(name.replace("_", " "), *(candidate.get(name) for candidate in candidates))
    yield from lines([candidate.get("params") or {} for candidate in candidates])
    found = [candidate.get("early_stopping") or {} for candidate in candidates]
    yield from lines(found, of="early stopping found ")
    tried = [len(trials) if (trials := side.lineage.get("trials")) else None for side in (first, second)]
    yield line("settings tried", *tried)


def _features(first: Side, second: Side) -> Iterator[Line]:
    columns = [_columns(side) for side in (first, second)]
    for name in dict.fromkeys(name for side in columns for name in side):
        yield line(name, *("yes" if name in side else None for side in columns))
    kept = [side.features for side in (first, second)]
    for name in dict.fromkeys(origin for one in kept if one for origin in one.sources):
        digests = [one.sources.get(name) if one else None for one in kept]
        yield _digest(f"code of {name}", digests)
    described = [one.features.model_dump(mode="json") if one else {} for one in kept]
    yield from lines(described, of="described ")


def _columns(side: Side) -> list[str]:
    """The features that the version was trained on, in their order."""
    if side.features is not None and side.features.columns:
        return [*side.features.columns]
    window = side.explanation.get("window") or {}
    return [str(feature["name"]) for feature in window.get("features", ())]


def _gate(first: Side, second: Side) -> Iterator[Line]:
    for name in ("outcome", "sentence"):
        yield line(name, *(side.gate.get(name) for side in (first, second)))


def _made_with(first: Side, second: Side) -> Iterator[Line]:
    yield line("trained because", *(_reason(side.lineage.get("reason")) for side in (first, second)))
    yield from _digests(first, second, "spec", "digest of the description")
    yield from _digests(first, second, "code", "digest of the code")
    yield line("git commit", *(side.lineage.get("git_commit") for side in (first, second)))
    yield from lines([side.lineage.get("packages") or {} for side in (first, second)])


def _reason(reason: Mapping[str, Any] | None) -> Any:
    return (reason or {}).get("sentence") or (reason or {}).get("kind")


def _digests(first: Side, second: Side, name: str, said: str) -> Iterator[Line]:
    yield _digest(said, [(side.lineage.get("digests") or {}).get(name) for side in (first, second)])


def _digest(name: str, values: list[Any]) -> Line:
    whole = line(name, *values)
    return Line(name, whole.first[:DIGEST], whole.second[:DIGEST], whole.same)


def _code(first: Side, second: Side) -> dict[str, list[str]]:
    """The changes of each function's file that both have kept."""
    names = (first.version, second.version)
    found = {
        origin: changes(first.code[origin], second.code[origin], names)
        for origin in first.code
        if origin in second.code
    }
    return {origin: diff for origin, diff in found.items() if diff}


def counts(part: Part) -> str:
    """How much of a part differs, in words."""
    total, differing = len(part.lines), len(part.differing)
    if not differing:
        return f"all {number(total)} the same" if total > 1 else "the same"
    return f"{number(differing)} of {number(total)} differ" + ("s" if differing == 1 else "")
