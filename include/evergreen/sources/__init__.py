"""The sources of rows: the description and the reader of each kind."""

from evergreen.sources.kind import Changed, Question, SourceConfig, SourceKind, Wanted, Window
from evergreen.sources.kinds import KINDS
from evergreen.sources.source import Complete, Join, Source, check_outside

__all__ = [
    "KINDS",
    "Changed",
    "Complete",
    "Join",
    "Question",
    "Source",
    "SourceConfig",
    "SourceKind",
    "Wanted",
    "Window",
    "check_outside",
]
