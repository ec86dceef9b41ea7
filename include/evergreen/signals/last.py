"""The last training, as signals see it: what became of its challenger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evergreen.numbers import percent


@dataclass(frozen=True)
class LastTraining:
    """`none` where nothing but the first model was trained; `kept` where the champion stayed for good.

    `fresh` is how many scored partitions came after it, None
    where that is not known. `gain` is by how much its challenger is better so
    far, as a share of the champion's distance from a perfect model: None unless it is on trial and was
    measured.
    """

    became: Literal["none", "promoted", "on trial", "kept"] = "none"
    fresh: int | None = None
    gain: float | None = None

    @property
    def on_trial(self) -> bool:
        """Whether its challenger is still compared with the champion."""
        return self.became == "on trial"

    def helped(self, gain: float) -> bool:
        """Whether its challenger is in force, or is better by at least this share so far."""
        return self.became == "promoted" or (self.gain is not None and self.gain >= gain)

    def words(self, gain: float) -> str:
        """Why it did not help."""
        if self.became == "none":
            return "only the first model was trained so far"
        if self.gain is None:
            return "the last training did not help"
        return f"the last challenger gains {percent(self.gain)} so far ({percent(gain)} wanted)"


NOTHING_YET = LastTraining()
"""No more is known than that there is a champion."""
