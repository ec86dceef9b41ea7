"""Mutes: which alerts are silent, who silenced them, and what ended that. Pure: no input or output.

A mute is of an alert's key. Where it names a partition, it holds until that partition, even if the alert is
over in between and opens again; otherwise it holds until the alert is over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

_KEPT = 100
"""How many mutes that have ended are kept."""


@dataclass(frozen=True)
class Mute:
    """The alert `key` was silenced by a person, at a time (ISO 8601, with an offset), who may say why.

    `until` is the first partition of which its receivers are told again; None stands for when it is over.
    `ended` says in a few words what ended the mute; while it is empty the mute holds.
    """

    key: str
    by: str
    at: str
    until: str | None = None
    why: str = ""
    ended: str = ""

    @property
    def end(self) -> str:
        """Until when it holds, in words."""
        return f"until partition {self.until}" if self.until else "until it is over"


def mute_of(mutes: Sequence[Mute], key: str) -> Mute | None:
    """The mute that silences the alert now."""
    return next((mute for mute in mutes if mute.key == key and not mute.ended), None)


def with_mute(mutes: Sequence[Mute], mute: Mute) -> tuple[Mute, ...]:
    """The mutes and another one, in place of the one that silenced the same alert so far."""
    return (*without_mute(mutes, mute.key, f"changed by {mute.by}"), mute)


def without_mute(mutes: Sequence[Mute], key: str, ended: str) -> tuple[Mute, ...]:
    """The mutes after the one that silences the alert has ended."""
    return _after(mutes, lambda mute: ended if mute.key == key else "")


def past(mutes: Sequence[Mute], partition: str) -> tuple[Mute, ...]:
    """The mutes once a partition is looked at; an empty one stands for no partition, and ends none."""
    return _after(mutes, lambda mute: f"{partition} came" if mute.until and partition >= mute.until else "")


def over(mutes: Sequence[Mute], keys: Collection[str]) -> tuple[Mute, ...]:
    """The mutes once the alerts of these keys are over."""
    return _after(mutes, lambda mute: "" if mute.until or mute.key not in keys else "the alert was over")


def _after(mutes: Sequence[Mute], ending: Callable[[Mute], str]) -> tuple[Mute, ...]:
    """The mutes after those of which `ending` says what ends them; of the ended ones the newest are kept."""
    now = [mute if mute.ended else replace(mute, ended=ending(mute)) for mute in mutes]
    ended = [mute for mute in now if mute.ended][-_KEPT:]
    return tuple(mute for mute in now if not mute.ended or mute in ended)
