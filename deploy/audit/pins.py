"""The packages that the requirements files pin, each once for all files."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

_LINE = re.compile(r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\\n]+?))?\s*\\?$", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Pin:
    """A package in one version, the sets that have it, and where it is installed (no marker: everywhere)."""

    name: str
    version: str
    sets: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        """As pip writes it, without where it is installed."""
        return f"{self.name}=={self.version}"

    def installed_by(self, environment: dict[str, str]) -> bool:
        """Whether a Python with these markers installs it."""
        return not self.markers or any(Marker(each).evaluate(environment) for each in self.markers)


def sets(root: Path) -> list[Path]:
    """All files of pinned requirements of the repository."""
    return sorted(root.glob("requirements*.txt"))


def pins(files: list[Path]) -> list[Pin]:
    """What the files pin, in the order of names; what one of them installs everywhere has no marker."""
    named: dict[tuple[str, str], set[str]] = defaultdict(set)
    markers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for file in files:
        for name, version, marker in _LINE.findall(file.read_text(encoding="utf-8")):
            key = (canonicalize_name(name), version)
            named[key].add(file.stem)
            markers[key].add(marker.strip())
    return sorted(
        Pin(*key, tuple(sorted(named[key])), () if "" in markers[key] else tuple(sorted(markers[key])))
        for key in named
    )


def rounds(found: list[Pin]) -> list[list[Pin]]:
    """The same in lists that have each name once, as programs want that read requirements."""
    lists: list[list[Pin]] = []
    seen: dict[str, int] = defaultdict(int)
    for pin in found:
        at = seen[pin.name]
        seen[pin.name] += 1
        if at == len(lists):
            lists.append([])
        lists[at].append(pin)
    return lists
