"""The names that a description has: of pipelines, columns, connections, functions, types and crons."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from evergreen.calendar import check_cron, check_zone
from evergreen.time_form import time_form
from evergreen.units.form import Text, form, matching

_TYPE = re.compile(r"text|float|int|boolean|date|time|decimal\([1-9][0-9]?, ?[0-9]{1,2}\)")
_CRON = r"@(hourly|daily|weekly|monthly|yearly)|[0-9A-Za-z*/,#?-]+( [0-9A-Za-z*/,#?-]+){4}"


def _type_name(value: str) -> str:
    if not _TYPE.fullmatch(value) and time_form(value) is None:
        raise ValueError(
            "write one of text, float, int, boolean, date, time, or 'decimal(12, 2)', or a form like "
            "'date %d.%m.%Y', 'time %d.%m.%Y %H:%M' or 'time in Europe/Berlin'"
        )
    return value


Identifier = Annotated[
    str,
    Text(
        "a name",
        r"[a-z][a-z0-9_]{0,62}",
        "write a name of a-z, 0-9 and '_' that starts with a letter",
        "bike_demand",
    ),
]
"""A name that can be part of a DAG id, a folder and an object's key."""

COLUMN = Text("a column", r".{1,63}", "write a column's name of 1 to 63 characters", "rented_at")
"""The form of a column's name."""

Column = Annotated[str, COLUMN]
"""The name of a column."""


class ConnectionName(str):
    """A connection's id as a type of its own, so that it can be found wherever a description holds one."""

    __slots__ = ()


ConnectionId = Annotated[
    str,
    Text(
        "a connection's id",
        r"[A-Za-z][A-Za-z0-9_]*",
        "write a connection's id of letters, digits and '_'",
        "rentals_db",
    ),
    AfterValidator(ConnectionName),
]
"""The id of a connection, which is part of a variable's name too: `AIRFLOW_CONN_<ID>`."""

FunctionName = Annotated[
    str,
    Text(
        "a function",
        r"[\w/]+\.py:[A-Za-z_]\w*",
        "write a file and a function in it like 'features.py:build'",
        "features.py:build",
    ),
]
"""A function of the pipeline's folder."""

TypeName = Annotated[
    str,
    AfterValidator(_type_name),
    form("a type", matching(rf"{_TYPE.pattern}|(?:date|time) .+"), "decimal(12, 2)"),
]
"""The type of a column in the lake; a date or time may have a form: see `evergreen.time_form`."""

ImportPath = Annotated[
    str,
    Text(
        "an import path",
        r"[A-Za-z_]\w*(\.\w+)+",
        "write the full path like 'sklearn.linear_model.Ridge'",
        "sklearn.linear_model.Ridge",
    ),
]
"""The import path of an estimator."""

Cron = Annotated[
    str,
    Text(
        "a cron",
        _CRON,
        "write five fields like '0 2 * * *' (minute, hour, day, month, weekday)",
        "0 2 * * *",
    ),
    AfterValidator(check_cron),
]
"""When a DAG runs, in the pipeline's time zone."""

ZoneName = Annotated[
    str, AfterValidator(check_zone), form("a time zone", {"type": "string"}, "Europe/Berlin")
]
"""A time zone by its name in the IANA database."""
