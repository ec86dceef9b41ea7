"""The finding which rows must be sent together, as a version keeps it in `asked.json`. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from evergreen.json_values import json_values
from evergreen.numbers import number

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

ASKED = "asked.json"
FORM = 1
"""The form of `asked.json`; it changes when what was written before can no longer be read."""


class Together(StrEnum):
    """Which rows of a partition are needed for the features of any of them."""

    ROW = "row"
    GROUP = "group"
    PARTITION = "partition"


@dataclass(frozen=True)
class Difference:
    """What showed that fewer rows do not suffice.

    `sent` says in words which rows of the partition there were. `feature` is the first that differs, of the
    row at place `row` (from 1) of `rows` by time and key: `apart` from these rows, `whole` with all, None
    where it is missing. Where features could not be built, `error` names the exception and the rest is empty.
    """

    sent: str
    partition: str
    rows: int
    row: int = 0
    feature: str = ""
    apart: Any = None
    whole: Any = None
    error: str = ""

    @property
    def sentence(self) -> str:
        """The difference in one clause, without any value of a row: it is told to whoever asks."""
        where = f"from {self.sent} of {self.partition}"
        if self.error:
            return f"features cannot be built {where} ({self.error})"
        return f"'{self.feature}' of row {self.row} of {self.rows} {self._by} when it is built {where}"

    @property
    def _by(self) -> str:
        if self.apart is None or self.whole is None:
            return "is missing" if self.apart is None else "is not missing"
        both = (self.apart, self.whole)
        if all(isinstance(one, int | float) and not isinstance(one, bool) for one in both):
            return f"differs by {number(abs(self.apart - self.whole))}"
        return "is another"


@dataclass(frozen=True)
class Asked:
    """Which rows must be sent together: `together`, for a group those with the same values of `by`.

    `partitions` were tried, with `builds` of features from parts of them; `differs` is what showed that fewer
    rows do not suffice. `why` says so where nothing was tried.
    """

    together: Together
    by: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    builds: int = 0
    differs: Difference | None = None
    why: str = ""

    @property
    def rows_in_words(self) -> str:
        """The rows that a request must hold, without the partition they are of."""
        match self.together:
            case Together.ROW:
                return "any rows"
            case Together.GROUP:
                return f"all rows with the same {' and '.join(self.by)}"
        return "all rows"

    @property
    def reason(self) -> str:
        """Why no fewer rows suffice; for single rows, why they do."""
        if self.differs is not None:
            return self.differs.sentence
        return self.why or f"{self.builds} builds from parts of {len(self.partitions)} partitions agree"

    @property
    def sentence(self) -> str:
        """The finding for a card, in one sentence."""
        may = {
            Together.ROW: "Single rows may be asked for online",
            Together.GROUP: f"Online, {self.rows_in_words} of a partition must be sent together",
            Together.PARTITION: "Online, only a whole partition may be asked for",
        }
        return f"{may[self.together]}: {self.reason}."

    def to_json(self) -> bytes:
        """The content of `asked.json`."""
        return json.dumps(json_values({"form": FORM, **asdict(self)}), indent=1, default=str).encode()

    @classmethod
    def of(cls, content: dict[str, Any]) -> Asked:
        """What the text of `to_json` says; raises `ValueError`, `TypeError` or `KeyError` for any other."""
        if content.pop("form") != FORM:
            raise ValueError("another form")
        by, partitions = (tuple(map(str, content.pop(name))) for name in ("by", "partitions"))
        together, differs = Together(content.pop("together")), content.pop("differs")
        return cls(together, by, partitions, **content, differs=differs and Difference(**differs))


def stored_asked(pipeline: Pipeline, version: str) -> Asked:
    """The finding of a version; for one of an older release, that it takes whole partitions.

    Raises `NotFoundError` if there is no such version, `IntegrityError` if its file is damaged.
    """
    registry = pipeline.registry
    if ASKED not in registry.files(version):
        return Asked(Together.PARTITION, why="it was trained before this was tried: train a new version")
    return registry.content(version, ASKED, Asked.of)
