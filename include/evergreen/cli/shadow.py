"""`evergreen serve shadow`: what the shadows of champions were asked, and how far they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evergreen.cli.command import Answer, PipelineName, open_pipeline, table
from evergreen.numbers import number, percent

if TYPE_CHECKING:
    from evergreen.shadow.judge import Evidence

_COLUMNS = ["shadow", "champion", "rows", "failed", "alike", "difference", "labelled", "loss", "interval"]


def shadow(pipeline: PipelineName) -> Answer:
    """Each challenger that was a shadow beside its champion: their agreement, and what labels say of both."""
    from evergreen.shadow.evidence import all_evidence, evidence_of
    from evergreen.shadow.stage import standing

    opened = open_pipeline(pipeline)
    registry = opened.registry
    version, champion = registry.challenger(), registry.champion()
    found = all_evidence(opened)
    said = ""
    if version is not None and champion is not None:
        now = [one for one in found if (one.version, one.champion) == (version, champion)]
        said = standing(opened, (now or [evidence_of(opened, version, champion)])[0])
    document = {
        "pipeline": pipeline,
        "champion": champion,
        "shadow": version,
        "standing": said or None,
        "versions": [one.to_dict() for one in found],
    }
    lines = table(_COLUMNS, map(_row, found))
    return Answer(document, lines if not said else _with(lines, f"{version} {said}"))


def _row(one: Evidence) -> list[Any]:
    compared = one.comparison
    return [
        one.version,
        one.champion,
        one.rows,
        one.failed,
        percent(one.agreement.equal),
        number(one.agreement.difference),
        one.labelled,
        number(compared.loss) if compared else None,
        f"{number(compared.low)} to {number(compared.high)}" if compared else None,
    ]


def _with(lines: Any, said: str) -> Any:
    from rich.console import Group

    return Group(lines, said)
