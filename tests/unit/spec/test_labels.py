"""What a description may say of labels that come later."""

from __future__ import annotations

from pathlib import Path

import pytest

from evergreen.calendar import Length
from evergreen.errors import SpecError
from evergreen.spec import Spec, parse_spec

FILE = '{file: {path: "labels/{partition}.csv"}}'
LENDER = """\
name: lender
description: Loans
owner: team
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
sources:
  loans: {file: {path: "loans/{partition}.csv", time_column: granted_at}}
key: [loan]
task: classification
target: late
labels:
  source: SOURCE
  delay: 5 partitions
training:
  window: 60 days
  metric: accuracy
  candidates:
    - {estimator: sklearn.linear_model.LogisticRegression}
"""


def parse(tmp_path: Path, text: str = LENDER, source: str = FILE) -> Spec:
    folder = tmp_path / "lender"
    folder.mkdir(exist_ok=True)
    (folder / "pipeline.yaml").write_text(text.replace("SOURCE", source))
    return parse_spec(folder / "pipeline.yaml")


def test_labels_have_a_source_of_their_own_and_a_delay(tmp_path: Path):
    spec = parse(tmp_path)
    assert spec.labels is not None
    assert (spec.label_delay, spec.labels.source.kind) == (Length(5), "file")
    assert spec.keys == ("loan",)


@pytest.mark.parametrize(
    "source",
    [
        "{postgres: {conn_id: db, table: repayments, time_column: granted_at}}",
        "{postgres: {conn_id: db, sql: sql/labels.sql}}",
        '{http: {conn_id: api, path: "/labels/{partition}"}}',
        '{http: {conn_id: api, path: /labels, params: {day: "{partition}"}}}',
        "{http: {conn_id: api, path: /labels, time_column: granted_at}}",
        "{file: {path: labels.csv, time_column: granted_at}}",
        '{file: {path: "labels/{partition:%Y/%m}.csv"}}',
    ],
)
def test_every_kind_of_source_may_give_labels(tmp_path: Path, source: str):
    assert parse(tmp_path, source=source).labels is not None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "{postgres: {conn_id: db, table: repayments}}",
            "labels.source.postgres.time_column: name the column of the rows' time",
        ),
        (
            "{http: {conn_id: api, path: /labels}}",
            "labels.source.http: write '{partition}' where it asks for a partition's labels, or name",
        ),
        (
            "{file: {path: labels.csv}}",
            "labels.source.file: write '{partition}' where it asks for a partition's labels, or name",
        ),
        (
            '{file: {path: "labels/{partition}.csv"}, complete: {file: "labels/{partition}.done"}}',
            "labels.source.complete: labels are waited for by 'delay', leave it out",
        ),
        (
            "{postgres: {conn_id: db, table: repayments, time_column: at, changed: {column: changed_at}}}",
            "labels.source.postgres.changed: is for rows, leave it out",
        ),
    ],
)
def test_a_source_that_cannot_tell_partitions_apart_is_refused(tmp_path: Path, source: str, reason: str):
    with pytest.raises(SpecError) as refused:
        parse(tmp_path, source=source)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"start: 2024-01-01\npartition: daily": "partition: snapshot"},
            "labels: a snapshot's labels come with its rows, leave it out",
        ),
        (
            {
                "classification\ntarget: late": "clustering",
                "accuracy": "silhouette",
                "linear_model.LogisticRegression": "cluster.KMeans",
            },
            "labels: clustering has none, leave it out",
        ),
        ({"target: late\n": ""}, "target: classification needs the column to predict"),
        ({"delay: 5": "delay: 60"}, "labels.delay: must be shorter than training.window"),
        ({"delay: 5 partitions": "delay: 2 months"}, "labels.delay: must be shorter than training.window"),
        ({"delay: 5 partitions": "delay: 9 weeks"}, "labels.delay: must be shorter than training.window"),
        ({"delay: 5": "delay: 999999"}, "labels.delay: must be shorter than training.window"),
        ({"target: late": "target: loan"}, "target: 'loan' is among the keys of a row"),
        ({"delay: 5 partitions": "delay: a week"}, "labels.delay: write a length like"),
        ({"  delay: 5 partitions\n": ""}, "labels.delay"),
    ],
)
def test_labels_that_make_no_sense_are_refused(tmp_path: Path, changes: dict[str, str], reason: str):
    text = LENDER
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(SpecError) as refused:
        parse(tmp_path, text)
    assert reason in str(refused.value)


def test_no_lookup_is_called_labels(tmp_path: Path):
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "pipeline.yaml").write_text("")
    lookups = "{lookups: {labels: {pipeline: people, on: {who: who}, columns: [age], max_age: 9 days}}}"
    with pytest.raises(SpecError, match=r"features.lookups.labels: is the name of the labels"):
        parse(tmp_path, LENDER + f"features: {lookups}\n")


@pytest.mark.parametrize(("delay", "allowed"), [(59, True), (60, False)])
def test_some_label_in_the_window_must_be_known(tmp_path: Path, delay: int, allowed: bool):
    text = LENDER.replace("delay: 5", f"delay: {delay}")
    if allowed:
        assert parse(tmp_path, text).label_delay == Length(delay)
    else:
        with pytest.raises(SpecError):
            parse(tmp_path, text)
