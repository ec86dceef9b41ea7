"""Where rows come from: how a description says it, and how each kind of source is read."""

from evergreen.sources.source import (
    Complete,
    CursorPaging,
    FileSource,
    HeaderPaging,
    HttpSource,
    Join,
    LinkPaging,
    OffsetPaging,
    PagePaging,
    Paging,
    PostgresSource,
    Source,
    Types,
)

__all__ = [
    "Complete",
    "CursorPaging",
    "FileSource",
    "HeaderPaging",
    "HttpSource",
    "Join",
    "LinkPaging",
    "OffsetPaging",
    "PagePaging",
    "Paging",
    "PostgresSource",
    "Source",
    "Types",
]
