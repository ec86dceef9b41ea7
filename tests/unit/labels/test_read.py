"""What a source gives for a partition, and what is refused of it, in one line each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen.errors import EvergreenError, RefusedError, SourceError
from evergreen.labels.read import conformed, read_labels
from tests.unit.labels.conftest import Lender, day, loans

HEAD = "loan,granted_at,late\n"


def read(lender: Lender, number: int = 3):
    return read_labels(lender.pipeline, day(number))


def refusal(lender: Lender, number: int = 3) -> str:
    with pytest.raises(EvergreenError) as refused:
        read(lender, number)
    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith("lender 2024-01-04: ")
    return message


def test_keys_and_label_in_the_order_of_the_keys(lender: Lender):
    own = loans(3)[["loan", "granted_at", "late"]].sample(frac=1, random_state=1).assign(more="text")
    lender.label(3, own)
    found = read(lender)
    assert found.labels.schema == pa.schema([("loan", pa.int64()), ("late", pa.bool_())])
    assert found.labels.column("loan").to_pylist() == [300, 301, 302, 303, 304, 305]
    assert found.labels.column("late").to_pylist() == loans(3)["late"].tolist()
    assert (found.absent, found.outside, found.rejected) == (0, 0, 0)


def test_a_record_without_a_label_or_a_key_is_none_yet(lender: Lender):
    lender.label(3, HEAD + f"300,{day(3)}T09:00Z,true\n301,{day(3)}T09:00Z,\n,{day(3)}T09:00Z,true\n")
    found = read(lender)
    assert found.labels.to_pylist() == [{"loan": 300, "late": True}]
    assert found.absent == 2


def test_a_source_that_has_no_label_yet_is_no_error(lender: Lender):
    lender.label(3, HEAD)
    assert len(read(lender).labels) == 0
    lender.label(3, HEAD + f"300,{day(3)}T09:00Z,\n")
    assert (len(read(lender).labels), read(lender).absent) == (0, 1)


def test_records_of_other_partitions_are_left_out(lender: Lender):
    file = '{file: {path: "labels/all.csv", time_column: granted_at, types: {loan: int, late: boolean}}}'
    lender.change(source=file)
    everything = loans(0, 9)[["loan", "granted_at", "late"]]
    everything.to_csv(lender.folder / "labels" / "all.csv", index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
    found = read(lender)
    assert found.labels.column("loan").to_pylist() == [300, 301, 302, 303, 304, 305]
    assert found.outside == 48


def test_two_labels_for_a_key_are_refused_with_the_keys(lender: Lender):
    twice = "".join(f"{loan},{day(3)}T09:00Z,true\n" for loan in (300, 301, 302, 301, 300, 303))
    lender.label(3, HEAD + twice)
    message = refusal(lender)
    assert "2 values of loan have more than one label: 300 (2 rows); 301 (2 rows): fix the source" in message


def test_a_label_that_is_there_once_and_once_not_is_one_label(lender: Lender):
    lender.label(3, HEAD + f"300,{day(3)}T09:00Z,true\n300,{day(3)}T10:00Z,\n")
    assert read(lender).labels.to_pylist() == [{"loan": 300, "late": True}]


def test_a_missing_column_is_named_with_those_that_are_there(lender: Lender):
    lender.change(source='{file: {path: "labels/{partition}.csv"}}')
    lender.label(3, "loan,repaid\n300,true\n")
    message = refusal(lender)
    assert "labels: the source has no column 'late' (there: loan, repaid)" in message


def test_few_values_that_cannot_be_read_are_left_out_and_many_refused(lender: Lender):
    good = "".join(f"{300 + n},{day(3)}T09:00Z,true\n" for n in range(40))
    lender.label(3, HEAD + good + f"399,{day(3)}T09:00Z,perhaps\n")
    found = read(lender)
    assert (len(found.labels), found.rejected) == (40, 1)
    lender.label(3, HEAD + f"300,{day(3)}T09:00Z,true\n301,{day(3)}T09:00Z,perhaps\n")
    message = refusal(lender)
    assert "1 of 2 records cannot be read, more than max_quarantined 5.0%, the first at" in message
    assert "perhaps" in message


@pytest.mark.parametrize(
    ("values", "error", "reason"),
    [
        (pa.array(["much", "little"]), SourceError, "'late' holds string, which a regression cannot learn"),
        (pa.array([1.0, np.inf]), RefusedError, "1 values of 'late' are infinite"),
        (pa.array([[1.0], [2.0]]), SourceError, "'late' holds list<"),
    ],
)
def test_what_is_no_label_is_refused(lender: Lender, values: pa.Array, error: type, reason: str):
    regression = "{metric: mae, holdout: 4 days, candidates: [{estimator: sklearn.linear_model.Ridge}]}"
    text = (lender.folder / "pipeline.yaml").read_text().replace("task: classification", "task: regression")
    (lender.folder / "pipeline.yaml").write_text(f"{text[: text.index('training:')]}training: {regression}\n")
    lender.change(source='{file: {path: "labels/{partition}.parquet"}}')
    pq.write_table(
        pa.table({"loan": [300, 301], "late": values}), lender.folder / "labels" / f"{day(3)}.parquet"
    )
    with pytest.raises(error):
        read(lender)
    assert reason in refusal(lender)


def test_a_missing_file_says_so_as_for_any_source(lender: Lender):
    message = refusal(lender)
    assert message.startswith("lender 2024-01-04: source 'labels': file ")
    assert "labels/2024-01-04.csv cannot be read (No such file or directory)" in message


def test_a_number_fits_another_type_and_other_types_are_refused(lender: Lender):
    published = pa.schema([("loan", pa.int64()), ("late", pa.int64())])
    wholes = conformed(lender.spec, day(3), pa.table({"loan": [1], "late": [1.0]}), published)
    assert wholes.schema == published
    for values, kind in (([0.5, 1.0], "double"), (["a", "b"], "string")):
        with pytest.raises(RefusedError) as refused:
            conformed(lender.spec, day(3), pa.table({"loan": [1, 2], "late": values}), published)
        assert str(refused.value) == (
            f"lender 2024-01-04: labels: column 'late' was int64 and is {kind}: fix the source, or declare "
            "the type it had under the source's 'types'"
        )
    first = pa.table({"loan": [1], "late": ["a"]})
    assert conformed(lender.spec, day(3), first, None).equals(first)


def test_a_number_that_is_none_is_no_label(lender: Lender):
    lender.change(source='{file: {path: "labels/{partition}.parquet"}}')
    frame = pd.DataFrame({"loan": [300, 301], "late": [1.0, np.nan]})
    frame.to_parquet(lender.folder / "labels" / f"{day(3)}.parquet")
    found = read(lender)
    assert (found.labels.to_pylist(), found.absent) == ([{"loan": 300, "late": 1.0}], 1)
