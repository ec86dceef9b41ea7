"""Mute an open alert, and end that."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from evergreen.actions.action import Action, Person, Preview, Start, Wanted, check_unchanged, digest
from evergreen.alerts.book import read_book
from evergreen.alerts.mute import mute_of
from evergreen.alerts.muting import check_open, check_until, mute, unmute
from evergreen.stages import MONITOR

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.stages import Stage


class Mute(Action):
    """Silence an alert until a partition, or until it is over."""

    name: ClassVar[str] = "mute"
    label: ClassVar[str] = "Mute an alert"
    stage: ClassVar[Stage] = MONITOR
    takes: ClassVar[tuple[str, ...]] = ("alert",)
    may_take: ClassVar[tuple[str, ...]] = ("until",)

    def preview(self, pipeline: Pipeline, wanted: Wanted) -> Preview:
        """What will not be sent, and until when."""
        key, until = wanted["alert"], wanted.get("until")
        book, _ = read_book(pipeline.storage, pipeline.name)
        title, known = f"Mute the alert '{key}' of {pipeline.name}", mute_of(book.mutes, key)
        state = digest("muted", known.until, known.by) if known else digest("heard")
        if known and known.until == until:
            said = (f"It is muted already, {known.end}, by {known.by}.",)
            return Preview(title, said, state, wanted, possible=False)
        check_open(pipeline, book, key)
        check_until(pipeline, until)
        (alert,) = [alert for alert in book.open if alert.key == key]
        end = f"until partition {until} is monitored" if until else "until it is over"
        sentences = (
            f"[{alert.severity}] {alert.title}: {alert.text}",
            f"It is silent {end}: nothing of it is sent, not even that it becomes more severe.",
            "That it is over is sent to those who were told of it. Other alerts are sent as ever.",
            *((f"This takes the place of the mute by {known.by}, {known.end}.",) if known else ()),
        )
        return Preview(title, sentences, state, wanted)

    def run(self, pipeline: Pipeline, seen: Preview, person: Person, start: Start) -> str:
        """Mute it; a mute that this person has asked for already stays."""
        key, until = seen.wanted["alert"], seen.wanted.get("until")
        book, _ = read_book(pipeline.storage, pipeline.name)
        known = mute_of(book.mutes, key)
        if known is None or (known.by, known.until) != (person.name, until):
            check_unchanged(self.preview(pipeline, seen.wanted), seen)
            known = mute(pipeline, key, by=person.name, until=until, why=person.why)
        return f"The alert '{key}' is muted {known.end}."


class Unmute(Action):
    """End the mute of an alert."""

    name: ClassVar[str] = "unmute"
    label: ClassVar[str] = "End the mute of an alert"
    stage: ClassVar[Stage] = MONITOR
    takes: ClassVar[tuple[str, ...]] = ("alert",)

    def preview(self, pipeline: Pipeline, wanted: Wanted) -> Preview:
        """Whose mute ends."""
        key = wanted["alert"]
        book, _ = read_book(pipeline.storage, pipeline.name)
        title, known = f"Hear the alert '{key}' of {pipeline.name} again", mute_of(book.mutes, key)
        if known is None:
            said = ("It is not muted: there is nothing to end.",)
            return Preview(title, said, digest("heard"), wanted, possible=False)
        sentences = (
            f"It is muted {known.end}, by {known.by}" + (f" ({known.why})." if known.why else "."),
            "The mute ends now; what its receivers have missed is sent with the pipeline's next task.",
        )
        return Preview(title, sentences, digest("muted", known.until, known.by), wanted)

    def run(self, pipeline: Pipeline, seen: Preview, person: Person, start: Start) -> str:
        """End it."""
        check_unchanged(self.preview(pipeline, seen.wanted), seen)
        unmute(pipeline, seen.wanted["alert"], by=person.name)
        return f"The alert '{seen.wanted['alert']}' is muted no more."
