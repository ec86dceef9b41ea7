"""What a connection's extra may hold: a model of its keys, whose errors name what is wrong and no value."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.shown import shown


class Extra(BaseModel):
    """The keys of a connection's extra; any other key is refused, so that a typo is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def read(cls, connection: Connection, user: str) -> Self:
        """The extra of a connection, without its empty values; `user` names what reads it in errors.

        Raises `SourceError` that names the connection and what is wrong, and no value.
        """
        given = {name: value for name, value in connection.extra.items() if value not in (None, "")}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise SourceError(f"connection '{connection.conn_id}': {_problem(cls, user, error)}") from None


def _problem(model: type[Extra], user: str, error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(model.model_fields))
        return f"'{shown(key)}' in its extra is no key of {user}: allowed are {allowed}"
    if first["type"] == "missing":
        return f"its extra has no '{key}', which {user} needs: add it"
    if not key:
        return f"its extra {first['msg'].removeprefix('Value error, ')}"
    return f"'{key}' in its extra {_must(first['type'], first['msg'])}"


def _must(kind: str, message: str) -> str:
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return f"is wrong ({message[:1].lower()}{message[1:]})"
