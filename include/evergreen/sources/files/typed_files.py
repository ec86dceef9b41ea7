"""Files of formats with types (Parquet, ORC, Avro) to rows, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO

import pyarrow as pa

from evergreen.calendar import Zone
from evergreen.errors import SourceError, one_line
from evergreen.rows.batches import Rows
from evergreen.rows.columns import LakeTypes
from evergreen.rows.names import check_declared
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.text.lines import Rejections
from evergreen.sources.typed import lake_rows

Again = Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True)
class TypedFile:
    """An open file: its columns, and a function that reads its rows from the first on.

    Each batch comes with what the format itself finds that cannot be kept: why, by the row's index.
    """

    schema: pa.Schema
    batches: Callable[[], Iterator[tuple[pa.RecordBatch, Mapping[int, str]]]]


@dataclass(frozen=True)
class TypedFormat:
    """A format with types: `name` in errors, how a file is opened, and what its library raises for damage.

    `open` gets the seekable file, and what opens it once more. `damage` is beside Arrow's errors and those of
    the operating system.
    """

    name: str
    open: Callable[[IO[bytes], Again], AbstractContextManager[TypedFile]]
    damage: tuple[type[Exception], ...] = ()


def read_typed_files(
    format_: TypedFormat, files: Sequence[LocatedFile], types: Mapping[str, str], zone: Zone
) -> Rows:
    """The rows of files with the same columns, in the order of the first file.

    Types are the lake's: see `LakeTypes`; an integer stays one. Where files differ in a column's type it has
    the one that holds both. Raises `SourceError`, here or while the rows are read, for a file that is
    damaged, and columns that differ. Rows with a value that its column's type cannot hold are rejected.
    """
    lake, rejections = LakeTypes(types, zone=zone), Rejections()
    schemas = []
    for located in files:
        with _opened(format_, located) as file:
            check_declared(types, file.schema.names)
            schemas.append(lake.schema(file.schema))
    schema = _common(files, schemas)
    return Rows(schema, _batches(format_, files, lake, schema, rejections), rejections.found)


def _batches(
    format_: TypedFormat,
    files: Sequence[LocatedFile],
    lake: LakeTypes,
    schema: pa.Schema,
    rejections: Rejections,
) -> Iterator[pa.RecordBatch]:
    for located in files:
        with _opened(format_, located) as file:
            row = 1
            for batch, misfits in file.batches():
                rows = lake_rows(batch, lake, rejections, f"{located.name}, row", row, known=misfits)
                row += batch.num_rows
                yield rows.select(schema.names).cast(schema)


def _common(files: Sequence[LocatedFile], schemas: Sequence[pa.Schema]) -> pa.Schema:
    first, names = files[0].name, schemas[0].names
    for located, schema in zip(files, schemas, strict=True):
        if differing := sorted(set(names) ^ set(schema.names)):
            raise SourceError(
                f"{located.name} and {first} differ in the columns {', '.join(differing[:10])}: fix them"
            )
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        reason = one_line(error, 200)
        raise SourceError(
            f"{first} and {len(files) - 1} more files have columns of different kinds ({reason}): fix the "
            "files or declare the columns' types"
        ) from None


@contextmanager
def _opened(format_: TypedFormat, located: LocatedFile) -> Iterator[TypedFile]:
    with located.open() as file:
        try:
            with format_.open(file, located.open) as typed:
                yield typed
        except SourceError as error:
            raise SourceError(f"{located.name}: {error}") from None
        except (pa.ArrowException, OSError, UnicodeDecodeError, *format_.damage) as error:
            reason = one_line(error, 200)
            raise SourceError(
                f"{located.name} is not a complete {format_.name} file ({reason}): write it again"
            ) from None
