"""Lookups: compared with a loop over all rows, and on tables as they are published."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import EvergreenError, SpecError
from evergreen.features.lookups import (
    BEFORE_ALL,
    Asked,
    Told,
    looked_up_spec,
    lookup_versions,
    newest_known,
    with_lookups,
)
from evergreen.lake import Lake, Table
from evergreen.training_set.assemble import assemble
from evergreen.training_set.read import read_window

MOMENTS = st.integers(0, 12) | st.just(BEFORE_ALL)
ENTITIES = st.integers(-1, 3)


def by_brute_force(asked: Asked, told: Told, max_age: int) -> list[int]:
    found = []
    for entity, time in zip(asked.entity, asked.time, strict=True):
        best = -1
        for row in range(len(told.entity)):
            moments = (told.happened[row], told.known[row])
            if entity == -1 or told.entity[row] != entity or BEFORE_ALL in moments or told.known[row] > time:
                continue
            newer = best == -1 or moments >= (told.happened[best], told.known[best])
            best = row if newer else best
        young = best != -1 and int(time) - int(told.happened[best]) <= max_age
        found.append(best if young else -1)
    return found


def columns(rows: list[tuple[int, ...]], count: int) -> list[np.ndarray]:
    return list(np.array(rows, np.int64).reshape(-1, count).T)


@given(
    asked=st.lists(st.tuples(ENTITIES, MOMENTS), max_size=20),
    told=st.lists(st.tuples(ENTITIES, MOMENTS, MOMENTS), max_size=25),
    max_age=st.integers(0, 13),
)
def test_the_newest_known_is_what_a_loop_over_all_rows_finds(asked, told, max_age):
    questions, answers = Asked(*columns(asked, 2)), Told(*columns(told, 3))
    assert newest_known(questions, answers, max_age).tolist() == by_brute_force(questions, answers, max_age)


@given(
    asked=st.lists(st.tuples(ENTITIES, st.integers(0, 12)), min_size=1, max_size=12),
    told=st.lists(st.tuples(ENTITIES, MOMENTS, MOMENTS), max_size=20),
    later=st.lists(st.tuples(ENTITIES, MOMENTS), max_size=20),
)
def test_what_becomes_known_later_changes_nothing(asked, told, later):
    questions = Asked(*columns(asked, 2))
    last = int(questions.time.max())
    more = told + [(entity, happened, last + 1 + n) for n, (entity, happened) in enumerate(later)]
    before, after = (newest_known(questions, Told(*columns(rows, 3)), 6) for rows in (told, more))
    assert before.tolist() == after.tolist()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def asking(*rows: tuple[str | None, str]) -> pa.Table:
    return pa.table(
        {
            "at": pa.array([moment(at) for _, at in rows], pa.timestamp("us", "UTC")),
            "shop": pa.array([shop for shop, _ in rows], pa.string()),
            "sold": pa.array([1.0] * len(rows)),
            "partition": [at[:10] for _, at in rows],
        }
    )


def offers(*rows: tuple[str, str, str, float]) -> pa.Table:
    return pa.table(
        {
            "place": pa.array([row[0] for row in rows], pa.string()),
            "holds_from": pa.array([moment(row[1]) for row in rows], pa.timestamp("us", "UTC")),
            "announced": pa.array([moment(row[2]) for row in rows], pa.timestamp("us", "UTC")),
            "price": [row[3] for row in rows],
            "special": [True] * len(rows),
            "leaflets": pa.array([int(row[3]) for row in rows], pa.int64()),
            "label": pa.array(["week"] * len(rows), pa.string()),
            "partition": [row[1][:10] for row in rows],
        }
    )


def test_a_value_is_seen_from_the_moment_it_was_known_and_till_it_is_too_old(stored_shops):
    rows = (
        ("east", "2024-01-05T08:00", "2024-01-05T12:00", 1.0),
        ("east", "2024-01-05T08:00", "2024-01-05T18:00", 2.0),  # the same again, corrected in the evening
        ("east", "2024-01-04T08:00", "2024-01-06T00:00", 3.0),  # an older one that comes late
        ("west", "2024-01-05T08:00", "2024-01-05T12:00", 4.0),
    )
    stored_shops.publish("offers", offers(*rows))
    asked = asking(
        ("east", "2024-01-05T11:59"),
        ("east", "2024-01-05T12:00"),
        ("east", "2024-01-05T18:00"),
        ("east", "2024-01-06T12:00"),
        ("east", "2024-01-14T08:00"),
        ("east", "2024-01-14T08:01"),
        ("west", "2024-01-06T00:00"),
        ("south", "2024-01-06T00:00"),
        (None, "2024-01-06T00:00"),
    )
    found = with_lookups(stored_shops.open(), asked)
    assert found.column_names == [
        *asked.column_names,
        *(f"offer_{n}" for n in ("price", "special", "leaflets", "label")),
    ]
    assert found.column("offer_price").to_pylist() == [None, 1.0, 2.0, 2.0, 2.0, None, 4.0, None, None]
    assert found.column("offer_label").to_pylist()[:2] == [None, "week"]
    assert found.select(asked.column_names).equals(asked)


def test_of_equals_the_last_row_of_the_partition_counts(stored_shops):
    same = ("east", "2024-01-05T08:00", "2024-01-05T12:00")
    stored_shops.publish("offers", offers((*same, 5.0), (*same, 7.0), (*same, 6.0)))
    found = with_lookups(stored_shops.open(), asking(("east", "2024-01-06T00:00")))
    assert found.column("offer_price").to_pylist() == [6.0]


def test_whole_numbers_and_booleans_have_one_type_whether_or_not_some_are_missing(stored_shops):
    stored_shops.publish("offers", offers(("east", "2024-01-05T08:00", "2024-01-05T12:00", 3.0)))
    for rows in (asking(("east", "2024-01-06T00:00")), asking(("west", "2024-01-06T00:00"))):
        found = with_lookups(stored_shops.open(), rows)
        assert [found.schema.field(f"offer_{n}").type for n in ("special", "leaflets")] == [pa.float64()] * 2
    assert with_lookups(stored_shops.open(), asking(("east", "2024-01-06T00:00"))).column(
        "offer_special"
    ).to_pylist() == [1.0]


def test_rows_of_a_published_history_get_what_a_loop_finds(open_shops):
    pipeline = open_shops.open()
    rows = pipeline.lake.read(Table.PARTITIONS, "2024-02-01", "2024-02-20")
    found = with_lookups(pipeline, rows).to_pandas()
    told = Lake(open_shops.storage, "offers").read(Table.PARTITIONS).to_pandas()
    max_age = timedelta(days=9)
    known = 0
    for row in found.itertuples():
        there = told[(told["place"] == row.shop) & (told["announced"] <= row.at)]
        best = there.sort_values(["holds_from", "announced"], kind="stable").tail(1)
        best = best[row.at - best["holds_from"] <= max_age]
        if best.empty:
            assert np.isnan(row.offer_price)
        else:
            known += 1
            assert (row.offer_price, row.offer_leaflets) == (best["price"].item(), best["leaflets"].item())
    print(f"{known} of {len(found)} rows have a value")
    assert 50 < known < len(found)


def test_only_the_partitions_and_columns_that_can_matter_are_read(open_shops, monkeypatch):
    read = []
    original = Lake.read

    def noted(self, table, first=None, last=None, version=None, columns=None):
        read.append((self._pipeline, first, last, len(columns)))
        return original(self, table, first, last, version, columns)

    monkeypatch.setattr(Lake, "read", noted)
    rows = asking(("east", "2024-02-20T06:00"), ("east", "2024-02-21T06:00"))
    with_lookups(open_shops.open(), rows)
    with_lookups(open_shops.open(changes={"      known_at: announced\n": ""}), rows)
    # What is announced before it holds may lie in a later partition; what is known as it happens may not.
    # The time of an announcement is then not needed.
    assert read == [("offers", "2024-02-11", None, 8), ("offers", "2024-02-11", "2024-02-21", 7)]


def test_without_known_at_a_row_is_known_from_its_event_time_on(stored_shops):
    stored_shops.publish("offers", offers(("east", "2024-01-05T08:00", "2024-01-01T00:00", 3.0)))
    pipeline = stored_shops.open(changes={"      known_at: announced\n": ""})
    found = with_lookups(pipeline, asking(("east", "2024-01-05T07:59"), ("east", "2024-01-05T08:00")))
    assert found.column("offer_price").to_pylist() == [None, 3.0]


def test_what_is_known_on_a_date_is_known_when_the_day_is_over(stored_shops):
    table = offers(("east", "2024-01-05T08:00", "2024-01-05T00:00", 3.0))
    days = pa.array([date(2024, 1, 5)], pa.date32())
    stored_shops.publish("offers", table.set_column(2, "announced", days))
    asked = asking(("east", "2024-01-05T23:59"), ("east", "2024-01-06T00:00"))
    assert with_lookups(stored_shops.open(), asked).column("offer_price").to_pylist() == [None, 3.0]


def test_a_pipeline_without_time_can_be_looked_up_by_known_at(stored_shops):
    since = pa.array([moment("2024-01-03T00:00"), moment("2024-01-05T00:00")], pa.timestamp("us", "UTC"))
    area = pa.table(
        {"place": ["east", "east"], "since": since, "area": [80, 95], "partition": ["snapshot"] * 2}
    )
    stored_shops.publish("places", area)
    text = {
        "pipeline: offers": "pipeline: places",
        "columns: [price, special, leaflets, label]": "columns: [area]",
        "known_at: announced": "known_at: since",
    }
    asked = asking(("east", "2024-01-02T00:00"), ("east", "2024-01-04T00:00"), ("east", "2024-01-14T00:00"))
    found = with_lookups(stored_shops.open(changes=text), asked)
    assert found.column("offer_area").to_pylist() == [None, 80.0, 95.0]
    with pytest.raises(SpecError, match="offer: 'places' has no time: give 'known_at'"):
        with_lookups(stored_shops.open(changes={"      known_at: since\n": ""}), asked)


def test_two_columns_may_name_the_entity(stored_shops):
    table = offers(
        ("east", "2024-01-05T08:00", "2024-01-05T08:00", 1.0),
        ("east", "2024-01-05T08:00", "2024-01-05T09:00", 2.0),
    )
    numbers = pa.array([1, 2], pa.int32())
    stored_shops.publish("offers", table.append_column("till", numbers))
    asked = asking(("east", "2024-01-06T00:00"), ("east", "2024-01-06T00:00"), ("west", "2024-01-06T00:00"))
    asked = asked.append_column("desk", pa.array([2, 1, 1], pa.int64()))
    found = with_lookups(stored_shops.open(changes={"{shop: place}": "{shop: place, desk: till}"}), asked)
    assert found.column("offer_price").to_pylist() == [2.0, 1.0, None]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"columns: [price,": "columns: [prise,"},
            "'offers' has no column 'prise' .there: place, holds_from",
        ),
        ({"{shop: place}": "{shop: plaice}"}, "'offers' has no column 'plaice'"),
        ({"{shop: place}": "{store: place}"}, "offer.on: the rows have no column 'store'"),
        ({"{shop: place}": "{sold: place}"}, "'sold' holds double and 'place' of 'offers' large_string"),
        ({"known_at: announced": "known_at: said"}, "'offers' has no column 'said'"),
        ({"known_at: announced": "known_at: price"}, "'price' holds double, no time"),
    ],
)
def test_a_lookup_that_does_not_fit_is_refused_in_one_line(stored_shops, changes, message):
    stored_shops.publish("offers", offers(("east", "2024-01-05T08:00", "2024-01-05T12:00", 3.0)))
    with pytest.raises(SpecError, match=message) as caught:
        with_lookups(stored_shops.open(changes=changes), asking(("east", "2024-01-06T00:00")))
    assert str(caught.value).startswith("sales: features.lookups.offer")
    assert "\n" not in str(caught.value)


def test_a_column_that_the_rows_have_already_is_not_replaced(stored_shops):
    stored_shops.publish("offers", offers(("east", "2024-01-05T08:00", "2024-01-05T12:00", 3.0)))
    rows = asking(("east", "2024-01-06T00:00"))
    with pytest.raises(SpecError, match="the rows have a column 'offer_price' already"):
        with_lookups(stored_shops.open(), rows.append_column("offer_price", pa.array([1.0])))


def test_where_nothing_is_published_in_reach_all_is_missing(stored_shops):
    stored_shops.publish("offers", offers(("east", "2024-01-05T08:00", "2024-01-05T12:00", 3.0)))
    found = with_lookups(
        stored_shops.open(), asking(("east", "2024-06-01T00:00"), ("west", "2024-06-02T00:00"))
    )
    assert found.column("offer_price").to_pylist() == [None, None]
    assert found.schema.field("offer_label").type == pa.string()
    assert found.schema.field("offer_leaflets").type == pa.float64()


def test_a_pipeline_that_has_published_nothing_cannot_be_looked_up(stored_shops):
    with pytest.raises(EvergreenError, match=r"sales: features.lookups.offer: offers: .* ingest a partition"):
        with_lookups(stored_shops.open(), asking(("east", "2024-01-06T00:00")))


def test_a_wrong_description_of_the_other_pipeline_is_named(stored_shops):
    stored_shops.publish("offers", offers(("east", "2024-01-05T08:00", "2024-01-05T12:00", 3.0)))
    pipeline = stored_shops.open()
    file = stored_shops.folder / "offers" / "pipeline.yaml"
    file.write_text(file.read_text().replace("owner:", "owned:"))
    with pytest.raises(SpecError, match=r"offers/pipeline.yaml: .*owned"):
        looked_up_spec(pipeline.spec, "offer")


def test_a_training_set_is_rebuilt_from_the_versions_of_both_tables(open_shops):
    pipeline = open_shops.open()
    rows, versions = read_window(pipeline, "2024-03-01")
    assert versions == {"partitions": pipeline.lake.version(Table.PARTITIONS)} | lookup_versions(pipeline)
    assert set(versions) == {"partitions", "offer"}
    trained = assemble(pipeline.spec, rows, "2024-03-01", versions, {})
    assert trained.lineage["table_versions"] == versions
    assert {"price", "offer_leaflets", "hour_sin", "week"} <= set(trained.features.columns)

    other = Lake(open_shops.storage, "offers")
    there = other.read(Table.PARTITIONS, "2024-02-20", "2024-02-20")
    dearer = there.set_column(
        there.column_names.index("price"), "price", pc.multiply(there.column("price"), 2.0)
    ).set_column(there.column_names.index("announced"), "announced", there.column("holds_from"))
    open_shops.publish("offers", dearer)
    then, _ = read_window(pipeline, "2024-03-01", versions)
    now, moved = read_window(pipeline, "2024-03-01")
    assert assemble(pipeline.spec, then, "2024-03-01", versions, {}).version == trained.version
    assert assemble(pipeline.spec, now, "2024-03-01", moved, {}).version != trained.version
    with pytest.raises(SpecError, match="offer: no version of its table is named"):
        read_window(pipeline, "2024-03-01", {"partitions": versions["partitions"]})


def test_rows_with_lookups_are_the_same_after_a_stay_in_parquet(open_shops, tmp_path):
    pipeline = open_shops.open()
    rows, versions = read_window(pipeline, "2024-03-01")
    rows = rows.assign(offer_label=pd.Series([None] * len(rows), dtype=rows["offer_label"].dtype))
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    again = pd.read_parquet(tmp_path / "rows.parquet")
    left, right = (assemble(pipeline.spec, some, "2024-03-01", versions, {}) for some in (rows, again))
    assert left.version == right.version
