"""Approval: the question that a person is asked before a promotion, and the answer yes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.evaluation.verdict import Verdict, in_words
from evergreen.registry.versions import CARD, LINEAGE

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline


@dataclass(frozen=True)
class Question:
    """Whether to promote `version`; `text` (Markdown) is what there is to decide it by."""

    version: str
    subject: str
    text: str


@dataclass(frozen=True)
class Approval:
    """A person's yes to the promotion of just this version."""

    version: str
    by: str


def ask(pipeline: Pipeline, version: str, verdict: Verdict) -> Question:
    """The question whether to promote a committed version."""
    registry = pipeline.registry
    as_of, reason, estimator = registry.content(version, LINEAGE, _told)
    champion = registry.champion(as_of)
    facts = {
        "Version": f"`{version}`",
        "In place of": f"`{champion}`" if champion else "no champion: it would be the first",
        "Trained because": _quoted(reason or "nobody said"),
        "Model": _quoted(estimator),
        "Card": f"`{pipeline.storage.uri(f'{pipeline.name}/models/{version}/{CARD}')}`",
        "In a shell": f"`evergreen models show {pipeline.name} {version}`",
    }
    lines = [f"- **{name}**: {fact}" for name, fact in facts.items()]
    subject = f"{pipeline.name}: promote {version} to champion?"
    return Question(version, subject, "\n".join([*lines, "", in_words(verdict)]))


def _told(lineage: Mapping[str, Any]) -> tuple[str, str, str]:
    """As of when the version was trained, why, and with which estimator."""
    said = lineage["reason"].get("sentence") or ""
    return lineage["as_of"], str(said), str(lineage["candidate"]["estimator"])


def _quoted(text: str) -> str:
    # As code: text that somebody typed can then neither add a link nor imitate another fact.
    line = " ".join(str(text).replace("`", "'").split())
    return f"`{line}`"
