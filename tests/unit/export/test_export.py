"""An export appears as a whole, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from typer.testing import CliRunner

from evergreen.candidates.pretrained import OnnxModel
from evergreen.cli import app
from evergreen.errors import EvergreenError, NotFoundError, RefusedError
from evergreen.export.conversion import PYTHON
from evergreen.export.export import export
from evergreen.pipeline import Pipeline
from evergreen.scoring.golden import Golden

Commit = Callable[[Any], str]
POISSON = HistGradientBoostingRegressor(loss="poisson", max_iter=8, min_samples_leaf=2)


def files_of(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_a_graph_is_laid_out_for_triton_and_gives_the_golden_predictions(
    kiosk: Pipeline, commit: Commit, here: None, tmp_path: Path
) -> None:
    version, folder = commit(POISSON), tmp_path / "out" / "triton"
    exported = export(kiosk, version, "onnx", folder)
    assert files_of(tmp_path / "out") == [
        "triton/evergreen.json",
        "triton/kiosk/1/model.onnx",
        "triton/kiosk/config.pbtxt",
    ]
    assert exported.rows == 4
    assert exported.largest_difference < 1e-14
    golden = Golden.of("kiosk", kiosk.registry, version)
    graph = OnnxModel.read((folder / "kiosk" / "1" / "model.onnx").read_bytes())
    features = golden.features(kiosk.spec)
    np.testing.assert_allclose(graph.predict(features), golden.promised["prediction"], rtol=1e-13)
    text = (folder / "kiosk" / "config.pbtxt").read_text()
    assert 'name: "kiosk"\nbackend: "onnxruntime"\nmax_batch_size: 0\n' in text
    assert '{ name: "features" data_type: TYPE_FP64 dims: [-1, 3] }' in text
    assert '{ name: "prediction" data_type: TYPE_FP64 dims: [-1, 1] }' in text
    about = json.loads((folder / "evergreen.json").read_text())
    assert (about["pipeline"], about["version"], about["format"]) == ("kiosk", version, "onnx")
    assert [(column["name"], column["type"]) for column in about["features"]] == [
        ("hour", "int32"),
        ("temperature", "float64"),
        ("level", "float64"),
    ]
    assert "features, look-back and lookups" in about["lost"]
    (tensor,) = about["request"]["inputs"]
    assert (tensor["name"], tensor["shape"], tensor["datatype"]) == ("features", [1, 3], "FP64")
    assert tensor["data"] == features.iloc[0].tolist()


def test_an_earlier_export_is_replaced_and_anything_else_is_not_touched(
    kiosk: Pipeline, commit: Commit, here: None, tmp_path: Path
) -> None:
    version, folder = commit(POISSON), tmp_path / "out"
    folder.mkdir()
    export(kiosk, version, "onnx", folder)
    (folder / "kiosk" / "1" / "model.onnx").write_bytes(b"an earlier one")
    export(kiosk, version, "onnx", folder)
    assert (folder / "kiosk" / "1" / "model.onnx").read_bytes() != b"an earlier one"
    for other in ("treelite", "mlflow"):
        with pytest.raises(RefusedError, match="holds something else than an export of kiosk"):
            export(kiosk, version, other, folder)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    for place in (mine, mine / "notes.txt"):
        with pytest.raises(
            RefusedError, match=r"kiosk: version .* is not exported to onnx: .* something else"
        ):
            export(kiosk, version, "onnx", place)
    assert files_of(mine) == ["notes.txt"]


def wrong_converter(folder: Path, body: str) -> Path:
    """A program in place of the converters' interpreter, which gets their arguments."""
    program = folder / "wrong"
    program.write_text(f'#!/bin/sh\ncd "$6"\nmkdir made\n{body}\n')
    program.chmod(0o755)
    return program


def test_a_graph_that_says_anything_else_is_refused_and_nothing_is_written(
    kiosk: Pipeline, commit: Commit, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = commit(POISSON)
    right = tmp_path / "right"
    export(kiosk, version, "onnx", right)
    graph = right / "kiosk" / "1" / "model.onnx"
    # As skl2onnx has it: the same graph, without the link.
    import onnx

    model = onnx.load(graph)
    (link,) = [node for node in model.graph.node if node.op_type == "Exp"]
    link.op_type = "Identity"
    onnx.save(model, tmp_path / "wrong.onnx")
    out = tmp_path / "out"
    out.mkdir()
    program = wrong_converter(tmp_path, f"cp {tmp_path / 'wrong.onnx'} made/model.onnx")
    monkeypatch.setenv(PYTHON, str(program))
    with pytest.raises(
        RefusedError,
        match=r"^kiosk: version .* is not exported to onnx: it predicts 4 of 4 golden rows differently, "
        r"row 1 as \d.* instead of \d.*; nothing was written: name another version or form$",
    ):
        export(kiosk, version, "onnx", out / "triton")
    assert list(out.iterdir()) == []
    program.write_text(program.read_text().replace(str(tmp_path / "wrong.onnx"), str(graph)))
    export(kiosk, version, "onnx", out / "triton")  # it was the graph, and not the program


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (
            "echo Traceback >&2; echo 'ValueError: no such thing' >&2; exit 1",
            "does not take it: ValueError: no such",
        ),
        ("exit 3", "does not take it: it said nothing"),
        ("echo nonsense > made/model.onnx", "not an ONNX graph that can be used"),
    ],
)
def test_a_converter_that_fails_is_told_in_one_line(
    kiosk: Pipeline, commit: Commit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, why: str
) -> None:
    version = commit(LinearRegression())
    monkeypatch.setenv(PYTHON, str(wrong_converter(tmp_path, body)))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(RefusedError, match=why) as refused:
        export(kiosk, version, "onnx", out / "triton")
    assert "\n" not in str(refused.value)
    assert list(out.iterdir()) == []


def test_the_converters_get_no_secret(
    kiosk: Pipeline, commit: Commit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = commit(LinearRegression())
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    monkeypatch.setenv("AIRFLOW_CONN_DB", "postgres://a-secret@db")
    seen = tmp_path / "seen"
    monkeypatch.setenv(
        PYTHON, str(wrong_converter(tmp_path, f"env > {seen}; cat request.json >> {seen}; exit 1"))
    )
    with pytest.raises(RefusedError):
        export(kiosk, version, "mlflow", tmp_path / "out")
    assert "kiosk" in seen.read_text()
    assert "a-secret" not in seen.read_text()


def test_without_the_environment_the_command_that_builds_it_is_named(
    kiosk: Pipeline, commit: Commit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = commit(LinearRegression())
    monkeypatch.setenv(PYTHON, str(tmp_path / "absent"))
    with pytest.raises(EvergreenError, match=r"absent is missing, .*: run make \.venv-export"):
        export(kiosk, version, "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_version_is_said_to_be_so(kiosk: Pipeline, here: None, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no version 2024-01-12-none"):
        export(kiosk, "2024-01-12-none", "onnx", tmp_path / "out")


def test_the_command_exports_and_refuses(
    kiosk: Pipeline, commit: Commit, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(kiosk.spec.folder.parent))
    monkeypatch.setenv("EVERGREEN_STORAGE", kiosk.storage.uri())
    credentials = kiosk.storage.credentials
    monkeypatch.setenv("AWS_ENDPOINT_URL", credentials.endpoint_url or "")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.secret_key)
    version = commit(GradientBoostingRegressor(n_estimators=5))
    call = ["models", "export", "kiosk", version, str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*call, "--to", "onnx", "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["version"], document["format"], document["rows"]) == (version, "onnx", 4)
    refused = CliRunner().invoke(app, [*call, "--to", "mlflow"])
    assert refused.exit_code == 3
    assert "holds something else" in refused.stderr
    assert CliRunner().invoke(app, [*call, "--to", "pickle"]).exit_code == 2
