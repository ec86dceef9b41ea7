"""The part of a card on the decision that led to the training. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evergreen.signals import words_of


def signal_rows(reason: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The signals as rows of a table, fired ones first: name, whether it fired, and what it found.

    `reason` is the reason in the version's lineage. Empty for a training that the monitor did not start, and
    for a reason that a person wrote.
    """
    signals = _mapping(_mapping(reason.get("evidence")).get("signals"))
    rows = [
        {
            "name": words_of(name),
            "fired": bool(found.get("fires")),
            "found": str(found.get("clause", "")),
        }
        for name, found in signals.items()
        if isinstance(found, Mapping)
    ]
    return sorted(rows, key=lambda row: not row["fired"])


def decided(reason: Mapping[str, Any]) -> dict[str, str]:
    """Facts that explain the table of signals: partition, champion and last training, if known."""
    evidence = _mapping(reason.get("evidence"))
    known = {
        "partition": reason.get("partition"),
        "champion": evidence.get("champion"),
        "last_training": evidence.get("last_training"),
    }
    return {name: str(value or "") for name, value in known.items()}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
