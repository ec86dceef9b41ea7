"""The models of one pipeline: versions, what happened to them, and which is in force.

A version is committed by its manifest, which is written last and once (`versions`). The history holds what
was promoted, refused, rolled back, removed and a canary; which version is in force follows from it
(`event_log`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from evergreen.author import author
from evergreen.errors import ConflictError, IntegrityError, NotFoundError, NotInstalledError
from evergreen.registry.clean import Cleaned, left_over, newest, removable
from evergreen.registry.event_log import EventLog
from evergreen.registry.history import (
    Canary,
    Event,
    Force,
    Kind,
    challenger,
    fold,
    last_canary,
    last_word,
    promotion,
    removal,
)
from evergreen.registry.ids import as_of_version, newest_first, version_by
from evergreen.registry.manifest import FileDigest
from evergreen.registry.model_file import load_model
from evergreen.registry.seen import done_since
from evergreen.registry.verify import Verification
from evergreen.registry.versions import MODEL, Content, Versions

if TYPE_CHECKING:
    from evergreen.registry.signature import Signatures
    from evergreen.storage import Storage


class Registry:
    """The models of `pipeline`; `storage` is already at the pipeline's folder.

    `signatures` says how versions are signed and checked; without it they are not. `pipelines` is the folder
    that lists a team's own estimators, by default the configured one.
    """

    def __init__(
        self,
        storage: Storage,
        pipeline: str,
        signatures: Signatures | None = None,
        pipelines: Path | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._pipelines = pipelines
        self._versions = Versions(storage, pipeline, signatures)
        self._log = EventLog(storage, pipeline)
        self._verification = Verification(storage, pipeline, self._versions)

    # versions

    def has(self, version: str) -> bool:
        """Whether the version is committed."""
        return self._versions.has(version)

    def versions(self, since: str = "") -> list[str]:
        """The committed versions of this as_of or later: newest as_of first, then the latest trained."""
        return newest_first(self._versions.written(since), self.history())

    def undecided(self, events: Sequence[Event], since: str = "") -> list[str]:
        """Those of the versions, in the same order, that none of these events decided about.

        The events are the whole history, or go back to `since`. What decided versions hold is not listed.
        """
        decided = {event.version for event in events if event.kind is not Kind.CANARY}
        names = [name for name in self._versions.names(since) if name not in decided]
        return newest_first(self._versions.written_of(names), events)

    def stored(self, since: str = "") -> list[str]:
        """The versions since an as_of that have files, newest first, committed or not; takes one request."""
        return sorted(self._versions.names(since), key=as_of_version, reverse=True)

    def challenger(self) -> str | None:
        """The version that may follow the newest champion: see `evergreen.registry.history.challenger`."""
        events = self.history()
        champion = fold(events).champion()
        return challenger(self.versions(since=as_of_version(champion)), events) if champion else None

    def version_by(self, prefix: str) -> str:
        """The committed version of this id, or the only one whose id starts so.

        Raises `NotFoundError` if none or several do, or if the version of this id was removed.
        """
        if self.has(prefix):
            return prefix
        self._check_not_removed(self.history(), prefix)
        return version_by(prefix, self.versions(), self._pipeline)

    def files(self, version: str) -> dict[str, FileDigest]:
        """The version's files and their digests; raises `NotFoundError` if it is not committed."""
        return dict(self._versions.manifest(version).files)

    def commit(self, version: str, files: Mapping[str, bytes]) -> bool:
        """Store a version, signed if there is a key; False if it was there already.

        Safe to run again, or twice at once: see `Versions.commit`.
        """
        return self._versions.commit(version, files)

    def read(self, version: str, name: str) -> bytes:
        """A file of a version, checked against the manifest; what is loaded also by the signature if it must.

        Raises `NotFoundError` if there is no such version or file, `IntegrityError` if one bit differs.
        """
        return self._versions.read(version, name)

    def content(self, version: str, name: str, of: Callable[[dict[str, Any]], Content]) -> Content:
        """What `of` makes of a version's JSON file, such as `dict`: see `Versions.content`."""
        return self._versions.content(version, name, of)

    def check_signed(self, version: str) -> None:
        """Raise `IntegrityError` unless one of the configured keys has signed the version, all its files.

        Also where signatures are not required. Without keys nothing is signed.
        """
        if not self._versions.signed:
            raise IntegrityError(f"{self._pipeline}: version {version}: no key: name one in models.signing")
        self._versions.check_signature(version)

    def load(self, version: str, name: str = MODEL) -> Any:
        """The version's estimator, whose file is checked before a byte of it is interpreted.

        `name` may be that of its copy. Raises `NotFoundError` or `IntegrityError`, and `NotInstalledError`
        where its library is missing here.
        """
        data = self.read(version, name)
        try:
            return load_model(data, self._pipelines)
        except (IntegrityError, NotInstalledError) as error:
            raise type(error)(f"{self._pipeline}: version {version}: {error}") from error

    # history

    def history(self) -> list[Event]:
        """All events, oldest first."""
        return self._log.events()

    def champion(self, as_of: str | None = None) -> str | None:
        """The version in force for the partition `as_of`, or the newest champion; None if there is none.

        It is the promoted version, not rolled back, with the newest as_of that is not after the partition.
        """
        return self.force().champion(as_of)

    def force(self) -> Force:
        """Which version is in force for which partitions now."""
        return self._log.force()

    def pointed(self) -> Force:
        """The same as `champion.json` has it, in two requests: see `EventLog.pointed`."""
        return self._log.pointed()

    def back_to(self, as_of: str, force: Force | None = None) -> list[Event]:
        """The newest events, oldest first, back to those of a partition: see `EventLog.back_to`."""
        return self._log.back_to(as_of, force)

    def numbered(self, last: int, count: int, newest: int) -> list[Event]:
        """So many events up to number `last`, oldest first: see `EventLog.numbered`."""
        return self._log.numbered(last, count, newest)

    def promote(
        self,
        version: str,
        as_of: str,
        reason: dict[str, Any],
        over: str | EllipsisType | None = ...,
        *,
        by: str | None = None,
        seen: int | None = None,
    ) -> Event:
        """Put a committed version in force from partition `as_of` on; once it is, the same event again.

        With `over`, only if that version (None: no version) is still in force for `as_of`: a version that was
        compared with one champion must not replace another. Otherwise raises `ConflictError`, naming the one
        in force. `by` is who promotes, by default the run or user of this process. With `seen`, the number of
        the last event that this person knew, only if none followed: see `evergreen.registry.seen`.

        Raises `NotFoundError` if the version is not committed or was removed, `IntegrityError` if it is not
        whole or lacks a signature it must have, `StorageError` if the store cannot be trusted with it.
        """
        self._versions.check_whole(version)

        def decide(events: list[Event], force: Force) -> Event:
            if done := done_since(seen, events, Kind.PROMOTED, version, by):
                return done
            if force.holds(version) and (event := promotion(events, version)):
                return event
            self._check_not_removed(events, version)
            champion = force.champion(as_of)
            if over is not ... and champion != over:
                raise self._lost(version, promotion(events, champion), over)
            return _event(force, Kind.PROMOTED, version, as_of, champion, reason=reason, by=by)

        return self._log.append(decide)

    def refuse(self, version: str, as_of: str, reason: dict[str, Any]) -> Event:
        """Record that the gate refused a committed version; once it has, the same event again."""
        self._versions.manifest(version)

        def decide(events: list[Event], force: Force) -> Event:
            last = last_word(events, version)
            if last and last.kind is Kind.REFUSED:
                return last
            return _event(force, Kind.REFUSED, version, as_of, force.champion(as_of), reason=reason)

        return self._log.append(decide)

    def rollback(
        self,
        to: str | None = None,
        reason: dict[str, Any] | None = None,
        *,
        by: str | None = None,
        seen: int | None = None,
    ) -> Event:
        """Withdraw the newest champion; `to`, by default the one before it, is in force from there on.

        If `to` is in force already nothing changes, and the event that put it in force is returned. Without
        `to` each call withdraws one more version. `by` and `seen` are those of `promote`; with `seen`, `to`
        must be named.

        Raises `NotFoundError` where there is nothing to go back to, `IntegrityError` if files of that version
        are missing or damaged, and `ConflictError` as `promote` does.
        """
        withdrawn = self.force().champion()

        def decide(events: list[Event], force: Force) -> Event:
            if done := done_since(seen, events, Kind.ROLLED_BACK, to, by):
                return done
            last = last_word(events, to or withdrawn or "")
            there = force.champion() == to if to else not force.holds(withdrawn or "")
            return last if last and there else self._rolled_back(events, force, to, reason or {}, by)

        return self._log.append(decide)

    def canary(self, version: str, share: float, reason: dict[str, Any]) -> Event:
        """Let a committed version answer requests for a share of the keys, in place of another canary.

        Ends with a share of 0, and with the next promotion or rollback. Once it is so, the same event again.

        Raises `NotFoundError` if the version is not committed or was removed, if there is no champion beside
        it, or if it is to end and is no canary; `ConflictError` if it is the champion; `IntegrityError` if it
        is not whole or lacks a signature it must have.
        """
        if share:
            self._versions.check_whole(version)

        def decide(events: list[Event], force: Force) -> Event:
            wanted, last = Canary(version, share) if share else None, last_canary(events, version)
            ended = wanted is None and not force.is_canary(version)
            if last and (ended or (wanted and wanted == force.canary)):
                return last
            if ended:
                raise NotFoundError(f"{self._pipeline}: {version} is no canary: there is nothing to end")
            self._check_not_removed(events, version)
            self._check_beside(force, version)
            replaces = None if force.canary is None or force.is_canary(version) else force.canary.version
            as_of = as_of_version(version)
            return _event(force, Kind.CANARY, version, as_of, replaces, reason=reason, share=share)

        return self._log.append(decide)

    # upkeep

    def verify(self) -> list[str]:
        """What is wrong with what is stored, a line each; nothing is changed.

        It finds files that differ from their manifest, signatures that are wrong or missing, files that no
        manifest names, gaps in the history, a pointer that differs from the history, and versions that are
        missing though no event removed them.
        """
        return self._verification.problems()

    def leftovers(self) -> list[str]:
        """Folders without a manifest, left by a commit that died or has not ended yet. They are no error."""
        return left_over(self.history(), self._versions.folders(), None)

    def clean(self, retention: timedelta, moment: datetime | None = None, dry_run: bool = False) -> Cleaned:
        """Remove versions that are out of force for longer than `retention`, and what dead commits left.

        Age is counted back from `moment` (with an offset), by default from the newest event; with an empty
        history nothing is removed. Kept are versions in force for any partition, and those that an event
        within the retention names. It can be stopped and run again. With `dry_run` nothing changes, and the
        answer says what would.
        """
        events, folders = self.history(), self._versions.folders()
        moment = moment or newest(events)
        if moment is None:
            return Cleaned()
        versions = removable(events, folders, moment, retention)
        leftovers = left_over(events, folders, moment)
        if not dry_run:
            versions = [version for version in versions if self._remove(version, moment, retention)]
            for folder in leftovers:
                self._versions.remove(folder)
        return Cleaned(moment, tuple(versions), tuple(leftovers))

    # how

    def _remove(self, version: str, moment: datetime, retention: timedelta) -> bool:
        """Remove the version if it still may be removed; whether it was."""
        folders = self._versions.folders()

        def decide(events: list[Event], force: Force) -> Event:
            if removed := removal(events, version):
                return removed
            if version not in removable(events, folders, moment, retention):
                raise ConflictError(f"{self._pipeline}: {version} is in use again: clean up later")
            reason = {"retention_days": retention / timedelta(days=1), "until": moment.isoformat()}
            return _event(force, Kind.REMOVED, version, as_of_version(version), None, reason=reason)

        try:
            self._log.append(decide)
        except ConflictError:
            return False
        self._versions.remove(version)
        return True

    def _check_not_removed(self, events: list[Event], version: str) -> None:
        if event := removal(events, version):
            raise NotFoundError(
                f"{self._pipeline}: {version} was removed by {event.by} (event {event.seq}), and its id "
                "cannot be used again: train again with another seed"
            )

    def _check_beside(self, force: Force, version: str) -> None:
        champion = force.champion()
        if champion is None:
            raise NotFoundError(
                f"{self._pipeline}: no champion answers beside the canary {version}: "
                f"evergreen models promote {self._pipeline} {version}"
            )
        if champion == version:
            raise ConflictError(f"{self._pipeline}: {version} is the champion already: name another version")

    def _lost(self, version: str, winner: Event | None, over: str | None) -> ConflictError:
        who = (
            f"{winner.version} was promoted by {winner.by} (event {winner.seq})"
            if winner
            else "it was withdrawn"
        )
        return ConflictError(
            f"{self._pipeline}: {version} is not promoted: it was compared with {over or 'no champion'}, and "
            f"since then {who}: train again, to be compared with the current champion"
        )

    def _rolled_back(
        self, events: list[Event], force: Force, to: str | None, reason: dict[str, Any], by: str | None
    ) -> Event:
        withdrawn, start = force.champion(), force.start
        if withdrawn is None or start is None:
            raise NotFoundError(f"{self._pipeline}: nothing to roll back: no version was promoted yet")
        if to is None:
            earlier = [version for _, version in force.stack if version != withdrawn]
            if not earlier:
                raise NotFoundError(
                    f"{self._pipeline}: nothing to roll back to: {withdrawn} is the only version in force; "
                    "train another, or name one that was promoted with --to"
                )
            to = earlier[-1]
        self._check_not_removed(events, to)
        self._versions.check_whole(to)
        if not any(event.kind is Kind.PROMOTED and event.version == to for event in events):
            raise NotFoundError(
                f"{self._pipeline}: {to} was never promoted: evergreen models promote {self._pipeline} {to}"
            )
        # Never before its own as_of: no reign of a champion starts before that of one promoted earlier.
        return _event(force, Kind.ROLLED_BACK, to, start, withdrawn, reason=reason, by=by)


def _event(
    force: Force,
    kind: Kind,
    version: str,
    as_of: str,
    replaces: str | None,
    *,
    reason: dict[str, Any],
    share: float | None = None,
    by: str | None = None,
) -> Event:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Event(force.seq + 1, kind, version, as_of, replaces, reason, at, by or author(), share)
