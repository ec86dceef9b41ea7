"""What a task has come to, in words: the same first line in its log and in the note of its run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.errors import one_line
from evergreen.numbers import number, rows_in_words
from evergreen.shown import in_markdown
from evergreen.stages import INGEST, MAINTAIN, MONITOR, SCORE, TRAIN, WATCH, Stage

if TYPE_CHECKING:
    from evergreen.alerts.alert import Alert
    from evergreen.belongings import Part
    from evergreen.evaluation.evaluate import Evaluation
    from evergreen.ingestion.publish import Published
    from evergreen.labels.ingest import Labelled
    from evergreen.monitoring.record import Decision
    from evergreen.monitoring.stage import Night
    from evergreen.monitoring.training_request import TrainingRequest
    from evergreen.registry.history import Event
    from evergreen.scoring.score import Scored
    from evergreen.signals.record import Record
    from evergreen.spec import Spec
    from evergreen.training.stage import Committed
    from evergreen.validation.report import ValidationReport

REASONS = 5
"""How many reasons the note of a run has at most; the log has all."""


@dataclass(frozen=True)
class Note:
    """What was done to a `subject`, a partition or a version; empty if it is the whole pipeline.

    `verdict` says it shortly, each of `reasons` is told below it on a line of its own, and `figures` are its
    numbers by name, as JSON values.
    """

    subject: str
    verdict: str
    reasons: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """Subject and verdict."""
        return f"{self.subject}: {self.verdict}" if self.subject else self.verdict

    @property
    def text(self) -> str:
        """The note in markdown: its line, and the first reasons as a list."""
        told = [f"- {in_markdown(reason)}" for reason in self.reasons[:REASONS]]
        if more := len(self.reasons) - len(told):
            told.append(f"- {more:,} more in the log")
        return "\n".join([in_markdown(self.line), *([""] if told else []), *told])


def staged(partitions: Sequence[str], source: str, rows: int) -> Note:
    """The rows of one source that an ingest works on."""
    return Note(span(partitions), f"{rows_in_words(rows)} of '{source}' staged")


def complete(partitions: Sequence[str], source: str) -> Note:
    """A source that need not be waited for any longer."""
    return Note(span(partitions), f"'{source}' is complete")


def validated(report: ValidationReport) -> Note:
    """What validation has found; the reasons are the expectations that did not hold."""
    if report.refused:
        verdict, reasons = _parted(f"refused: {report.refused.removeprefix('refused: ')}")
        return Note(report.partition, verdict, reasons)
    verdict = f"{rows_in_words(report.rows)}, {report.quarantined:,} in quarantine"
    return Note(report.partition, verdict, tuple(f"{one.expectation}: {one.detail}" for one in report.failed))


def published(spec: Spec, found: Sequence[Published]) -> Note:
    """What was published; of a range all together, and each partition in a reason. Needs at least one."""
    rows, aside = sum(each.rows for each in found), sum(each.quarantined for each in found)
    changed = any(each.changed for each in found)
    return Note(
        span([each.partition for each in found]),
        _published(rows, aside, changed),
        tuple(f"{one.partition}: {_published(one.rows, one.quarantined, one.changed)}" for one in found)
        if len(found) > 1
        else (),
        {"rows": rows, "quarantined": aside, "changed": changed},
    )


def _published(rows: int, aside: int, changed: bool) -> str:
    return f"{rows_in_words(rows)} published, {aside:,} in quarantine{'' if changed else ' (unchanged)'}"


def labelled(found: Labelled) -> Note:
    """Labels that came later than their rows."""
    subject, _, said = found.sentence.partition(": ")
    verdict, *reasons = said.split("; ")
    return Note(subject, verdict, tuple(reasons))


def scored(spec: Spec, found: Scored) -> Note:
    """The partition that was scored, and by which version."""
    unchanged = "" if found.changed else " (unchanged)"
    return Note(
        found.partition,
        f"{rows_in_words(found.rows)} scored by {found.version}{unchanged}",
        figures={"rows": found.rows, "version": found.version, "changed": found.changed},
    )


def monitored(spec: Spec, night: Night) -> Note:
    """How a night did, and what was decided after it; the reasons are those of the decision."""
    record, late = night.record, night.labelled
    _, reasons = _parted(night.decision.reason)
    if late and late.partition != record.partition:
        reasons = (f"labels came for {late.partition}: {measured_in_words(spec, late)}", *reasons)
    return Note(record.partition, night_in_words(spec, record, night.decision, record.rows), reasons)


def night_in_words(spec: Spec, record: Record, decision: Decision, rows: int) -> str:
    """A night in one clause: its rows, its error beside what was promised, and the decision."""
    decided = "a training is asked for" if decision.retrain else _parted(decision.reason)[0]
    return f"{rows_in_words(rows)}, {measured_in_words(spec, record)}, {decided}"


def measured_in_words(spec: Spec, record: Record) -> str:
    """The training's metric of a night beside what was promised, or why there is none."""
    if record.error is None:
        estimated = "" if record.estimated is None else f", {number(record.estimated)} estimated"
        return f"no labels yet{estimated}"
    promised = "" if record.promised is None else f" against {number(record.promised)} promised"
    return f"{spec.metric.with_unit} {number(record.error)}{promised}"


def alerted(partition: str, alerts: Sequence[Alert]) -> Note:
    """The alerts that hold after a partition."""
    verdict = f"{len(alerts)} alert{' holds' if len(alerts) == 1 else 's hold'}"
    return Note(partition, verdict, tuple(f"[{one.severity}] {one.title}" for one in alerts))


def asked(request: TrainingRequest) -> Note:
    """The training that is asked for, and why."""
    _, reasons = _parted(str(request.reason["sentence"]))
    return Note(request.as_of, "a training as of this partition is started", reasons)


def built(version: str) -> Note:
    """The training set of a version."""
    return Note(version, "its training set is built")


def fitted(candidate: Mapping[str, Any]) -> Note:
    """The candidate that was chosen; the reasons are how it was tuned."""
    chosen = {name: value for name, value in candidate.items() if value and name != "estimator"}
    reasons = tuple(
        f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in (chosen | chosen.pop("params", {})).items()
    )
    return Note("challenger", str(candidate["estimator"]), reasons)


def evaluated(found: Evaluation) -> Note:
    """How a challenger does; the reasons are what it is held against."""
    verdict, *reasons = found.clauses
    return Note("challenger", verdict, tuple(reasons))


def gated(spec: Spec, committed: Committed) -> Note:
    """What the gate said, each check a reason: those that did not pass are named first."""
    verdict, reasons = _parted(committed.verdict.sentence)
    passed = (f"{one.word} {one.name}: {one.detail}" for one in committed.verdict.checks if one.passed)
    return Note(committed.version, verdict, (*reasons, *passed))


def approved(version: str, user: str) -> Note:
    """A person's yes."""
    return Note(version, f"{user} approved it")


def declined(version: str, said: str, stays: str = "") -> Note:
    """A person's no, or that nobody answered; `stays`: what has put it in force all the same."""
    return Note(version, f"not promoted: {said}", (stays,) if stays else ())


def promoted(event: Event) -> Note:
    """The version that is in force from now on."""
    replaced = f" in place of {event.replaces}" if event.replaces else ""
    return Note(
        event.version,
        f"champion as of {event.as_of}{replaced}",
        figures={"version": event.version, "as_of": event.as_of, "replaces": event.replaces},
    )


def watched(spec: Spec, found: tuple[str, Alert | None]) -> Note:
    """Whether the night of a partition was finished by its deadline; None where nothing is late."""
    partition, late = found
    if late is None:
        return Note(partition, "the night is finished")
    return Note(partition, "the night is not finished", (late.text,))


def maintained(spec: Spec, parts: Sequence[Part]) -> Note:
    """What was deleted of all that is stored, each part a reason."""
    if not parts:
        return Note("", "nothing is stored that nothing needs")
    objects = sum(part.objects for part in parts)
    return Note("", f"{objects:,} objects deleted", tuple(f"{part.words}: {part.size}" for part in parts))


OF_STAGE: Mapping[Stage, Callable[[Spec, Any], Note]] = {
    INGEST: published,
    SCORE: scored,
    MONITOR: monitored,
    TRAIN: gated,
    WATCH: watched,
    MAINTAIN: maintained,
}
"""The note of what each stage has come to, made of the result of its task `done`."""


def ended(pipeline: str, error: Exception) -> Note:
    """Why a task has ended with an error, or has nothing to do; without a subject if the error names none."""
    said = one_line(error, None)
    subject = ""
    if said.startswith((f"{pipeline} ", f"{pipeline}:")):
        named, _, said = said.partition(": ")
        subject = named.removeprefix(pipeline).strip()
    return Note(subject, *_parted(said))


def span(partitions: Sequence[str]) -> str:
    """The partition's key, or the first and last key of a range and how many it has."""
    if len(partitions) == 1:
        return partitions[0]
    return f"{partitions[0]} to {partitions[-1]} ({len(partitions)} partitions)"


def _parted(sentence: str) -> tuple[str, tuple[str, ...]]:
    """The verdict and the reasons of a sentence of the form `verdict: reason; reason`."""
    verdict, _, reasons = sentence.partition(": ")
    return verdict, tuple(filter(None, reasons.split("; ")))
