"""Approval: the question that a person is asked before a promotion, and the answer yes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.evaluation.verdict import Verdict, in_words
from evergreen.registry.versions import CARD, LINEAGE
from evergreen.training.version_files import stored

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
    lineage = stored(registry, version, LINEAGE)
    champion = registry.champion(lineage["as_of"])
    facts = {
        "Version": f"`{version}`",
        "In place of": f"`{champion}`" if champion else "no champion: it would be the first",
        "Trained because": _quoted(lineage["reason"].get("sentence") or "nobody said"),
        "Model": _quoted(lineage["candidate"]["estimator"]),
        "Card": f"`{pipeline.storage.uri(f'{pipeline.name}/models/{version}/{CARD}')}`",
        "In a shell": f"`evergreen models show {pipeline.name} {version}`",
    }
    lines = [f"- **{name}**: {fact}" for name, fact in facts.items()]
    subject = f"{pipeline.name}: promote {version} to champion?"
    return Question(version, subject, "\n".join([*lines, "", in_words(verdict)]))


def _quoted(text: str) -> str:
    # As code: text that somebody typed can then neither add a link nor imitate another fact.
    line = " ".join(str(text).replace("`", "'").split())
    return f"`{line}`"
