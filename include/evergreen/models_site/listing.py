"""Which pipelines the list of all shows, and in which order: what its address asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from evergreen.metrics import metric_named

if TYPE_CHECKING:
    from evergreen.status.summary import Status


def worse_by(one: Status) -> float | None:
    """How much worse the error is than promised: `Metric.worse_by`; None where either is not known."""
    if one.metric is None or one.error is None or one.promised is None:
        return None
    return metric_named(one.metric).worse_by(one.error, one.promised)


def needs_attention(one: Status) -> bool:
    """Whether an alert is open, a person has something to do, or the state is not known."""
    return bool(one.alerts or one.to_do or one.problem)


ORDERS: Mapping[str, Callable[[Status], Any]] = {
    "pipeline": lambda one: one.pipeline,
    "age": lambda one: one.age,
    "error": worse_by,
    "aside": lambda one: one.quarantined,
    "alerts": lambda one: len(one.alerts),
    "next": lambda one: one.next_at,
}
"""What the list can be sorted by; of a pipeline of which it is not known the value is None."""

SHOWN: Mapping[str, tuple[str, Callable[[Status], bool]]] = {
    "all": ("all pipelines", lambda one: True),
    "attention": ("those that need attention", needs_attention),
    "alerts": ("those with open alerts", lambda one: bool(one.alerts)),
    "none": ("those without a champion", lambda one: one.champion is None),
}
"""What the list can be filtered by: the words, and whether a pipeline is shown."""

_FALLING = ("age", "error", "aside", "alerts")


@dataclass(frozen=True)
class Listing:
    """What is asked for: names that hold `name`, of the group `show`, sorted by `sort` or `turned` by it.

    Ages, errors, shares and numbers of alerts come the largest first, names and times the smallest.
    """

    name: str = ""
    show: str = "all"
    sort: str = "pipeline"
    turned: bool = False

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Listing:
        """What an address asks for; a word that there is not is left out."""
        show, sort = asked.get("show", ""), asked.get("sort", "")
        return cls(
            name=asked.get("name", "").strip(),
            show=show if show in SHOWN else cls.show,
            sort=sort if sort in ORDERS else cls.sort,
            turned=asked.get("turned") == "yes",
        )

    def chosen(self, found: Iterable[Status]) -> list[Status]:
        """Those that are shown, in order; where two are alike by name, and what is not known last."""
        _, shown = SHOWN[self.show]
        held = sorted(
            (one for one in found if self.name.lower() in one.pipeline.lower() and shown(one)),
            key=lambda one: one.pipeline,
        )
        value = ORDERS[self.sort]
        known = [one for one in held if value(one) is not None]
        return [
            *sorted(known, key=value, reverse=self.falling),
            *(one for one in held if value(one) is None),
        ]

    @property
    def falling(self) -> bool:
        """Whether the largest come first."""
        return (self.sort in _FALLING) != self.turned

    def by(self, sort: str) -> str:
        """The address of the same list sorted by another column, or by this one the other way."""
        turned = sort == self.sort and not self.turned
        asked = {"name": self.name, "show": self.show, "sort": sort, "turned": "yes" if turned else ""}
        return "?" + urlencode({name: value for name, value in asked.items() if value})
