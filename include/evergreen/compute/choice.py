"""Which engine computes: what `EVERGREEN_COMPUTE` says."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum

from evergreen.errors import EvergreenError

VARIABLE = "EVERGREEN_COMPUTE"
LOCAL = "local"
_FORMS = "local, processes:4, dask://host:8786, dask+tls://host:8786 or spark://host:7077"
_PROCESSES = re.compile(r"processes:([1-9]\d{0,3})")
_CLUSTER = re.compile(r"(dask|dask\+tls|spark)://([\w.\-\[\]:,]+:\d{1,5})")


class Kind(StrEnum):
    """The kinds of engine."""

    LOCAL = "local"
    PROCESSES = "processes"
    DASK = "dask"
    SPARK = "spark"


@dataclass(frozen=True)
class Choice:
    """A kind of engine, with how many processes it has, or the address that its own library takes."""

    kind: Kind
    count: int = 1
    address: str = ""

    @property
    def elsewhere(self) -> bool:
        """Whether it may compute on other hosts, which have none of this one's files."""
        return self.kind in (Kind.DASK, Kind.SPARK)


def chosen(default: str = LOCAL) -> Choice:
    """The engine that `EVERGREEN_COMPUTE` names, or `default` where it is not set."""
    return parse(os.environ.get(VARIABLE) or default)


def parse(text: str) -> Choice:
    """The engine of a text; raises `EvergreenError` naming what is allowed."""
    if text == LOCAL:
        return Choice(Kind.LOCAL)
    if match := _PROCESSES.fullmatch(text):
        return Choice(Kind.PROCESSES, count=int(match[1]))
    if match := _CLUSTER.fullmatch(text):
        scheme, where = match[1], match[2]
        if scheme == "spark":
            return Choice(Kind.SPARK, address=f"spark://{where}")
        return Choice(Kind.DASK, address=f"{'tls' if scheme == 'dask+tls' else 'tcp'}://{where}")
    raise EvergreenError(f"{VARIABLE} is '{text}': write {_FORMS}")
