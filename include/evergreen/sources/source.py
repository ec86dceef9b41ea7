"""Where rows come from, as `pipeline.yaml` describes it: sources, how they are joined and waited for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import (
    BaseModel,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SerializeAsAny,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from evergreen.databases.database import Bounds
from evergreen.description import Described, OneOf
from evergreen.sources.event_time import ComposedTime
from evergreen.sources.kind import Question, SourceConfig, Wanted, Window
from evergreen.sources.kinds import KINDS
from evergreen.units import Column, Duration, Identifier

if TYPE_CHECKING:
    from evergreen.rows.batches import Rows
    from evergreen.sources.cut import Cut


class Complete(Described):
    """How a source's partition is known to be complete; ingest waits for it.

    The question is one of those that the kinds of source can answer, written beside the other keys.
    """

    question: SerializeAsAny[Question]
    every: Duration = timedelta(minutes=5)
    """After how long it is asked again."""
    within: Duration = timedelta(hours=6)
    """How long ingest waits at most. Example: 6 hours"""

    @classmethod
    def written(cls) -> type[BaseModel]:
        """The keys of every question, and those beside them."""
        return _written_questions(tuple(_questions().values()))

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """As of any part, with the keys of the questions as these describe them."""
        found = super().__get_pydantic_json_schema__(core, handler)
        questions: list[Any] = [question.__pydantic_core_schema__ for question in _questions().values()]
        for asked in handler(core_schema.union_schema(questions))["anyOf"]:
            found["properties"] |= handler.resolve_ref_schema(asked)["properties"]
        return {**found, "oneOf": [{"required": [name]} for name in _questions()]}

    @model_validator(mode="wrap")
    @classmethod
    def _question_beside(cls, value: Any, make: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, cls):
            return value
        said = {name: each for name, each in cls.written().model_validate(value) if each is not None}
        questions = _questions()
        if len(found := [name for name in questions if name in said]) != 1:
            raise ValueError(f"give exactly one of {', '.join(map(repr, questions))}")
        own = {name: said.pop(name) for name in ("every", "within") if name in said}
        question = questions[found[0]]
        if foreign := [name for name in said if name not in question.model_fields]:
            raise ValueError(f"'{foreign[0]}' cannot be combined with '{found[0]}', leave one of them out")
        return make({"question": question.model_validate(said), **own})

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if not self.every or self.every > self.within:
            raise ValueError("'every' must be more than 0 and at most 'within'")
        return self


class Source(OneOf):
    """A source of rows: exactly one of the kinds, and how to know that it is complete."""

    config: SerializeAsAny[SourceConfig]
    complete: Complete | None = None

    @classmethod
    def kinds(cls) -> Mapping[str, type[SourceConfig]]:
        """The models of the entries of `KINDS`."""
        return {name: kind.config for name, kind in KINDS.items()}

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        questions = KINDS[self.kind].questions
        if self.complete and type(self.complete.question) not in questions:
            allowed = ", ".join(f"'{question.name}'" for question in questions)
            raise ValueError(
                f"complete.{self.complete.question.name}: a source of the kind '{self.kind}' cannot answer "
                f"this, give {allowed}"
            )
        if self.complete:
            try:
                self.config.check_question(self.complete.question)
            except ValueError as error:
                raise ValueError(f"complete: {error}") from None
        return self

    @property
    def time_column(self) -> str | None:
        """The column that holds the event time, if the source names one."""
        return self.config.time_column

    def read(self, wanted: Wanted) -> Rows:
        """The rows of a partition in the lake's types, streamed; those without an event time are rejected.

        Of a source that is `whole` they are those of `cut`. Raises, here or while they are read,
        `SourceError` if a retry cannot help and `UnavailableError` if it may.
        """
        if self.config.whole and wanted.calendar.has_time:
            return self.cut(wanted, [wanted.partition]).rows(wanted.partition)
        return self.sent(wanted)

    def sent(self, wanted: Wanted) -> Rows:
        """As `read`, but of a `whole` source all that it sends."""
        rows = self._timed(self._of_kind(wanted), wanted)
        if self.config.outside == "ignore" and (bounds := Bounds.of(wanted.start, wanted.end, wanted.zone)):
            from evergreen.sources.local_times import only_within

            return only_within(rows, str(self.time_column), bounds, wanted.zone)
        return rows

    def cut(self, wanted: Wanted, partitions: Iterable[str]) -> Cut:
        """The rows of several partitions of a `whole` source, which is read once, for `wanted`.

        Raises as `read` does.
        """
        from evergreen.sources.cut import Cut, Told
        from evergreen.sources.spans import Spans

        rows = self._of_kind(wanted)
        told = Told(self.config, rows.schema.names, wanted.zone)
        name, spans = str(self.time_column), Spans(wanted.calendar, partitions)
        return Cut(self._timed(rows, wanted), name, spans, told)

    def _of_kind(self, wanted: Wanted) -> Rows:
        config = self.config
        if isinstance(self.time_column, ComposedTime):  # of which the kind knows only the parts
            config = config.model_copy(update={"time_column": None})
        return KINDS[self.kind].read(config, wanted)

    def _timed(self, rows: Rows, wanted: Wanted) -> Rows:
        """The rows that have an event time, in a column of its own."""
        from evergreen.sources.composed_times import with_composed_time
        from evergreen.sources.local_times import with_a_time

        if isinstance(self.time_column, ComposedTime):
            return with_composed_time(rows, self.time_column, self.config.local_zone(wanted.zone))
        name = self.time_column if wanted.calendar.has_time else None
        return with_a_time(rows, name) if name and name in rows.schema.names else rows

    def read_changed(self, wanted: Wanted, window: Window, columns: Sequence[str]) -> Rows:
        """The rows that changed within the window: their event time and these columns, streamed.

        Only of a source whose config has `changes`. Raises as `read` does.
        """
        read = KINDS[self.kind].read_changed
        assert read is not None
        return read(self.config, wanted, window, columns)

    def missing(self, wanted: Wanted) -> str | None:
        """What is missing in a partition, in one line; None if it is complete or has no `complete`.

        Raises as `read` does.
        """
        if self.complete is None:
            return None
        question = self.complete.question
        return KINDS[self.kind].questions[type(question)](self.config, question, wanted)


class Join(Described):
    """Two sources joined on equal columns."""

    left: Identifier
    """The source whose rows are kept. Example: rentals"""
    right: Identifier
    """The source that is joined to it. Example: weather"""
    on: dict[Column, Column]
    """The columns that must be equal: one name, a list of names, or the left columns mapped to the right
    ones. Example: {rented_at: hour}
    """
    expect: Literal["one_to_one", "many_to_one"] = "one_to_one"
    """The cardinality, which is checked."""
    how: Literal["left", "inner"] = "left"
    """Whether rows of the left source without a match are kept (`left`) or left out (`inner`)."""

    @field_validator("on", mode="before", json_schema_input_type=Column | list[Column] | dict[Column, Column])
    @classmethod
    def _same_name(cls, value: Any) -> Any:
        names = [value] if isinstance(value, str) else value
        listed = isinstance(names, list) and all(isinstance(name, str) for name in names)
        return dict(zip(names, names, strict=True)) if listed else names


def check_outside(sources: Mapping[str, Source]) -> None:
    """Raise `ValueError` for a source that cannot do with rows outside a partition what it says."""
    times = [name for name, source in sources.items() if source.time_column]
    for name in times[1:]:
        if sources[name].config.outside == "quarantine":
            raise ValueError(
                f"sources.{name}.{sources[name].kind}.outside: only rows of '{times[0]}', which has the "
                "event time, go to quarantine: write 'ignore'"
            )


@lru_cache
def _written_questions(questions: tuple[type[Question], ...]) -> type[BaseModel]:
    names = {name: None for question in questions for name in question.model_fields}
    keys: Any = dict.fromkeys(names, (Any, None)) | dict.fromkeys(
        ["every", "within"], (Duration | None, None)
    )
    return create_model("Complete", __base__=Described, __doc__=Complete.__doc__, **keys)


def _questions() -> dict[str, type[Question]]:
    """All the questions that a source of any kind can be asked, by the key that marks them."""
    found: Iterable[type[Question]] = (question for kind in KINDS.values() for question in kind.questions)
    return {question.name: question for question in found}
