"""A server's window of what features look back to, against a real S3 server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.calendar import Length
from evergreen.errors import EvergreenError, IntegrityError, UnavailableError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.serving.look_back import LookBack
from evergreen.spec import LookBack as Described
from evergreen.spec import Serving, parse_spec
from evergreen.storage import Storage
from tests.campaign import rounds

KIOSK = parse_spec(Path(__file__).parents[2] / "pipelines" / "kiosk" / "pipeline.yaml")  # looks back 3 days
SCHEMA = pa.schema(
    {
        "at": pa.timestamp("us", tz="UTC"),
        "sold": pa.int64(),
        "price": pa.decimal128(12, 2),
        "open": pa.bool_(),
        "day": pa.date32(),
        "tags": pa.list_(pa.string()),
        "note": pa.string(),
    }
)


def day(number: int) -> str:
    return f"2024-01-{number:02d}"


def rows(number: int, state: int = 0, count: int = 4) -> pa.Table:
    """A day's rows, with a missing value of each type; `state` tells its versions apart."""
    times = [datetime(2024, 1, number, hour, tzinfo=UTC) for hour in range(count)]
    records = [
        {
            "at": at,
            "sold": state,
            "price": None,
            "open": True,
            "day": at.date(),
            "tags": ["a", None],
            "note": "x",
        }
        if at.hour % 2
        else {"at": at, "price": "1.50", "tags": []}
        for at in times
    ]
    for record in records:
        if record.get("price"):
            record["price"] = pa.scalar(record["price"]).cast(SCHEMA.field("price").type).as_py()
    return pa.Table.from_pylist(records, SCHEMA)


def served(storage: Storage, **look_back: object) -> Pipeline:
    serving = Serving(look_back=Described.model_validate(look_back))
    return Pipeline(KIOSK.model_copy(update={"serving": serving}), storage)


def publish(pipeline: Pipeline, days: dict[int, pa.Table]) -> None:
    contents = {day(number): table for number, table in days.items()}
    pipeline.lake.replace(Table.PARTITIONS, contents, next(iter(days.values())).schema)


STATES = st.dictionaries(st.integers(1, 9), st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1)


@settings(
    max_examples=rounds(4, 100),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(STATES, min_size=1, max_size=3), st.integers(2, 12))
def test_the_window_holds_what_the_lake_does(new_storage, published, asked):
    """Whatever is published, replaced or emptied in between: `count` 0 empties a day."""
    pipeline = served(new_storage())
    window = LookBack(pipeline)
    for states in published:
        publish(pipeline, {number: rows(number, *state) for number, state in states.items()})
        window.refresh()
        found = window.before(day(asked))
        there = pipeline.lake.find(Table.PARTITIONS, day(max(1, asked - 3)), day(asked - 1))
        assert found is not None
        if there is None:
            assert len(found.rows) == 0
        else:
            assert found.rows.schema == there.schema
            assert found.rows.equals(there)


def test_a_new_column_is_null_before(storage):
    pipeline = served(storage)
    publish(pipeline, {1: rows(1)})
    window = LookBack(pipeline)
    window.refresh()
    wider = rows(2).append_column("new", pa.array([1.0] * 4))
    publish(pipeline, {2: wider})
    assert window.refresh()
    found, there = window.before(day(3)), pipeline.lake.read(Table.PARTITIONS, day(1), day(2))
    assert found.rows.equals(there)


def test_only_a_publication_changes_it(storage):
    pipeline = served(storage)
    window = LookBack(pipeline)
    assert window.refresh()
    assert not window.refresh()
    assert len(window.before(day(3)).rows) == 0
    publish(pipeline, {1: rows(1), 2: rows(2)})
    assert window.refresh()
    first = window.before(day(3))
    assert not window.refresh()
    assert window.before(day(3)) is first
    publish(pipeline, {2: rows(2, state=1)})
    assert window.refresh()
    second = window.before(day(3))
    assert second.digest != first.digest
    publish(pipeline, {2: rows(2)})
    window.refresh()
    assert window.before(day(3)).digest == first.digest


def test_features_that_do_not_look_back_need_nothing(storage):
    pipeline = served(storage)
    alone = KIOSK.features.model_copy(update={"look_back": Length(0)})
    pipeline = pipeline.described_by(pipeline.spec.model_copy(update={"features": alone}))
    assert LookBack(pipeline).before(day(3)) is None


@pytest.mark.parametrize(
    ("newest", "age", "stale"),
    [(8, 0, False), (7, 1, False), (6, 2, False), (5, 3, True)],
)
def test_the_age_is_that_of_the_data(storage, newest, age, stale):
    pipeline = served(storage, max_age="2 days", stale="allow")
    publish(pipeline, {newest: rows(newest)})
    found = LookBack(pipeline).before(day(9))
    assert (found.newest, found.age, found.stale) == (day(newest), timedelta(days=age), stale)


def test_what_is_too_old_is_refused_unless_it_is_allowed(storage):
    pipeline = served(storage, max_age="2 days")
    publish(pipeline, {5: rows(5)})
    window = LookBack(pipeline)
    assert window.before(day(8)).age == timedelta(days=2)
    with pytest.raises(UnavailableError) as caught:
        window.before(day(9))
    assert str(caught.value) == (
        "kiosk 2024-01-09: its look-back is too old: the newest partition before it is 2024-01-05, which "
        "ends 3 days before it begins, and serving.look_back.max_age is 2 days: ingest what is missing, or "
        "write 'stale: allow'"
    )
    with pytest.raises(UnavailableError, match="nothing is published before it"):
        window.before(day(5))
    # Without a limit any age is told and answered.
    assert LookBack(served(storage)).before(day(30)).age == timedelta(days=24)


def test_what_is_published_while_it_is_read_is_read_too(storage, monkeypatch):
    pipeline = served(storage)
    publish(pipeline, {1: rows(1)})
    files = type(pipeline.lake).files
    left = [{2: rows(2)}, {1: rows(1, state=1)}]

    def listed(*given: object) -> dict[str, str]:
        if left:
            publish(pipeline, left.pop())
        return files(*given)

    monkeypatch.setattr(type(pipeline.lake), "files", listed)
    window = LookBack(pipeline)
    window.refresh()
    found = window.before(day(3))
    assert found.rows.equals(pipeline.lake.read(Table.PARTITIONS, day(1), day(2)))
    assert not window.refresh()


def test_a_damaged_file_is_named_and_the_window_stays(storage):
    pipeline = served(storage)
    publish(pipeline, {1: rows(1)})
    window = LookBack(pipeline)
    before = window.before(day(3))
    publish(pipeline, {2: rows(2)})
    (key,) = [file.key for file in storage.look("kiosk/lake/partitions/partition=2024-01-02/")]
    storage.stage(key, b"damaged")
    with pytest.raises(IntegrityError, match=r"2024-01-02: .* is damaged: restore it, or delete it"):
        window.refresh()
    assert window.before(day(3)) is before


def test_without_the_storage_the_window_answers_on(storage, monkeypatch):
    pipeline = served(storage)
    publish(pipeline, {2: rows(2)})
    window = LookBack(pipeline)
    before = window.before(day(3))

    def away(*_: object) -> int:
        raise UnavailableError("the storage is away")

    monkeypatch.setattr(type(pipeline.lake), "version", away)
    with pytest.raises(EvergreenError):
        window.refresh()
    assert window.before(day(3)) is before
    assert window.before(day(5)).age == timedelta(days=2)
