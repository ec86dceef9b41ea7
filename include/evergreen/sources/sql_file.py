"""SQL files: one query per file, with parameters for the partition's bounds."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from evergreen.errors import SourceError


class Parameter(Enum):
    """A bound of the partition: its first moment, the first one after it, and both as local times."""

    START = "start"
    END = "end"
    LOCAL_START = "local_start"
    LOCAL_END = "local_end"

    @property
    def is_local(self) -> bool:
        """Whether it is a local time, for columns without a time zone."""
        return self in (Parameter.LOCAL_START, Parameter.LOCAL_END)


Marks = Callable[[Parameter], str]
"""What is written for a parameter; called in the order in which they stand in the file."""

# Both `$1` and `$start`.
_PARAMETERS = {
    **{str(number): each for number, each in enumerate(Parameter, 1)},
    **{each.value: each for each in Parameter},
}
_QUERIES = ("SELECT", "WITH", "VALUES", "TABLE")
# What SQL is made of, as far as a parameter and a statement's end must be told from a text and a comment.
_TOKEN = re.compile(
    r"""
      (?P<blank> \s+ ) | (?P<comment> --[^\n]* | /\* )
    | (?P<text> [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
        | \$(?P<tag>[^\W\d]\w*|)\$.*?\$(?P=tag)\$ )
    | (?P<word> [^\W\d][\w$]* )
    | \$(?P<parameter>[0-9]+|(?:local_)?(?:start|end)\b)
    | (?P<end> ; ) | .
    """,
    re.VERBOSE | re.DOTALL,
)
# The same for databases where a backslash escapes, `#` begins a comment and backticks stand around names.
_TOKEN_BACKSLASHES = re.compile(
    r"""
      (?P<blank> \s+ ) | (?P<comment> --(?=\s|\Z)[^\n]* | \#[^\n]* | /\* )
    | (?P<text> '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`]|``)*` )
    | (?P<word> [^\W\d][\w$]* )
    | \$(?P<parameter>[0-9]+|(?:local_)?(?:start|end)\b)
    | (?P<end> ; ) | .
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def read_sql_file(folder: Path, name: str, marks: Marks, *, bounded: bool, backslashes: bool = False) -> str:
    """The query in a SQL file below `folder`, ready to be put into another one.

    `$1` and `$2` (or `$start` and `$end`) and, as local times, `$3` and `$4` (`$local_start`, `$local_end`)
    become what `marks` gives for them; none is written into the text. `backslashes`: one escapes inside a
    text, as in MySQL. Raises `SourceError` for a file that is missing or outside the folder, several
    statements, one that is no query, and an unknown parameter.
    """
    token = _TOKEN_BACKSLASHES if backslashes else _TOKEN
    return _statement(_text(folder, name), name, marks, bounded=bounded, tokens=token)


def _text(folder: Path, name: str) -> str:
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise SourceError(f"sql file '{name}' lies outside the pipeline's folder {folder}: move it there")
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError:
        raise SourceError(
            f"no sql file {file}: create it or change the source's sql in pipeline.yaml"
        ) from None
    except UnicodeDecodeError:
        raise SourceError(f"sql file {file} is not UTF-8: save it as UTF-8") from None


def _statement(sql: str, name: str, marks: Marks, *, bounded: bool, tokens: re.Pattern[str] = _TOKEN) -> str:
    """The file's one query without comments and `;`, the bounds in their places."""
    parts: list[str] = []
    first, ended, place = "", False, 0
    while token := tokens.match(sql, place):
        place = token.end()
        if token["blank"]:
            parts.append(token[0])
        elif token["comment"]:
            place = _comment_end(sql, place, nests=tokens is _TOKEN) if token[0] == "/*" else place
            parts.append(" ")
        elif token["end"]:
            ended = ended or bool(first)
        elif ended:
            raise SourceError(f"sql file '{name}' holds more than one statement: leave one")
        else:
            first = first or ("" if token[0] == "(" else token[0].upper())
            parameter = token["parameter"]
            parts.append(marks(_bound(parameter, name, bounded)) if parameter else token[0])
    if first not in _QUERIES:
        raise SourceError(
            f"sql file '{name}' begins with {first or 'nothing'}, and a read-only transaction runs "
            f"{', '.join(_QUERIES)} only: fix the file"
        )
    return "".join(parts).strip()


def _comment_end(sql: str, place: int, *, nests: bool) -> int:
    """Where the comment ends whose `/*` stands before the place."""
    depth = 1
    while depth and (edge := _COMMENT_EDGE.search(sql, place)):
        depth += -1 if edge[0] == "*/" else int(nests)
        place = edge.end()
    return len(sql) if depth else place


def _bound(parameter: str, name: str, bounded: bool) -> Parameter:
    if not bounded:
        raise SourceError(
            f"sql file '{name}' asks for ${parameter}, and a pipeline without partitions in time has no "
            "bounds: fix the file"
        )
    if parameter not in _PARAMETERS:
        raise SourceError(
            f"sql file '{name}' asks for ${parameter}, and there are only $1 and $2, and $3 and $4 for "
            "columns without a time zone: fix the file"
        )
    return _PARAMETERS[parameter]
