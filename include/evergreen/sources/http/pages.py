"""The pages of an API, one after another, each checked against those before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Protocol, TypeVar

from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.http.address import next_page
from evergreen.sources.http.answer import Content, read_content
from evergreen.sources.http.client import Answer, Api
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.document import at
from evergreen.sources.http.past import Past
from evergreen.sources.http.progress import Page, Progress, Request
from evergreen.sources.http.stumble import SpoiltError, TooMuchError
from evergreen.sources.http.whole import check_end, check_without_records

T = TypeVar("T")

_MOST_KEYS = 1000
PAGE_BYTES = 64 * 2**20  # unpacked; a page is held in memory


class Asker(Protocol):
    """What requests a page, as `Session` does."""

    @property
    def api(self) -> Api:
        """The API that is asked."""

    def ask(self, request: Request, limit: int, read: Callable[[Answer], T]) -> T | None:
        """The result of `read` for the answer, None if the request is a probe and there is no such page."""


class Pages:
    """The pages that begin with the request `first`, those after `progress`; `last` are the marks before it.

    The errors are those of `read_http`.
    """

    def __init__(
        self,
        source: HttpSource,
        session: Asker,
        first: Request,
        progress: Progress,
        last: list[str] | None = None,
    ) -> None:
        self._source, self._session, self._first = source, session, first
        self._paging = source.paging.config
        self._last: Past | list[str] | None = last
        self.progress = progress
        self._number_of: dict[str | None, int] = {
            digest: number for number, digest in enumerate(progress.seen.values(), 1) if digest
        }

    @property
    def at_end(self) -> bool:
        """Whether there is no further page."""
        return self.progress.request is None

    def following(self) -> Content | None:
        """The next page; None if it was asked for only to check that there is none."""
        request = self.progress.request
        assert request is not None
        self._check_pages(request)
        answered = self._ask(request)
        if answered is None or self._is_the_last_again(request, answered[0]):
            after = replace(self.progress, request=None)
            content = None
        else:
            content, answer = answered
            after = self._after(request, content, answer)
        if after.request is None:
            self._check_total(after)
        self.progress = after
        if content:
            self._last = content.past
        return content

    def marks(self) -> list[str] | None:
        """What must be known of the last page to read on from it; None if nothing must."""
        return self._last.marks() if isinstance(self._last, Past) else self._last

    def _is_the_last_again(self, request: Request, content: Content) -> bool:
        """Whether the API, asked for a page after all that its total says, gives the last one once more."""
        before = self.progress
        if not request.probe or before.total is None or not before.pages:
            return False
        return self._number_of.get(content.digest()) == before.pages and len(content) > 0

    def _ask(self, request: Request) -> tuple[Content, Answer] | None:
        limit = min(PAGE_BYTES, self._source.max_bytes - self.progress.bytes)
        return self._session.ask(request, limit, self._read)

    def _read(self, answer: Answer) -> tuple[Content, Answer]:
        return read_content(self._source, answer), answer

    def _after(self, request: Request, content: Content, answer: Answer) -> Progress:
        before, count = self.progress, len(content)
        total = _total(content, self._source)
        page = Page(count, content.document, answer.headers, answer.url)
        digest = self._new_digest(content)
        so_far = replace(
            before,
            pages=before.pages + 1,
            records=before.records + count,
            bytes=before.bytes + len(answer.body),
            largest=max(before.largest, count),
            total=before.total if total is None else total,
            most=_largest(before.most, total),
            held=before.held or any(self._paging.looked_for(page).values()),
        )
        so_far.seen[request.identity] = digest
        try:
            request_after, so_far = self._look_further(page, content, so_far)
        except SourceError:
            del so_far.seen[request.identity]
            raise
        if digest:
            self._number_of[digest] = so_far.pages
        return replace(so_far, request=request_after)

    def _look_further(
        self, page: Page, content: Content, so_far: Progress
    ) -> tuple[Request | None, Progress]:
        """The request after a page, None after the last, and the progress with what the page shows."""
        if self._source.format == "json":
            check_without_records(self._source.path, self._source.records, page, content.is_there, so_far)
            so_far = replace(so_far, keys=_keys(so_far.keys, content))
        found = next_page(self._paging, self._first, so_far, page)
        if found is None:
            check_end(self._paging, self._first, so_far, page)
            return None, so_far
        found = replace(found, address=self._session.api.without_key(found.address))
        if found.identity in so_far.seen:
            raise SourceError(
                f"{self._source.path}: the link to a page came twice: the API's paging is broken, "
                "tell its owner"
            )
        return found, so_far

    def _check_pages(self, request: Request) -> None:
        most = self._source.max_pages
        if self.progress.pages >= most and not request.probe:
            raise TooMuchError(
                f"{self._source.path}: more than {most} pages: narrow the source's params or raise max_pages"
            )

    def _new_digest(self, content: Content) -> str | None:
        """The digest of a page's records; raises `SourceError` if they came before."""
        if self._source.paging.kind == "" or (digest := content.digest()) is None:
            return None
        number = self.progress.pages + 1
        earlier = self._number_of.get(digest)
        if earlier == self.progress.pages:
            raise SourceError(
                f"{self._source.path}: page {number} has the records of the page before it: the API's "
                "paging is broken, or the source's 'paging' is not the API's: fix it there, or tell its owner"
            )
        if len(content) > 1 and earlier is not None:
            raise SourceError(
                f"{self._source.path}: page {number} has the records of page {earlier}: the "
                "API's paging is broken, or its records changed while they were read: run again"
            )
        if self._last is not None and (shared := self._shared(content)):
            raise SpoiltError(
                f"{self._source.path}: page {number} begins with the last {shared} records of the page "
                "before it: the API's records changed while they were read, or it skips other numbers than "
                "the source's paging: run again, then compare 'paging' with the API"
            )
        return digest

    def _shared(self, content: Content) -> int:
        """With how many records of the last page this one begins, if all of them differ from one another."""
        if isinstance(self._last, Past) and not self._last.has(content.first()):
            return 0
        before, after = self.marks() or [], content.past.marks()
        if len(set(before)) < len(before) or len(set(after)) < len(after) or after[0] not in before:
            return 0
        tail = before[before.index(after[0]) :]
        shared = min(len(tail), len(after))
        return shared if tail[:shared] == after[:shared] else 0

    def _check_total(self, progress: Progress) -> None:
        total, got, path = progress.total, progress.records, self._source.path
        if self._source.total is None or (total is None and not got):
            return
        if total is None or total != got:
            says = f"no total under '{self._source.total}'" if total is None else f"a total of {total}"
            raise SpoiltError(
                f"{path}: the API gave {got} records and {says}: run again, or tell the API's owner"
            )
        if self._paging.is_counted and progress.most is not None and total < progress.most:
            raise SpoiltError(
                f"{path}: the API's total fell from {progress.most} to {total} while it was read by number, "
                "so that records may have been skipped: run again"
            )


def _keys(known: Sequence[str] | None, content: Content) -> tuple[str, ...] | None:
    """The keys of the documents that have the field of the records, with those of this one."""
    if not content.is_there or not isinstance(content.document, dict):
        return None if known is None else tuple(known)
    return tuple(dict.fromkeys([*(known or ()), *content.document]))[:_MOST_KEYS]


def _largest(most: int | None, total: int | None) -> int | None:
    return max((each for each in (most, total) if each is not None), default=None)


def _total(content: Content, source: HttpSource) -> int | None:
    value = at(content.document, source.total) if source.total is not None else None
    if isinstance(value, str) and value.isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, float | Decimal) and -(2.0**63) < value < 2.0**63 and value == int(value):
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise SourceError(
        f"{source.path}: '{shown(value)}' under '{source.total}' is no total: set 'total' right"
    )
