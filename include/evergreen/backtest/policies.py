"""The policies a backtest can compare: `configured`, `never`, `every N` partitions, variants of a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from evergreen.description import Described, explain, read_mapping
from evergreen.errors import SpecError
from evergreen.monitoring.policy import decide, trial_after
from evergreen.monitoring.record import Decision
from evergreen.monitoring.trainings import Training
from evergreen.signals.record import Record
from evergreen.spec import Monitoring, Spec

CONFIGURED, NEVER = "configured", "never"

Part = TypeVar("Part", bound=Described)

_EVERY = re.compile(r"every (\d{1,6})")


@dataclass(frozen=True)
class Policy:
    """When to retrain: by a description's rules, or on a fixed schedule.

    For a fixed schedule, `every` is the number of partitions from one training to the next, None for only the
    first training. `monitoring` are the rules of a variant; `configured` has those of the description.
    """

    name: str
    every: int | None = None
    monitoring: Monitoring | None = field(default=None, repr=False)

    @property
    def fixed(self) -> bool:
        """Whether it depends only on the calendar and not on measurements."""
        return self.monitoring is None and self.name != CONFIGURED

    def of(self, spec: Spec) -> Spec:
        """The description under which it is replayed: without a shadow, since a replay has no requests."""
        changed: dict[str, Any] = {} if self.monitoring is None else {"monitoring": self.monitoring}
        if spec.gate.shadow is not None:
            changed["gate"] = spec.gate.model_copy(update={"shadow": None})
        return spec.model_copy(update=changed) if changed else spec

    def due(self, spec: Spec, last: str, as_of: str) -> bool:
        """Whether a fixed schedule trains as of a partition when its last training was as of `last`."""
        return self.every is not None and spec.calendar.shift(last, self.every) <= as_of

    def decide(self, spec: Spec, records: Sequence[Record], trainings: Sequence[Training]) -> Decision:
        """The decision after the newest record; see `evergreen.monitoring.policy.decide`."""
        if not self.fixed:
            return decide(self.of(spec), records, trainings)
        partition, last = records[-1].partition, max(training.as_of for training in trainings)
        due = self.due(spec, last, spec.calendar.shift(partition, 1))
        said = "retrain" if due else "no retraining"
        tried = trial_after(spec, records, trainings)
        evidence = {"trial": tried and tried.to_dict()}
        return Decision(partition, due, f"{said}: {self.name}; last trained as of {last}", evidence)


def parse_policy(name: str) -> Policy:
    """The policy of this name; `SpecError` if there is none."""
    if name in (CONFIGURED, NEVER):
        return Policy(name)
    match = _EVERY.fullmatch(name)
    if match and int(match[1]) > 0:
        return Policy(name, int(match[1]))
    raise SpecError(f"no policy '{name}': write 'configured', 'never', or 'every 7' for a fixed schedule")


def read_variants(spec: Spec, file: Path) -> list[Policy]:
    """The variants in a YAML file: names, and for each its differences in `monitoring`.

    Raises `SpecError` with file and key path for anything that is not allowed in a description.
    """
    return [variant(spec, str(name), changes, f"{file}: ") for name, changes in read_mapping(file).items()]


def variant(spec: Spec, name: str, changes: Any, where: str = "") -> Policy:
    """The configured policy with changes to `monitoring`, which are checked like the description."""
    if name in (CONFIGURED, NEVER) or _EVERY.fullmatch(name):
        raise SpecError(f"{where}{name}: a policy has this name: rename the variant")
    try:
        changed = overlaid(spec.monitoring, Monitoring.model_validate(changes))
        # Rules between the parts of a description must be checked again on the whole.
        parts = {key: getattr(spec, key) for key in Spec.model_fields}
        checked = Spec.model_validate({**parts, "monitoring": changed})
    except ValidationError as error:
        said = explain(Monitoring, error).removeprefix("monitoring.")
        raise SpecError(f"{where}{name}: {said}") from None
    return Policy(name, monitoring=checked.monitoring)


def overlaid(base: Part, changes: Part) -> Part:
    """The part of a description, with all keys that the changes set replaced, at any depth."""
    update = {
        key: overlaid(getattr(base, key), value) if isinstance(value, Described) else value
        for key in changes.model_fields_set
        for value in [getattr(changes, key)]
    }
    return base.model_copy(update=update)
