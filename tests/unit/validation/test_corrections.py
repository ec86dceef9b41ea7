from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    NothingToDoError,
    RefusedError,
    SourceError,
)
from evergreen.ingestion.extract import extract
from evergreen.ingestion.release import release
from evergreen.ingestion.stage import ingest, publish_rows
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.rows.batches import Rejected, Rows
from evergreen.validation.corrections import Correction, Corrections, corrected, originals
from evergreen.validation.quarantine import QUARANTINE, read_quarantine, row_id, to_text

SCHEMA = pa.schema([("id", pa.int64()), ("x", pa.float64()), ("who", pa.string())])
DAY = "2011-01-01"


def row(number, x=0.0, who=None):
    return {"id": number, "x": x, "who": who}


def correction(original, changes, place="", **more):
    text = original if isinstance(original, str) else to_text(original)
    return Correction(text, changes, "ann", "a slip", place, **more)


def batches(*parts):
    return Rows(SCHEMA, [pa.RecordBatch.from_pylist(part, SCHEMA) for part in parts])


class TestCorrected:
    def test_a_corrected_row_takes_the_place_of_its_original(self):
        rows = batches([row(1), row(2, -5.0, "bo")], [], [row(3)])
        found = corrected(rows, [correction(row(2, -5.0, "bo"), {"x": 5})]).table()
        assert found.to_pylist() == [row(1), row(2, 5.0, "bo"), row(3)]

    def test_a_row_that_the_source_has_fixed_is_left_alone(self):
        fixed = [row(2, 4.0, "bo")]
        assert (
            corrected(batches(fixed), [correction(row(2, -5.0, "bo"), {"x": 5})]).table().to_pylist() == fixed
        )

    def test_rows_that_are_right_as_they_are_cost_nothing(self):
        rows = batches([row(1)])
        assert corrected(rows, [correction(row(1), None)]) is rows

    @pytest.mark.parametrize("x", [None, float("nan"), -0.0, float("-inf"), 1e300])
    def test_any_value_finds_its_row(self, x):
        others = [row(1, 0.0), row(1, 1.0), row(1, 2.0, "bo")]
        found = corrected(batches([*others, row(1, x)]), [correction(row(1, x), {"x": 7.0})]).table()
        assert found.to_pylist() == [*others, row(1, 7.0)]

    def test_a_row_is_found_in_the_columns_and_types_that_came_later(self):
        narrow = {"id": 1, "x": -5}  # `x` was a whole number then, and there was no `who`
        assert corrected(batches([row(1, -5.0)]), [correction(narrow, {"x": 5})]).table().to_pylist() == [
            row(1, 5.0)
        ]

    def test_a_corrected_record_that_could_not_be_read_becomes_a_row(self):
        rows = batches([row(1)])
        kept, fixed = Rejected("3;abc", "a.csv:4", "no number"), Rejected("2;abc", "a.csv:3", "no number")

        def read():
            yield from batches([row(1)])
            rows.rejected.extend([fixed, kept])

        rows.batches = read()
        result = corrected(rows, [correction("2;abc", {"id": 2, "x": 1.5}, place="a.csv:3")])
        rejected = result.rejected
        assert result.table().to_pylist() == [row(1), row(2, 1.5)]
        assert rejected == [kept]

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"x": "five"}, "column 'x': \"five\" is no double"),
            ({"y": 1}, r"there is no column 'y' \(there: id, x, who\)"),
        ],
    )
    def test_one_that_does_not_fit_is_refused_by_name(self, changes, problem):
        one = correction(row(1), changes)
        with pytest.raises(RefusedError, match=f"correction {one.id}: {problem}: release the row again"):
            corrected(batches([row(1)]), [one])

    def test_the_source_is_closed(self):
        closed = []

        def read():
            try:
                yield from batches([row(1)], [row(2)])
            finally:
                closed.append(True)

        rows = corrected(Rows(SCHEMA, read()), [correction(row(1), {"x": 1})])
        next(iter(rows))
        rows.close()
        assert closed == [True]

    @given(st.data())
    def test_what_is_applied_is_what_a_dictionary_of_texts_says(self, data):
        kinds = {
            "n": (pa.int64(), st.integers(0, 3)),
            "x": (pa.float64(), st.sampled_from([0.0, -0.0, 1.5, float("nan"), float("inf")])),
            "b": (pa.bool_(), st.booleans()),
            "d": (pa.decimal128(5, 2), st.sampled_from([Decimal("1.00"), Decimal("-1.00")])),
            "t": (
                pa.timestamp("us", "UTC"),
                st.sampled_from([datetime(2011, 1, d, tzinfo=UTC) for d in (1, 2)]),
            ),
            "l": (pa.list_(pa.string()), st.sampled_from([[], [None], ["a"]])),
        }
        names = data.draw(st.lists(st.sampled_from(list(kinds)), min_size=1, unique=True))
        schema = pa.schema([(name, kinds[name][0]) for name in names] + [("new", pa.string())])
        one = st.fixed_dictionaries({name: st.none() | kinds[name][1] for name in names}).map(
            lambda values: {**values, "new": None}
        )
        rows, bad = data.draw(st.lists(one, max_size=8)), data.draw(st.lists(one, max_size=4))
        table = pa.Table.from_pylist(rows, schema)
        changes = [
            Correction(to_text(values), {"new": to_text(values)}, "ann", "")
            for values in pa.Table.from_pylist(bad, schema).to_pylist()
        ]
        texts = {change.original for change in changes}
        found = corrected(Rows(schema, table.to_batches(max_chunksize=3)), changes).table().to_pylist()
        expected = [{**r, "new": to_text(r) if to_text(r) in texts else None} for r in table.to_pylist()]
        assert [to_text(r) for r in found] == [to_text(r) for r in expected]


def test_a_corrected_row_that_still_breaks_something_keeps_its_name():
    changes = [correction(row(1, -5.0), {"x": -4}), correction("2;abc", {"id": 2}, place="a.csv:3")]
    entries = [
        {"row": to_text(row(1, -4.0)), "expectation": "e", "reason": "x is -4.0", "place": ""},
        {"row": to_text(row(2, None)), "expectation": "e", "reason": "x is nothing", "place": ""},
        {"row": to_text(row(3, -4.0)), "expectation": "e", "reason": "x is -4.0", "place": ""},
    ]
    found = originals(pa.Table.from_pylist(entries, QUARANTINE), SCHEMA, changes)
    assert found.schema == QUARANTINE
    assert found.to_pylist() == [
        {**entries[0], "row": to_text(row(1, -5.0)), "reason": "x is -4.0, as ann corrected it"},
        {**entries[1], "row": "2;abc", "place": "a.csv:3", "reason": "x is nothing, as ann corrected it"},
        entries[2],
    ]


class TestStored:
    def test_corrections_are_objects_by_partition_and_id(self, storage):
        store = Corrections(storage, "p")
        assert store.of(DAY) == ()
        one, other = correction(row(1), {"x": 2**60, "who": "é"}), correction("raw", None, place="a.csv:1")
        store.write(DAY, [one, other])
        store.write("2011-01-02", [one])
        assert sorted(store.of(DAY), key=lambda c: c.place) == [one, other]
        assert storage.list("p/corrections/") == sorted(
            f"p/corrections/{key}.json"
            for key in (f"{DAY}/{one.id}", f"{DAY}/{other.id}", f"2011-01-02/{one.id}")
        )
        content = json.loads(storage.read(f"p/corrections/{DAY}/{one.id}.json").body)
        assert content == {
            "id": row_id(to_text(row(1))),
            "original": to_text(row(1)),
            "place": "",
            "corrected": {"x": 2**60, "who": "é"},
            "by": "ann",
            "reason": "a slip",
        }

    def test_of_two_writers_the_second_is_told(self, storage):
        store = Corrections(storage, "p")
        store.write(DAY, [correction(row(1), {"x": 1})])
        with pytest.raises(ConflictError):
            Corrections(storage, "p").write(DAY, [correction(row(1), {"x": 2})])
        (mine,), (theirs,) = (Corrections(storage, "p").of(DAY) for _ in range(2))
        store.write(DAY, [correction(row(1), {"x": 3}, etag=mine.etag)])
        with pytest.raises(ConflictError):
            store.write(DAY, [correction(row(1), {"x": 4}, etag=theirs.etag)])
        assert store.of(DAY)[0].corrected == {"x": 3}

    @pytest.mark.parametrize("body", [b"", b"[]", b'{"original": "x"}', b"\xff"])
    def test_an_object_that_is_no_correction_is_named(self, storage, body):
        storage.create(f"p/corrections/{DAY}/0123456789ab.json", body)
        with pytest.raises(
            IntegrityError, match=r"corrections/2011-01-01/0123456789ab\.json is no correction"
        ):
            Corrections(storage, "p").of(DAY)


SUITE = "- expect_column_values_to_be_between: {column: y, min_value: 0, max_value: 9}\n  severity: warning\n"


@pytest.fixture
def pipeline(spec, storage, tmp_path):
    """A published day with y of 1, 2 and 3, and -4 and 99 in quarantine."""
    described = spec(SUITE, validation={"max_quarantined": "60%"})
    write(tmp_path, 1, 2, 3, -4, 99)
    opened = Pipeline(described, storage)
    ingest(opened, [DAY])
    return opened


def write(folder, *values, name="a.csv"):
    lines = [f"{DAY}T{hour:02}:00:00Z,{y}" for hour, y in enumerate(values)]
    (folder / name).write_text("\n".join(["at,y", *lines, ""]))


def ingest_corrected(pipeline):
    """Ingest the day, with its corrections applied."""
    changes = Corrections(pipeline.storage, "p").of(DAY)
    publish_rows(pipeline, [DAY], lambda key: corrected(extract(pipeline, "a", key), changes))


def published(pipeline):
    return pipeline.lake.read(Table.PARTITIONS, DAY, DAY).sort_by("at").column("y").to_pylist()


def waiting(pipeline):
    return {one.values["y"]: one for one in read_quarantine(pipeline.lake, DAY)}


class TestRelease:
    def test_corrected_rows_come_back_and_the_others_stay(self, pipeline):
        rows = waiting(pipeline)
        done = release(pipeline, DAY, by="ann", changes={rows[-4.0].id: {"y": 4}}, reason="sign")
        assert (done.released, done.remaining) == ((rows[-4.0].id,), ())
        assert (done.rows, done.quarantined, done.changed) == (4, 1, True)
        assert published(pipeline) == [1, 2, 3, 4]
        assert list(waiting(pipeline)) == [99.0]
        (stored,) = Corrections(pipeline.storage, "p").of(DAY)
        assert stored == Correction(rows[-4.0].row, {"y": 4.0}, "ann", "sign")

    def test_a_row_that_is_still_wrong_stays_under_its_name_and_can_be_corrected_anew(self, pipeline):
        one = waiting(pipeline)[99.0]
        done = release(pipeline, DAY, by="ann", changes={one.id: {"y": 10}})
        assert done.released == ()
        (left,) = done.remaining
        assert (left.id, left.row) == (one.id, one.row)
        assert left.reason == "y is 10.0 (asked: min_value 0, max_value 9), as ann corrected it"
        done = release(pipeline, DAY, by="bob", changes={one.id: {"y": 9}})
        assert done.released == (one.id,)
        assert published(pipeline) == [1, 2, 3, 9]
        (stored,) = Corrections(pipeline.storage, "p").of(DAY)
        assert (stored.by, stored.corrected) == ("bob", {"y": 9.0})

    def test_a_correction_is_taken_back_by_one_without_columns(self, pipeline):
        one = waiting(pipeline)[99.0]
        release(pipeline, DAY, by="ann", changes={one.id: {"y": 10}})
        (left,) = release(pipeline, DAY, by="bob", changes={one.id: {}}).remaining
        assert left == one
        (stored,) = Corrections(pipeline.storage, "p").of(DAY)
        assert (stored.by, stored.corrected) == ("bob", None)

    def test_rows_that_hold_since_the_suite_was_amended_are_released_as_they_are(self, pipeline, tmp_path):
        rows = waiting(pipeline)
        (tmp_path / "expectations.yaml").write_text(SUITE.replace("9", "99"))
        done = release(pipeline, DAY, by="ann", reason="a busy hour")
        assert done.released == (rows[99.0].id,)
        assert [one.id for one in done.remaining] == [rows[-4.0].id]
        assert published(pipeline) == [1, 2, 3, 99]
        (stored,) = Corrections(pipeline.storage, "p").of(DAY)
        assert stored == Correction(rows[99.0].row, None, "ann", "a busy hour")

    def test_the_partition_ingested_again_is_the_released_one(self, pipeline, tmp_path):
        changes = {waiting(pipeline)[-4.0].id: {"y": 4}, waiting(pipeline)[99.0].id: {"y": 10}}
        release(pipeline, DAY, by="ann", changes=changes)
        before, kept = pipeline.lake.version(Table.PARTITIONS), waiting(pipeline)
        ingest_corrected(pipeline)
        assert pipeline.lake.version(Table.PARTITIONS) == before
        assert list(kept) == [99.0]
        write(tmp_path, 1, 2, 3, 5, 6)  # the source has fixed its rows
        ingest_corrected(pipeline)
        assert published(pipeline) == [1, 2, 3, 5, 6]

    def test_records_of_a_dialect_are_corrected_and_stay_so(self, spec, storage, tmp_path):
        dialect = {"encoding": "cp1252", "delimiter": ";", "decimal": ",", "skip": 1, "comment": "#"}
        types = {"at": "time %d.%m.%Y %H:%M", "y": "float"}
        source = {"file": {"path": "a.csv", "time_column": "at", "types": types, "csv": dialect}}
        described = spec(SUITE, sources={"a": source}, validation={"max_quarantined": "80%"})
        opened = Pipeline(described, storage)
        (tmp_path / "a.csv").write_bytes(
            "Bericht für März\nat;y\n01.01.2011 00:00;1,5\n# ü\n01.01.2011 01:00;2.5\n".encode("cp1252")
            + b"01.01.2011 02:00;\x813\n31.02.2011 03:00;3\n01.01.2011 04:00;4,25 \x80\n"
        )
        ingest(opened, [DAY])
        found = {one.place: one for one in read_quarantine(opened.lake, DAY)}
        assert {place: (one.row, one.reason) for place, one in found.items()} == {
            "a.csv:5": ("01.01.2011 01:00;2.5", "column 'y': '2.5' is no float"),
            "a.csv:6": (r"01.01.2011 02:00;\x813", "holds bytes that are not cp1252"),
            "a.csv:7": ("31.02.2011 03:00;3", "column 'at': '31.02.2011 03:00' is no time %d.%m.%Y %H:%M"),
            "a.csv:8": ("01.01.2011 04:00;4,25 €", "column 'y': '4,25 €' is no float"),
        }
        changes = {
            found[f"a.csv:{line}"].id: {"at": f"{DAY}T0{line - 4}:00:00Z", "y": line - 2.5}
            for line in (5, 6, 8)
        }
        done = release(opened, DAY, by="ann", changes=changes)
        assert (sorted(done.released), done.remaining) == (sorted(changes), ())
        assert published(opened) == [1.5, 2.5, 3.5, 5.5]
        version = opened.lake.version(Table.PARTITIONS)
        ingest_corrected(opened)
        assert opened.lake.version(Table.PARTITIONS) == version
        assert [one.place for one in read_quarantine(opened.lake, DAY)] == ["a.csv:7"]

    def test_of_two_identical_lines_that_could_not_be_read_each_is_corrected_by_itself(
        self, spec, storage, tmp_path
    ):
        opened = Pipeline(spec(SUITE, validation={"max_quarantined": "70%"}), storage)
        line = f"{DAY}T01:00:00Z,1,more"
        (tmp_path / "a.csv").write_text("\n".join(["at,y", f"{DAY}T00:00:00Z,3", line, line, ""]))
        ingest(opened, [DAY])
        first, second = read_quarantine(opened.lake, DAY)
        assert (first.row, first.place, second.row, second.place) == (line, "a.csv:3", line, "a.csv:4")
        done = release(opened, DAY, by="ann", changes={second.id: {"at": f"{DAY}T02:00:00Z", "y": 5}})
        assert (done.released, done.rows, done.quarantined) == ((second.id,), 2, 1)
        assert published(opened) == [3, 5]
        assert read_quarantine(opened.lake, DAY) == [first]
        done = release(opened, DAY, by="ann", changes={first.id: {"at": f"{DAY}T01:00:00Z", "y": 4}})
        assert (done.released, done.quarantined) == ((first.id,), 0)
        assert published(opened) == [3, 4, 5]
        ingest_corrected(opened)
        assert published(opened) == [3, 4, 5]
        assert read_quarantine(opened.lake, DAY) == []

    def test_two_identical_lines_are_corrected_in_one_release(self, spec, storage, tmp_path):
        opened = Pipeline(spec(SUITE, validation={"max_quarantined": "70%"}), storage)
        line = f"{DAY}T01:00:00Z,1,more"
        (tmp_path / "a.csv").write_text("\n".join(["at,y", f"{DAY}T00:00:00Z,3", line, line, ""]))
        ingest(opened, [DAY])
        both = read_quarantine(opened.lake, DAY)
        changes = {one.id: {"at": f"{DAY}T0{hour}:00:00Z", "y": hour} for hour, one in enumerate(both, 1)}
        done = release(opened, DAY, by="ann", changes=changes)
        assert (set(done.released), done.quarantined) == (set(changes), 0)
        assert published(opened) == [3, 1, 2]

    def test_a_record_that_could_not_be_read_is_corrected_in_all_its_columns(self, spec, storage, tmp_path):
        source = {"file": {"path": "a.csv", "time_column": "at", "types": {"y": "float"}}}
        opened = Pipeline(spec(SUITE, sources={"a": source}), storage)
        write(tmp_path, 1, "abc", 3)
        ingest(opened, [DAY])
        (one,) = read_quarantine(opened.lake, DAY)
        assert not one.readable
        done = release(opened, DAY, by="ann")
        assert [left.id for left in done.remaining] == [one.id]
        assert opened.storage.list("p/corrections/") == []
        done = release(opened, DAY, by="ann", changes={one.id: {"at": f"{DAY}T01:00:00Z", "y": -2}})
        (left,) = done.remaining
        assert (left.id, left.place, left.expectation.split("(")[0]) == (
            one.id,
            one.place,
            "expect_column_values_to_be_between",
        )
        done = release(opened, DAY, by="ann", changes={one.id: {"at": f"{DAY}T01:00:00Z", "y": 2}})
        assert (done.released, done.quarantined) == ((one.id,), 0)
        assert published(opened) == [1, 2, 3]

    def test_sources_are_not_asked(self, pipeline, tmp_path):
        (tmp_path / "a.csv").unlink()
        release(pipeline, DAY, by="ann", changes={waiting(pipeline)[-4.0].id: {"y": 4}})
        assert published(pipeline) == [1, 2, 3, 4]

    def test_the_same_release_again_has_nothing_to_do(self, pipeline):
        changes = {waiting(pipeline)[-4.0].id: {"y": 4}}
        release(pipeline, DAY, by="ann", changes=changes)
        version = pipeline.lake.version(Table.PARTITIONS)
        with pytest.raises(NothingToDoError, match="p 2011-01-01: nothing to release"):
            release(pipeline, DAY, by="ann", changes=changes)
        assert pipeline.lake.version(Table.PARTITIONS) == version
        (one,) = changes
        with pytest.raises(NotFoundError, match=f"no row '{one}' in quarantine"):
            release(pipeline, DAY, by="ann", changes={one: {"y": 5}})

    def test_a_release_that_was_killed_before_it_published_is_repeated(self, pipeline):
        one = waiting(pipeline)[-4.0]
        Corrections(pipeline.storage, "p").write(DAY, [Correction(one.row, {"y": 4.0}, "ann", "")])
        done = release(pipeline, DAY, by="ann", changes={one.id: {"y": 4}})
        assert done.released == (one.id,)
        assert published(pipeline) == [1, 2, 3, 4]

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"y": "four"}, "column 'y': \"four\" is no double"),
            ({"z": 4}, r"there is no column 'z' \(there: at, y\)"),
        ],
    )
    def test_a_value_of_another_type_is_named_and_nothing_changes(self, pipeline, changes, problem):
        one = waiting(pipeline)[-4.0].id
        with pytest.raises(SourceError, match=f"^p 2011-01-01: row {one}: {problem}: fix"):
            release(pipeline, DAY, by="ann", changes={one: changes})
        assert pipeline.storage.list("p/corrections/") == []

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [({"at": f"{DAY}T00:00:00Z", "y": 4}, "2011-01-01 00:00"), ({"at": "2011-01-02", "y": 4}, "outside")],
    )
    def test_what_validation_refuses_changes_nothing(self, pipeline, changes, problem):
        with pytest.raises(RefusedError, match=problem):
            release(pipeline, DAY, by="ann", changes={waiting(pipeline)[-4.0].id: changes})
        assert pipeline.storage.list("p/corrections/") == []
        assert published(pipeline) == [1, 2, 3]

    def test_what_is_not_there_is_named(self, pipeline):
        with pytest.raises(NotFoundError, match="p 2011-01-01: no row '0123456789ab' in quarantine"):
            release(pipeline, DAY, by="ann", ids=["0123456789ab"])
        with pytest.raises(NothingToDoError):
            release(pipeline, "2011-01-02", by="ann")

    def test_a_pipeline_that_never_published_is_told(self, spec, storage):
        with pytest.raises(NotFoundError, match="nothing is published yet"):
            release(Pipeline(spec(SUITE), storage), DAY, by="ann")
