"""The answers to what an audit finds: `answers.yaml`, in which each has its reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints

FILE = Path(__file__).with_name("answers.yaml")

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=20)]
"""A sentence: why the finding does no harm, or what is done about it."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Licence(_Answer):
    """A licence that is not allowed in general, and why it is for this package."""

    package: str
    licence: str
    """As the audit tells it: another licence is a new finding."""
    reason: Reason


class Vulnerability(_Answer):
    """A known vulnerability of a pinned version, and why it does no harm here."""

    id: str
    package: str
    version: str
    reason: Reason


class Secrets(_Answer):
    """Strings that look like secrets and are none: digest and a file that has or had them."""

    reason: Reason
    found: dict[str, str]
    history: bool = False
    """Whether the files, or the strings in them, may be gone from the tree."""


class Licences(_Answer):
    """The licences that are allowed for every package, and the answers for those that have another."""

    allowed: list[str]
    answered: list[Licence] = []


class Answers(_Answer):
    """The whole file."""

    licences: Licences
    vulnerabilities: list[Vulnerability] = []
    secrets: list[Secrets] = []

    def keys(self) -> set[tuple[str, str]]:
        """What is answered, as `Finding.key` names it."""
        return (
            {("licences", f"{each.package}: {each.licence}") for each in self.licences.answered}
            | {
                ("vulnerabilities", f"{each.package} {each.version}: {each.id}")
                for each in self.vulnerabilities
            }
            | {("secrets", digest) for each in self.secrets for digest in each.found}
        )


@dataclass(frozen=True, order=True)
class Finding:
    """Something that an audit found: by which check, the key of its answer, and where it is for people."""

    check: str
    name: str
    where: str

    @property
    def key(self) -> tuple[str, str]:
        """By which it is answered."""
        return self.check, self.name


class NotAskedError(Exception):
    """A service that a check needs gave no answer: in one line why, and what to do."""


def read(file: Path = FILE) -> Answers:
    """The answers; ValidationError where one has no reason."""
    return Answers.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
