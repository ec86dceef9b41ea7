"""Labels through nights: what is read when, again, in another order, and what is left alone."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.errors import NothingToDoError, RefusedError, SourceError
from evergreen.labels.ingest import ensure, ingest_labels, labelled_partitions
from evergreen.lake import Table
from evergreen.storage import Storage
from tests.campaign import examples
from tests.unit.labels.conftest import Lender, day, loans

HEAD = "loan,granted_at,late\n"
TRUTH = {day(n): loans(n)["late"].tolist() for n in range(30)}


def nights(*numbers: int) -> list[str]:
    return [day(n) for n in numbers]


def test_a_night_reads_the_labels_that_are_due_and_no_others(lender: Lender):
    lender.publish(0, 8)
    for n in range(8):
        lender.label(n)
    (read,) = ingest_labels(lender.pipeline, nights(7))
    assert lender.labels() == {day(2): TRUTH[day(2)]}
    assert (read.partition, read.labels, read.rows, read.labelled) == (day(2), 6, 6, 6)
    assert read.changed
    assert read.sentence == "2024-01-03: 6 labels, 6 of 6 rows have one"


def test_read_again_nothing_changes_and_a_changed_label_replaces_the_old_one(lender: Lender):
    lender.publish(0, 1)
    lender.label(0)
    ingest_labels(lender.pipeline, nights(5))
    version = lender.pipeline.lake.version(Table.LABELS)
    (again,) = ingest_labels(lender.pipeline, nights(5))
    assert (again.changed, lender.pipeline.lake.version(Table.LABELS)) == (False, version)
    assert again.sentence.endswith("(unchanged)")
    lender.label(0, HEAD + f"0,{day(0)}T09:00Z,true\n")
    (corrected,) = ingest_labels(lender.pipeline, nights(5))
    assert (corrected.changed, corrected.labels, corrected.labelled, corrected.rows) == (True, 1, 1, 6)
    assert lender.labels() == {day(0): [True]}


@settings(max_examples=examples(8), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(5, 9)), first=st.booleans())
def test_the_order_of_nights_does_not_matter(
    lender: Lender, new_storage: Callable[[], Storage], order: list[int], first: bool
):
    own = Lender(lender.folder, new_storage())
    for n in range(4):
        own.label(n)
    if first:
        own.publish(0, 4)
    for n in order:
        ingest_labels(own.pipeline, nights(n))
    assert own.labels() == {day(n): TRUTH[day(n)] for n in range(4)}


def test_a_label_waits_for_a_row_that_is_published_later(lender: Lender):
    lender.label(0)
    (before,) = ingest_labels(lender.pipeline, nights(5))
    assert (before.rows, before.labelled, before.without_row) == (0, 0, 6)
    lender.publish(0, 1)
    (after,) = ingest_labels(lender.pipeline, nights(5))
    assert (after.rows, after.labelled, after.without_row, after.changed) == (6, 6, 0, False)


def test_a_row_without_a_label_is_no_error_and_a_label_without_a_row_is_counted(lender: Lender):
    lender.publish(0, 1)
    at = f"{day(0)}T09:00Z"
    lender.label(0, HEAD + f"0,{at},true\n1,{at},\n77,{at},false\n78,{at},false\n")
    (read,) = ingest_labels(lender.pipeline, nights(5))
    assert (read.labels, read.rows, read.labelled, read.without_row, read.absent) == (3, 6, 1, 2, 1)
    assert read.sentence == (
        "2024-01-01: 3 labels, 1 of 6 rows have one; 2 labels without a row; "
        "1 records without a label or key left out"
    )


def test_a_range_is_read_in_few_commits_and_a_refused_partition_leaves_the_others_alone(lender: Lender):
    lender.publish(0, 6)
    for n in range(6):
        lender.label(n)
    twice = HEAD + f"300,{day(3)}T09:00Z,true\n" * 2
    lender.label(3, twice)
    done: list[str] = []
    with pytest.raises(
        RefusedError, match=r"^lender 2024-01-04: labels: 1 values of loan .*300 \(2 rows\)"
    ) as one:
        ingest_labels(lender.pipeline, nights(8))
    assert "\n" not in str(one.value)
    (lender.folder / "labels" / f"{day(4)}.csv").unlink()
    with pytest.raises(RefusedError) as refused:
        ingest_labels(lender.pipeline, nights(*range(5, 11)), done.append)
    assert str(refused.value).startswith("lender 2024-01-04: labels: 1 values of loan")
    assert "; lender 2024-01-05: " in str(refused.value)
    assert str(refused.value).endswith(": labels of 2 of 6 partitions were not published")
    assert lender.labels() == {day(n): TRUTH[day(n)] for n in (0, 1, 2, 5)}
    assert done == nights(*range(5, 11))
    assert lender.pipeline.lake.version(Table.LABELS) == 1


def test_what_was_published_before_stays_when_labels_are_refused(lender: Lender):
    lender.label(0)
    ingest_labels(lender.pipeline, nights(5))
    lender.label(0, HEAD + f"0,{day(0)}T09:00Z,true\n" * 2)
    with pytest.raises(RefusedError):
        ingest_labels(lender.pipeline, nights(5))
    assert lender.labels() == {day(0): TRUTH[day(0)]}


def test_before_the_history_starts_nothing_is_due(lender: Lender):
    with pytest.raises(
        NothingToDoError, match="lender 2024-01-05: no labels are due: those of 2023-12-31 would"
    ):
        ingest_labels(lender.pipeline, nights(4))
    lender.label(0)
    assert [one.partition for one in ingest_labels(lender.pipeline, nights(3, 4, 5))] == [day(0)]


def test_without_labels_in_the_description_there_is_nothing_to_read(lender: Lender):
    text = (lender.folder / "pipeline.yaml").read_text()
    (lender.folder / "pipeline.yaml").write_text(
        text[: text.index("labels:")] + text[text.index("training:") :]
    )
    with pytest.raises(NothingToDoError, match="the description has no 'labels'"):
        ingest_labels(lender.pipeline, nights(5))
    assert ensure(lender.pipeline, day(5)) == []


def test_keys_of_another_kind_than_the_rows_are_refused_and_not_published(lender: Lender):
    lender.publish(0, 1)
    lender.change(source='{file: {path: "labels/{partition}.csv", types: {loan: text, late: boolean}}}')
    lender.label(0)
    with pytest.raises(SourceError, match=r"'rows.loan' is int64 and 'labels.loan' is string"):
        ingest_labels(lender.pipeline, nights(5))
    assert lender.pipeline.lake.partitions(Table.LABELS) == []


def test_labels_of_a_first_range_are_all_of_one_type(lender: Lender):
    lender.change(source='{file: {path: "labels/{partition}.parquet"}}')
    for n, late in enumerate([pa.array([1, 0]), pa.array([0.5, 1.0]), pa.array([2, 3], pa.int32())]):
        table = pa.table({"loan": [n * 100, n * 100 + 1], "late": late})
        pq.write_table(table, lender.folder / "labels" / f"{day(n)}.parquet")
    with pytest.raises(
        RefusedError, match=r"column 'late' was int64 and is double: fix the source.* 1 of 3 partitions"
    ):
        ingest_labels(lender.pipeline, nights(5, 6, 7))
    assert lender.labels() == {day(0): [1, 0], day(2): [2, 3]}
    assert lender.pipeline.lake.schema(Table.LABELS).field("late").type == pa.int64()


def test_ensure_reads_what_is_due_once_and_says_whose_labels_are_known(lender: Lender):
    lender.publish(0, 6)
    lender.label(0)
    assert ensure(lender.pipeline, day(4)) == []
    assert ensure(lender.pipeline, day(5)) == [day(0)]
    assert lender.labels() == {day(0): TRUTH[day(0)]}
    (lender.folder / "labels" / f"{day(0)}.csv").unlink()
    assert ensure(lender.pipeline, day(5)) == [day(0)]


def test_ensure_goes_on_without_labels_that_are_refused_and_asks_again(
    lender: Lender, caplog: pytest.LogCaptureFixture
):
    lender.publish(0, 6)
    lender.label(0, HEAD + f"0,{day(0)}T09:00Z,true\n" * 2)
    with caplog.at_level(logging.WARNING, "evergreen.labels.ingest"):
        assert ensure(lender.pipeline, day(5)) == []
    assert "1 values of loan have more than one label" in caplog.text
    lender.label(0, HEAD)
    assert ensure(lender.pipeline, day(5)) == []
    lender.label(0)
    assert ensure(lender.pipeline, day(5)) == [day(0)]


def test_a_training_counts_the_partitions_whose_labels_it_knows(lender: Lender):
    lender.publish(0, 10)
    for n in (0, 1, 3, 4):
        lender.label(n)
        ingest_labels(lender.pipeline, nights(n + 5))
    assert labelled_partitions(lender.pipeline, day(9)) == nights(0, 1, 3)
    assert labelled_partitions(lender.pipeline, day(10)) == nights(0, 1, 3, 4)
    assert labelled_partitions(lender.pipeline, day(5)) == []


def test_labels_without_declared_types_keep_those_of_published_rows_and_labels(lender: Lender):
    lender.change(source='{file: {path: "labels/{partition}.csv", time_column: granted_at}}')
    lender.publish(0, 2)
    lender.label(0, HEAD + f"0,{day(0)}T09:00Z,01\n")
    lender.label(1, HEAD + f"100,{day(1)}T09:00Z,10\n101.5,{day(1)}T09:00Z,10\n")
    ingest_labels(lender.pipeline, nights(5))
    with pytest.raises(RefusedError, match=r"'101.5' is no int, and the column is published as int"):
        ingest_labels(lender.pipeline, nights(6))
    lender.label(1, HEAD + f"100,{day(1)}T09:00Z,10\n")
    ingest_labels(lender.pipeline, nights(6))
    found = lender.pipeline.lake.read(Table.LABELS)
    assert found.column("loan").to_pylist() == [0, 100]
    assert found.schema.field("loan").type == pa.int64()
    assert found.column("late").to_pylist() == ["01", "10"]
