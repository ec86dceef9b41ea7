"""Rows and predictions with their labels."""

from __future__ import annotations

import pyarrow as pa
import pytest

from evergreen.errors import NotFoundError, SourceError, SpecError
from evergreen.labels.join import join_labels, unlabelled, with_labels
from evergreen.lake import Table
from tests.unit.labels.conftest import Lender, day, loans

SCHEMA = pa.schema([("loan", pa.int64()), ("late", pa.bool_())])


def put(lender: Lender, *days: int) -> None:
    contents = {
        day(n): pa.Table.from_pandas(loans(n)[["loan", "late"]], schema=SCHEMA, preserve_index=False)
        for n in days
    }
    lender.pipeline.lake.replace(Table.LABELS, contents)


def rows(lender: Lender) -> pa.Table:
    return lender.pipeline.lake.read(Table.PARTITIONS)


def known(table: pa.Table, column: str = "late") -> dict[str, int]:
    counts = table.group_by("partition").aggregate([(column, "count")]).to_pylist()
    return {row["partition"]: row[f"{column}_count"] for row in counts}


def test_each_row_gets_its_own_label_in_its_own_place(lender: Lender):
    lender.publish(0, 4)
    put(lender, 0, 1, 2, 3)
    shuffled = rows(lender).take(pa.array([5, 23, 0, 7, 12, 3]))
    found = with_labels(lender.pipeline, shuffled, None)
    assert found.drop_columns(["late"]).equals(shuffled)
    truth = dict(zip(loans(0, 4)["loan"], loans(0, 4)["late"], strict=True))
    assert found.column("late").to_pylist() == [truth[loan] for loan in shuffled.column("loan").to_pylist()]


def test_labels_are_null_from_the_night_on_that_has_not_brought_them(lender: Lender):
    lender.publish(0, 8)
    put(lender, *range(8))
    assert known(with_labels(lender.pipeline, rows(lender), day(7))) == {
        day(n): 6 * (n <= 2) for n in range(8)
    }
    assert known(with_labels(lender.pipeline, rows(lender), day(4))) == {day(n): 0 for n in range(8)}
    assert known(with_labels(lender.pipeline, rows(lender), None)) == {day(n): 6 for n in range(8)}


def test_a_row_without_a_label_is_null_and_a_label_without_a_row_is_nowhere(lender: Lender):
    lender.publish(0, 2)
    labels = pa.table({"loan": [0, 999], "late": [True, False]})
    lender.pipeline.lake.replace(Table.LABELS, {day(0): labels})
    found = with_labels(lender.pipeline, rows(lender), None)
    assert found.column("late").to_pylist() == [True] + [None] * 11


def test_a_label_kept_under_another_partition_is_another_s(lender: Lender):
    lender.publish(0, 2)
    lender.pipeline.lake.replace(Table.LABELS, {day(1): pa.table({"loan": [0], "late": [True]})})
    assert with_labels(lender.pipeline, rows(lender), None).column("late").null_count == 12


def test_predictions_get_theirs_in_the_column_that_is_named(lender: Lender):
    lender.publish(0, 2)
    put(lender, 0)
    predictions = pa.table(
        {
            "loan": [0, 1, 100],
            "prediction": [True] * 3,
            "actual": pa.nulls(3, pa.bool_()),
            "partition": [day(0), day(0), day(1)],
        }
    )
    found = with_labels(lender.pipeline, predictions, None, column="actual")
    assert found.column("actual").to_pylist() == [*loans(0)["late"].tolist()[:2], None]
    assert sorted(found.column_names) == ["actual", "loan", "partition", "prediction"]


def test_an_earlier_version_gives_the_labels_as_they_were(lender: Lender):
    lender.publish(0, 1)
    put(lender, 0)
    version = lender.pipeline.lake.version(Table.LABELS)
    lender.pipeline.lake.replace(Table.LABELS, {day(0): pa.table({"loan": [0], "late": [True]})})
    then = with_labels(lender.pipeline, rows(lender), None, version=version)
    assert then.column("late").to_pylist() == loans(0)["late"].tolist()
    assert with_labels(lender.pipeline, rows(lender), None).column("late").null_count == 5


def test_keys_of_other_number_types_meet_and_other_types_are_named(lender: Lender):
    lender.publish(0, 1)
    numbers = pa.table({"loan": [0.0, 1.0], "late": [True, False], "partition": [day(0)] * 2})
    assert join_labels(lender.spec, rows(lender), numbers).column("late").to_pylist()[:2] == [True, False]
    texts = numbers.set_column(0, "loan", pa.array(["0", "1"]))
    with pytest.raises(
        SourceError, match=r"^lender: labels: 'rows.loan' is int64 and 'labels.loan' is string"
    ):
        join_labels(lender.spec, rows(lender), texts)


def test_rows_with_a_target_of_their_own_are_refused(lender: Lender):
    put(lender, 0)
    own = pa.table({"loan": [0], "late": [True], "partition": [day(0)]})
    for joined in (lambda: with_labels(lender.pipeline, own, None), lambda: unlabelled(lender.pipeline, own)):
        with pytest.raises(SpecError, match="lender: labels: the rows have a column 'late' already"):
            joined()


def test_before_any_were_read_there_are_none(lender: Lender):
    lender.publish(0, 1)
    asked = (
        lambda: with_labels(lender.pipeline, rows(lender), None),
        lambda: unlabelled(lender.pipeline, rows(lender)),
    )
    for ask in asked:
        with pytest.raises(NotFoundError) as missing:
            ask()
        assert str(missing.value) == (
            "lender: no labels were read yet: when they are due, run evergreen labels lender"
        )


def test_scoring_sees_a_target_of_the_right_type_without_a_value(lender: Lender):
    lender.publish(0, 2)
    put(lender, 0)
    found = unlabelled(lender.pipeline, rows(lender))
    assert found.field("late").type == pa.bool_()
    assert found.column("late").null_count == 12
    assert found.drop_columns(["late"]).equals(rows(lender))


def test_no_rows_have_no_labels(lender: Lender):
    lender.publish(0, 1)
    put(lender, 0)
    found = with_labels(lender.pipeline, rows(lender).slice(0, 0), None)
    assert (len(found), found.field("late").type) == (0, pa.bool_())


def test_without_labels_in_the_description_rows_come_back_as_they_are(lender: Lender):
    own = pa.table({"loan": [0], "late": [True], "partition": [day(0)]})
    text = (lender.folder / "pipeline.yaml").read_text()
    cut = text[: text.index("labels:")] + text[text.index("training:") :]
    (lender.folder / "pipeline.yaml").write_text(cut)
    assert with_labels(lender.pipeline, own, day(0)) is own
    assert unlabelled(lender.pipeline, own) is own
