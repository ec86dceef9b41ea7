"""The pages of one chain of requests, in a spool of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evergreen.calendar import Zone
from evergreen.sources.http.answer import Content
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.for_each import in_words
from evergreen.sources.http.pages import Asker, Pages
from evergreen.sources.http.progress import Progress
from evergreen.sources.http.requests import Asked
from evergreen.sources.text.spool import Prepared, Spool


class Chain:
    """One chain of requests and how far it is; `rows` is the number of rows in its spool.

    `mark` names its spool: pages that were saved under another mark are void.
    """

    def __init__(self, source: HttpSource, zone: Zone, asked: Asked, asker: Asker, mark: int) -> None:
        self.asked, self.mark = asked, mark
        self.spool = Spool(source.types, zone)
        self.rows = self._kept = 0
        self._source, self._asker = source, asker
        self.pages = Pages(source, asker, asked.first, Progress(asked.first))

    @property
    def name(self) -> str:
        """The values that it is for, as messages name them; empty without any."""
        return in_words(self.asked.chosen)

    def keep(self, content: Content) -> None:
        """Keep the records of the page that was read last."""
        prepared = content.prepare(self.spool, self.pages.progress.pages)
        self.spool.keep(self._placed(prepared) if self.name else prepared)
        self.rows += sum(batch.num_rows for batch in prepared.batches)
        self._kept = self.pages.progress.pages

    @property
    def is_whole(self) -> bool:
        """Whether the spool has just the pages that are counted."""
        return self._kept == self.pages.progress.pages

    def save(self) -> tuple[bytes, dict[str, Any]]:
        """The rows since the last call, and the state after them."""
        part, spool = self.spool.save()
        pages = {"progress": self.pages.progress.to_dict(), "last": self.pages.marks()}
        return part, {"mark": self.mark, "rows": self.rows, "spool": spool, **pages}

    def restore(self, parts: list[bytes], state: Mapping[str, Any]) -> None:
        """Load into a new chain all that `save` returned of one, and the last state."""
        self.spool.restore(parts, state["spool"])
        self.rows, self.mark = state["rows"], state["mark"]
        progress = Progress.from_dict(state["progress"])
        self._kept = progress.pages
        self.pages = Pages(self._source, self._asker, self.asked.first, progress, state["last"])

    def _placed(self, prepared: Prepared) -> Prepared:
        rejected = tuple(replace(one, place=f"{self.name}, {one.place}") for one in prepared.rejected)
        return replace(prepared, rejected=rejected)
