"""The drift of all features together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from evergreen.drift.statistic import Limit, Statistic, register, shown

if TYPE_CHECKING:
    import pandas as pd

_LEADING = 2  # features named


@dataclass(frozen=True, kw_only=True)
class Joint(Statistic):
    """How well a classifier tells the rows of a night from training rows that it was not fitted to.

    0.5: not at all, 1: always. It sees features that drift only together, costs a few seconds a night, and is
    measured only where a description sets its limit; see `evergreen.drift.domain_classifier`.

    Example:
        >>> print(JOINT.told({"auc": 0.81, "leading": ["wind", "hour", "sky"]}))
        AUC 0.81 by wind and hour
    """

    def measure(self, reference: pd.DataFrame, rows: pd.DataFrame, limit: float, seed: int) -> dict[str, Any]:
        """The figures of a night's rows (m, d) against those of the reference (n, d): `auc`, `p`, `drifted`
        and the features that are `leading`."""
        from evergreen.drift.domain_classifier import joint_drift

        return joint_drift(reference, rows, limit, seed).to_dict()

    def told(self, found: Mapping[str, Any]) -> str:
        """The area, and the features that tell most."""
        area, leading = found.get("auc"), " and ".join((found.get("leading") or [])[:_LEADING])
        return f"{self.short} {shown(area)}{f' by {leading}' if leading else ''}"


JOINT = register(
    Joint(
        name="joint",
        words="area under the ROC curve of a domain classifier",
        short="AUC",
        limit=Limit(float | None, Field(default=None, gt=0.5, lt=1, examples=[0.7])),
        source="D. Lopez-Paz and M. Oquab, ICLR 2017",
    )
)
