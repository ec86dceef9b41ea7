"""One read of an API: its chains of requests, some at a time, and what is kept of them for a retry."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from evergreen.calendar import Zone
from evergreen.errors import SourceError, UnavailableError
from evergreen.sources.checkpoint import Keeper
from evergreen.sources.http.chain import Chain
from evergreen.sources.http.client import Answer, Api, Session
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.for_each import Combination, in_words
from evergreen.sources.http.progress import Request
from evergreen.sources.http.requests import Asked
from evergreen.sources.http.stumble import SpoiltError, TooMuchError
from evergreen.sources.text.spool import Spool

# Each finished chain holds two temporary files until its turn comes.
_AHEAD = 64
_HEAD = 16  # bytes before a piece of a part: the mark of its spool, and its length
_log = logging.getLogger(__name__)

T = TypeVar("T")


class Reading:
    """The rows of chains of requests, in the order of the chains whatever the order of their answers.

    Up to `source.parallel` requests are sent at a time. All else is done by one thread at a time, which holds
    `_turn`: so whenever a thread holds it, the pages of every chain and what is kept of them agree.
    """

    def __init__(
        self,
        source: HttpSource,
        asked: Sequence[Asked],
        keeper: Keeper,
        *,
        zone: Zone,
        api: Api,
        open_session: Callable[[], Session],
    ) -> None:
        self._source, self._asked, self._keeper, self._zone = source, asked, keeper, zone
        self._open_session = open_session
        self._turn = threading.Condition()
        self._asker = _Asker(api, self._turn, lambda: source.max_bytes - self._bytes)
        self._stopped = False
        self._in_order = True  # no chain is on its way into `spool`
        self._bytes = self._marks = self._next = 0
        self._begun: dict[int, Chain] = {}  # by number; those that are not yet in `spool`
        self._restored: set[int] = set()
        self._done: set[int] = set()
        self.spool = Spool(source.types, zone)
        self._in_spool: list[tuple[int, int]] = []  # of each chain in `spool` the mark and the rows
        self._pieces: list[tuple[int, bytes]] = []  # of chains in `spool`, not yet saved

    @property
    def runs(self) -> list[tuple[Combination, int]]:
        """For each chain, in the order of the rows, its values and its number of rows."""
        return [(asked.chosen, rows) for asked, (_, rows) in zip(self._asked, self._in_spool, strict=True)]

    def all_pages(self) -> None:
        """Read to the end; any error before saves the pages so far, unless they are void."""
        self._resume()
        try:
            with ExitStack() as stack:
                number = min(self._source.parallel, len(self._asked))
                sessions = [stack.enter_context(self._open_session()) for _ in range(number)]
                if number == 1:
                    self._work(sessions[0])
                else:
                    self._work_together(sessions)
        except SpoiltError:
            self._keeper.clear()
            raise
        except BaseException:
            if self._in_order and all(chain.is_whole for chain in self._begun.values()):
                self._keeper.save(self._snapshot)
            raise

    def close(self) -> None:
        """Release the temporary files."""
        for spool in (self.spool, *(chain.spool for chain in self._begun.values())):
            spool.close()

    def _work_together(self, sessions: Sequence[Session]) -> None:
        with ThreadPoolExecutor(max(1, len(sessions)), "evergreen-http") as pool:
            running = [pool.submit(self._work, session) for session in sessions]
            try:
                for done in as_completed(running):
                    done.result()
            except BaseException:
                self._stopped = True
                for session in sessions:
                    session.stop()
                with self._turn:
                    self._turn.notify_all()
                raise

    def _work(self, session: Session) -> None:
        """Read one chain after another, until there is none left."""
        with self._turn:
            self._asker.use(session)
            while (number := self._following()) is not None:
                with _named(self._asked[number]):
                    self._read(number)
                self._done.add(number)
                self._put_in_order()
                self._turn.notify_all()

    def _following(self) -> int | None:
        """The number of the chain that is read next, as soon as it is not too far ahead of the others."""
        while not self._stopped and self._next >= len(self._in_spool) + _AHEAD:
            self._turn.wait()
        if self._stopped or self._next >= len(self._asked):
            return None
        self._next += 1
        return self._next - 1

    def _begin(self, number: int) -> Chain:
        self._marks += 1
        chain = Chain(self._source, self._zone, self._asked[number], self._asker, self._marks)
        self._begun[number] = chain
        return chain

    def _read(self, number: int) -> None:
        chain = self._begun.get(number) or self._begin(number)
        resumed = number in self._restored
        while not chain.pages.at_end:
            before = chain.pages.progress.bytes
            try:
                content = chain.pages.following()
            except SourceError as error:
                if not resumed or isinstance(error, TooMuchError):
                    raise
                why = "cannot resume after the last good page and starts again"
                _log.warning("%s: %s: %s", self._source.path, why, error)
                self._bytes -= before
                chain.spool.close()
                chain = self._begin(number)
            else:
                if content is not None:
                    chain.keep(content)
                del content  # before the objects of the next page are made
                self._count(chain.pages.progress.bytes - before)
            resumed = False
            if self._keeper.due(self._unsaved):
                self._keeper.save(self._snapshot)

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._source.max_bytes:  # pages that came at the same time
            raise TooMuchError(
                f"{self._source.path}: all pages have more than {self._source.max_bytes:,} bytes: narrow the "
                "source's params or raise max_bytes"
            )

    def _put_in_order(self) -> None:
        """Append the chains that are done to the spool, as far as none before them is missing."""
        while (number := len(self._in_spool)) in self._done:
            chain, self._in_order = self._begun[number], False
            is_last = number + 1 == len(self._asked)
            if self._keeper.keeps and not is_last and chain.spool.unsaved:
                self._pieces.append((chain.mark, chain.spool.save()[0]))
            if number:
                self.spool.absorb(chain.spool)
            else:
                self.spool.close()
                self.spool = chain.spool
            self._in_spool.append((chain.mark, chain.rows))
            del self._begun[number]
            self._in_order = True

    @property
    def _unsaved(self) -> int:
        pieces = sum(len(piece) for _, piece in self._pieces)
        return pieces + sum(chain.spool.unsaved for chain in self._begun.values())

    def _snapshot(self) -> tuple[bytes, dict[str, Any]]:
        pieces, self._pieces = self._pieces, []
        begun = {}
        for number, chain in self._begun.items():
            is_new = chain.spool.unsaved > 0
            piece, begun[str(number)] = chain.save()
            if is_new:
                pieces.append((chain.mark, piece))
        spool = self.spool.save()[1]
        state = {"begun": begun, "spool": spool, "in_spool": self._in_spool, "marks": self._marks}
        return b"".join(map(_packed, pieces)), {**state, "bytes": self._bytes}

    def _resume(self) -> None:
        kept = self._keeper.load()
        if kept is None:
            return
        parts, state = kept
        pieces = defaultdict(list)
        for part in parts:
            for mark, piece in _unpacked(part):
                pieces[mark].append(piece)
        self._in_spool = [(mark, rows) for mark, rows in state["in_spool"]]
        self._bytes, self._marks = state["bytes"], state["marks"]
        self._next = len(self._in_spool)
        self.spool.restore((piece for mark, _ in self._in_spool for piece in pieces[mark]), state["spool"])
        for number, of_chain in sorted((int(number), state) for number, state in state["begun"].items()):
            self._begin(number).restore(pieces[of_chain["mark"]], of_chain)
            self._restored.add(number)
            page = self._begun[number].pages.progress.pages
            _log.info("%s: resuming %s after page %d", self._source.path, self._begun[number].name, page)


class _Asker:
    """Requests pages by the session of the thread, which lets the others go on until it has its answer."""

    def __init__(self, api: Api, turn: threading.Condition, bytes_left: Callable[[], int]) -> None:
        self._api, self._turn, self._bytes_left = api, turn, bytes_left
        self._of_thread = threading.local()

    @property
    def api(self) -> Api:
        return self._api

    def use(self, session: Session) -> None:
        self._of_thread.session = session

    def ask(self, request: Request, limit: int, read: Callable[[Answer], T]) -> T | None:
        limit = min(limit, self._bytes_left())
        self._turn.release()
        try:
            answer: T | None = self._of_thread.session.ask(request, limit, read)
            return answer
        finally:
            self._turn.acquire()


@contextmanager
def _named(asked: Asked) -> Iterator[None]:
    """Errors say which values they are about."""
    try:
        yield
    except (SourceError, UnavailableError) as error:
        if not asked.chosen:
            raise
        raise type(error)(f"{in_words(asked.chosen)}: {error}") from None


def _packed(piece: tuple[int, bytes]) -> bytes:
    mark, rows = piece
    return mark.to_bytes(8, "big") + len(rows).to_bytes(8, "big") + rows


def _unpacked(part: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(part):
        mark, size = (int.from_bytes(part[place + at : place + at + 8], "big") for at in (0, 8))
        place += _HEAD
        yield mark, part[place : place + size]
        place += size
