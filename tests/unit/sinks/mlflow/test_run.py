"""What a run says of a version."""

from __future__ import annotations

import pytest

from evergreen.sinks.mlflow.run import run_of
from tests.mlflow_versions import FIRST, files


def test_a_run_has_what_the_version_s_files_say() -> None:
    stored = files(FIRST, 3.0)
    run = run_of("sales", FIRST, stored)
    assert run.name == FIRST
    assert run.metrics == {"mae": 3.0, "recall_50_": 0.5, "baseline/mae": 9.0, "champion/mae": 5.0}
    assert run.params == {
        "candidate.estimator": "sklearn.linear_model.Ridge",
        "candidate.params.alpha": "1.0",
        "window.rows": "720",
        "window.from": "2023-12-03",
    }
    assert run.tags == {
        "evergreen.pipeline": "sales",
        "evergreen.version": FIRST,
        "evergreen.as_of": "2024-02-01",
        "evergreen.gate": "promoted",
        "evergreen.reason": "the error rose",
        "evergreen.compared_with": "2024-01-01-9999",
        "mlflow.note.content": "promoted: all 2 checks passed",
        "mlflow.source.name": "evergreen",
    }
    assert run.artifacts == {name: content for name, content in stored.items() if name != "model.skops"}


def test_a_version_with_metrics_alone_has_a_run_too() -> None:
    run = run_of("sales", FIRST, {"metrics.json": b'{"mae": 1, "evaluation": {"champion": null}}'})
    assert (run.metrics, run.params, set(run.artifacts)) == ({"mae": 1.0}, {}, {"metrics.json"})


def test_long_texts_are_cut_to_what_mlflow_takes() -> None:
    stored = {"gate.json": b'{"sentence": "%s"}' % (b"x" * 9000)}
    stored["lineage.json"] = b'{"candidate": {"%s": "%s"}}' % (b"n" * 300, b"y" * 7000)
    run = run_of("sales", FIRST, stored)
    assert len(run.tags["mlflow.note.content"]) == 8000
    assert [(len(name), len(value)) for name, value in run.params.items()] == [(250, 6000)]


def test_a_file_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        run_of("sales", FIRST, {"gate.json": b"not JSON"})
