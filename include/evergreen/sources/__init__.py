"""The sources of rows: the description and the reader of each kind."""

from evergreen.sources.kind import Question, SourceConfig, SourceKind, Wanted
from evergreen.sources.kinds import KINDS
from evergreen.sources.source import Complete, Join, Source

__all__ = ["KINDS", "Complete", "Join", "Question", "Source", "SourceConfig", "SourceKind", "Wanted"]
