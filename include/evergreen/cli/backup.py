"""`evergreen backup` and `evergreen restore`: all that is kept of pipelines, at another place and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.cli import complete
from evergreen.cli.command import Answer, progress, register
from evergreen.errors import EvergreenError, NotFoundError
from evergreen.numbers import size_in_words

if TYPE_CHECKING:
    from evergreen.backup.place import Place
    from evergreen.storage import Credentials, Storage

To = Annotated[str, typer.Argument(metavar="TO", help="a folder, or s3://bucket/prefix")]
From = Annotated[str, typer.Argument(metavar="FROM", help="where they are: a folder, or s3://bucket/prefix")]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PIPELINE]...", help="names of pipelines, by default all", autocompletion=complete.pipelines
    ),
]
Keys = Annotated[
    str | None,
    typer.Option(
        "--connection",
        metavar="ID",
        help="an Airflow connection with the keys of that bucket, by default the storage's",
    ),
]
Number = Annotated[
    int | None, typer.Option("--number", metavar="N", help="an earlier backup, by default the newest")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the app."""
    register(
        app, "backup", "backup /mnt/backups", "backup s3://backups/evergreen bike_demand --connection vault"
    )(backup)
    register(app, "restore", "restore /mnt/backups", "restore s3://backups/evergreen bike_demand --number 3")(
        restore
    )


def backup(to: To, pipelines: Names = None, connection: Keys = None) -> Answer:
    """Copy all that the storage has of pipelines to another place, while nights go on.

    Each backup is whole in itself: it has nothing that names what it lacks. Objects that an earlier backup at
    the place has are not copied again, and a backup that was killed goes on where it was.
    """
    from evergreen.backup.back_up import back_up
    from evergreen.belongings import pipelines_in

    storage, place = _open(to, connection)
    names = pipelines or pipelines_in(storage)
    if not names:
        raise NotFoundError(f"{storage.uri()} has no pipeline: ingest a partition first")
    made = []
    with progress("backing up", None) as advance:
        for name in names:
            made.append(back_up(storage, name, place, advance))
    lines = [
        f"{one.pipeline}: backup {one.number}{'' if one.new else ', as before'}: {one.objects} objects, "
        f"{size_in_words(one.bytes)}, {one.copied} of them copied"
        for one in made
    ]
    return _answer({"to": place.uri(), "pipelines": made}, lines, made, "was found so")


def restore(from_: From, pipelines: Names = None, number: Number = None, connection: Keys = None) -> Answer:
    """Write backups into a storage that has nothing of the pipelines, check them, and let everything go on.

    Every object is checked against its digest first. A restore that was killed is finished by running it
    again; where the storage has something else of a pipeline, it is refused and nothing is written.
    """
    from evergreen.backup.manifest import BACKUPS, chosen
    from evergreen.backup.restore import restore as put_back

    storage, place = _open(from_, connection)
    names = pipelines or place.folders(BACKUPS)
    if not names:
        raise NotFoundError(f"{place.uri()} has no backup: evergreen backup {place.uri()} makes one")
    made = []
    with progress("restoring", None) as advance:
        for name in names:
            made.append(put_back(storage, place, chosen(place, name, number), advance))
    lines = [
        f"{one.pipeline}: backup {one.number} is restored: {one.objects} objects, "
        f"{size_in_words(one.bytes)}, {one.written} of them written"
        for one in made
    ]
    return _answer({"from": place.uri(), "pipelines": made}, lines, made, "is so in the backup")


def _open(address: str, conn_id: str | None) -> tuple[Storage, Place]:
    """The storage, and the place of backups, which is not in it."""
    from evergreen.backup.place import place_at
    from evergreen.environment import variables
    from evergreen.storage import Credentials, Storage

    found = variables()
    storage = Storage.open(found.get("EVERGREEN_STORAGE"), Credentials.from_environment(found))
    place = place_at(address, _keys(conn_id) if conn_id else storage.credentials)
    if isinstance(place, Storage) and _one_in_the_other(place, storage):
        raise EvergreenError(
            f"{place.uri()} is where the pipelines themselves are ({storage.uri()}): give another place"
        )
    return storage, place


def _keys(conn_id: str) -> Credentials:
    from evergreen.connections import from_environment, storage_keys

    return storage_keys(from_environment(conn_id))


def _one_in_the_other(one: Storage, other: Storage) -> bool:
    if (one.bucket, one.credentials.endpoint_url) != (other.bucket, other.credentials.endpoint_url):
        return False
    first, second = f"{one.uri()}/", f"{other.uri()}/"
    return first.startswith(second) or second.startswith(first)


def _answer(document: dict[str, Any], lines: list[str], made: Sequence[Any], said: str) -> Answer:
    told = [f"{one.pipeline}: {problem}" for one in made for problem in one.problems]
    error = f"{told[0]}: it {said}; {len(told)} in all, see evergreen models verify" if told else ""
    return Answer(document, "\n".join([*lines, *told]), EvergreenError.exit_code if told else 0, error)
