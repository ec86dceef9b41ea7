"""Release the rows in quarantine of a partition that today's expectations accept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from evergreen.actions.action import (
    Action,
    Person,
    Preview,
    Start,
    Wanted,
    check_unchanged,
    counted,
    digest,
)
from evergreen.errors import NothingToDoError, UnavailableError
from evergreen.ingestion.release import Released, release
from evergreen.interpreter import NoAnswerError, run_clean
from evergreen.pipeline import Pipeline
from evergreen.scoring.afresh import environment_of
from evergreen.stages import INGEST, SCORE
from evergreen.validation.quarantine import read_quarantine

if TYPE_CHECKING:
    from evergreen.stages import Stage
    from evergreen.validation.quarantine import Quarantined


class Release(Action):
    """Validate a partition again, with its rows in quarantine, and publish what passes."""

    name: ClassVar[str] = "release"
    label: ClassVar[str] = "Release quarantined rows"
    stage: ClassVar[Stage] = INGEST
    takes: ClassVar[tuple[str, ...]] = ("partition",)

    def preview(self, pipeline: Pipeline, wanted: Wanted) -> Preview:
        """How many rows there are, what they broke, and what happens to those that break it still."""
        key = pipeline.spec.calendar.check(wanted["partition"])
        return releasing(pipeline.name, key, read_quarantine(pipeline.lake, key))

    def run(self, pipeline: Pipeline, seen: Preview, person: Person, start: Start) -> str:
        """Release them in a process of its own: the libraries of validation are large."""
        check_unchanged(self.preview(pipeline, seen.wanted), seen)
        key = seen.wanted["partition"]
        try:
            done = run_clean(
                release_stored,
                pipeline.name,
                key,
                person.name,
                person.why,
                environment=environment_of(pipeline),
            )
        except NoAnswerError as died:
            raise UnavailableError(
                f"{pipeline.name} {key}: the release ended before it was told to be done ({died}): see "
                f"evergreen quarantine show {pipeline.name} --partition {key}, and try again"
            ) from died
        except NothingToDoError as nothing:
            return f"{nothing}."
        left = f"{counted(len(done.remaining), 'row')} still in quarantine"
        return f"{key}: {counted(len(done.released), 'row')} released, {left}; {done.rows:,} published."


def release_stored(name: str, partition: str, by: str, why: str) -> Released:
    """Release the rows of the pipeline that the environment's variables lead to."""
    return release(Pipeline.open(name), partition, by=by, reason=why)


def releasing(pipeline: str, partition: str, rows: Sequence[Quarantined]) -> Preview:
    """What the release of these rows of a partition, all that are in quarantine, will do. Pure."""
    title, wanted = f"Release rows of {partition} in {pipeline}", {"partition": partition}
    state = digest(*sorted(row.id for row in rows))
    if not rows:
        said = (f"No row of {partition} is in quarantine: there is nothing to release.",)
        return Preview(title, said, state, wanted, possible=False)
    broken = Counter(label for row in rows for label in row.expectations)
    labels = ", ".join(f"{label} ({number})" for label, number in broken.most_common())
    sentences = (
        f"{counted(len(rows), 'row')} in quarantine: {labels}.",
        "They are validated again by the expectations of now, with the corrections that are stored. Those "
        "that pass are published with the partition; the others stay in quarantine.",
        "The sources are not read. If validation refuses the partition as a whole, nothing changes.",
        f"Predictions are not made again: start {SCORE.dag_id(pipeline)} for {partition} afterwards.",
        "To correct values, use evergreen quarantine release --from.",
    )
    return Preview(title, sentences, state, wanted)
