"""SQL files: one query per file, with parameters for the partition's bounds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import SourceError

Bounds = tuple[datetime, datetime]
"""A partition's first instant and the first one after it."""

# COPY, the only way to stream a result, takes no parameters: they are bound as settings of the transaction.
# Each stands in a query of its own, which is run once and not for every row.
_SETTINGS = ("start", "end", "local_start", "local_end")
_BIND = "SELECT " + ", ".join(
    f"pg_catalog.set_config('evergreen.{name}', ${number}, true)" for number, name in enumerate(_SETTINGS, 1)
)
START, END, LOCAL_START, LOCAL_END = (
    f"(SELECT pg_catalog.current_setting('evergreen.{name}')::{kind})"
    for name, kind in zip(_SETTINGS, ["timestamptz", "timestamptz", "timestamp", "timestamp"], strict=True)
)
_PARAMETERS = {"1": START, "2": END, "3": LOCAL_START, "4": LOCAL_END}

_QUERIES = ("SELECT", "WITH", "VALUES", "TABLE")
# What SQL is made of, as far as a parameter and a statement's end must be told from a text and a comment.
_TOKEN = re.compile(
    r"""
      (?P<blank> \s+ ) | (?P<comment> --[^\n]* | /\* )
    | (?P<text> [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
        | \$(?P<tag>[^\W\d]\w*|)\$.*?\$(?P=tag)\$ )
    | (?P<word> [^\W\d][\w$]* )
    | \$(?P<parameter>[0-9]+)
    | (?P<end> ; ) | .
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def bind(cursor: Any, bounds: Bounds | None, zone: Zone = UTC_ZONE) -> None:
    """Give `START`, `END` and their local times their values for the transaction; nothing without bounds.

    The local ones are what columns without a zone are compared with: see `Zone.reached`.
    """
    if bounds is not None:
        moments = [moment.astimezone(UTC) for moment in bounds]
        local = [zone.reached(moment.replace(tzinfo=None)) for moment in moments]
        cursor.execute(_BIND, [moment.isoformat(sep=" ") for moment in (*moments, *local)])
        cursor.fetchall()


def read_sql_file(folder: Path, name: str, bounded: bool) -> str:
    """The query in a SQL file below `folder`, ready to be put into another one.

    `$1` and `$2` become `START` and `END`, `$3` and `$4` the same as local times; `bind` gives them values:
    none is written into the text.
    Raises `SourceError` for a file that is missing or outside the folder, several statements, one that is no
    query, and an unknown parameter.
    """
    return _statement(_text(folder, name), name, bounded)


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


def _statement(sql: str, name: str, bounded: bool) -> str:
    """The file's one query without comments and `;`, the bounds in their places."""
    parts: list[str] = []
    first, ended, place = "", False, 0
    while token := _TOKEN.match(sql, place):
        place = token.end()
        if token["blank"]:
            parts.append(token[0])
        elif token["comment"]:
            place = _comment_end(sql, place) if token[0] == "/*" else place
            parts.append(" ")
        elif token["end"]:
            ended = ended or bool(first)
        elif ended:
            raise SourceError(f"sql file '{name}' holds more than one statement: leave one")
        else:
            first = first or ("" if token[0] == "(" else token[0].upper())
            parts.append(_bound(token["parameter"], name, bounded) if token["parameter"] else token[0])
    if first not in _QUERIES:
        raise SourceError(
            f"sql file '{name}' begins with {first or 'nothing'}, and a read-only transaction runs "
            f"{', '.join(_QUERIES)} only: fix the file"
        )
    return "".join(parts).strip()


def _comment_end(sql: str, place: int) -> int:
    """Where the comment ends whose `/*` stands before the place: comments nest."""
    depth = 1
    while depth and (edge := _COMMENT_EDGE.search(sql, place)):
        depth += 1 if edge[0] == "/*" else -1
        place = edge.end()
    return len(sql) if depth else place


def _bound(parameter: str, name: str, bounded: bool) -> str:
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
