"""What the storage has of a pipeline is deleted, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evergreen.belongings import BELONGINGS, Part, parts_of
from evergreen.errors import ConflictError, NotFoundError
from evergreen.forget import forget

OWN = [
    "sales/lake/partitions/_delta_log/0.json",
    "sales/lake/partitions/partition=2024-01-01/a.parquet",
    "sales/models/v1/manifest.json",
    "sales/models/v1/model.skops",
    "sales/history/000001.json",
    "sales/champion.json",
    "sales/data_docs/index.html",
    "sales/staging/run/x",
    "sales/other",
]
OTHERS = ["sales2/champion.json", "sales_two/lake/x", "sale/lake/x", "salesx", "sales.json", "a/sales/lake/x"]


@pytest.fixture
def filled(storage):
    for key in [*OWN, *OTHERS]:
        storage.stage(key, b"12345")
    return storage


def test_all_of_a_pipeline_goes_and_nothing_of_others_whose_names_begin_so(filled):
    assert forget(filled, "sales") == len(OWN)
    assert filled.list("") == sorted(OTHERS)
    assert parts_of(filled, "sales") == []
    assert forget(filled, "sales") == 0


def test_below_a_prefix_of_the_bucket_too(filled):
    for key in OWN:
        filled.child("a").stage(key, b"1")
    assert forget(filled.child("a"), "sales") == len(OWN) + 1
    assert filled.list("") == sorted([*OWN, *OTHERS[:-1]])


def test_the_parts_are_told_with_their_sizes(filled):
    assert parts_of(filled, "sales") == [
        Part("lake", 2, 10),
        Part("models", 2, 10),
        Part("history", 1, 5),
        Part("champion.json", 1, 5),
        Part("data_docs", 1, 5),
        Part("staging", 1, 5),
        Part("other", 1, 5),
    ]


def test_what_names_the_rest_goes_first_and_a_killed_deletion_is_finished(filled, monkeypatch):
    real, seen = type(filled).delete, []

    def killed(self, keys):
        seen.extend(keys)
        real(self, seen[:3])
        raise KeyboardInterrupt

    monkeypatch.setattr(type(filled), "delete", killed)
    with pytest.raises(KeyboardInterrupt):
        forget(filled, "sales")
    first = ["champion.json", "history/000001.json", "models/v1/manifest.json"]
    assert seen[:4] == [*first, "lake/partitions/_delta_log/0.json"]
    monkeypatch.undo()
    assert forget(filled, "sales") == len(OWN) - 3
    assert filled.list("") == sorted(OTHERS)


def test_a_writer_at_the_same_time_is_noticed(filled, monkeypatch):
    real = type(filled).delete

    def delete(self, keys):
        real(self, keys)
        filled.stage("sales/staging/run/x", b"")

    monkeypatch.setattr(type(filled), "delete", delete)
    with pytest.raises(ConflictError, match=r"somebody writes to s3://.*/sales while it is deleted: pause"):
        forget(filled, "sales")


def test_only_a_name_of_a_pipeline_is_taken(filled):
    for name in ("", "sales/", "sales/lake", ".", "..", "*", "Sales", "a/sales"):
        with pytest.raises(NotFoundError, match="is no pipeline's name"):
            forget(filled, name)
    assert len(filled.list("")) == len(OWN) + len(OTHERS)


def test_all_that_the_layout_has_is_known():
    layout = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
    parts = set(re.findall(r"^<prefix>/<pipeline>/([\w.]+)", layout, re.MULTILINE))
    assert parts == BELONGINGS.keys() - {"staging", ".probe"}
