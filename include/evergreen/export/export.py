"""A version's model written for other servers, into a folder that appears at once or not at all."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evergreen.candidates.pretrained import OnnxModel
from evergreen.errors import IntegrityError, RefusedError
from evergreen.export.conversion import convert, converters
from evergreen.export.exportable import Format, exportable
from evergreen.export.held import TOLERANCE, hold
from evergreen.export.triton import config, request_of
from evergreen.json_values import json_values
from evergreen.metrics.predictions import Predictions
from evergreen.scoring.checked_model import CheckedModel, load_checked_model
from evergreen.scoring.golden import Golden

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

ABOUT = "evergreen.json"
"""The file of an export that says what it is."""

_LOST = ("features, look-back and lookups", "expectations", "contributions")
_PACKAGES = ("numpy", "pandas", "scikit-learn", "scipy", "skops")


@dataclass(frozen=True)
class Exported:
    """A finished export: how far its numbers are at most from the model's own, as a share, and what it lacks.

    The share is of the largest number of the `rows` golden ones, as `tolerance` is.
    """

    pipeline: str
    version: str
    format: Format
    rows: int
    tolerance: float
    largest_difference: float
    lost: tuple[str, ...]


def export(pipeline: Pipeline, version: str, to: Format, folder: Path) -> Exported:
    """Convert a version's model, hold the result to its golden rows, and put it into the folder.

    The folder must be absent, empty, or an earlier export of this pipeline to this format, which is replaced.
    Raises `RefusedError` if the format cannot hold the model or says anything else of a golden row, or
    the folder holds something else, and what `load_checked_model` raises. Nothing is written then.
    """
    where = f"{pipeline.name}: version {version} is not exported to {to}"
    _check_free(where, pipeline.name, to, folder)
    converters()
    checked = load_checked_model(pipeline, version)
    golden = Golden.of(pipeline.name, pipeline.registry, version).features(checked.pipeline.spec)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
        work, made = Path(beside) / "work", Path(beside) / "made"
        work.mkdir()
        made.mkdir()
        try:
            exported = _made(checked, to, golden, work, made)
        except (RefusedError, IntegrityError) as error:
            raise RefusedError(
                f"{where}: {error}; nothing was written: name another version or form"
            ) from error
        _put(made, folder, Path(beside) / "before")
    return exported


def _made(checked: CheckedModel, to: Format, golden: pd.DataFrame, work: Path, made: Path) -> Exported:
    """Make the export in the folder `made`, and hold it to the model's predictions of the golden features."""
    name, said = checked.pipeline.name, Predictions.of(checked.estimator, golden)
    parts = exportable(checked.estimator, to)
    request = {
        "pipeline": name,
        "version": checked.version,
        "to": to,
        "columns": [_column(golden[name]) for name in golden],
        "classes": list(said.classes),
        "links": parts.links,
        "single": parts.single,
        "requirements": [f"{package}=={metadata.version(package)}" for package in _PACKAGES],
    }
    convert(work, request, parts.files, golden)
    about: dict[str, Any] = {"features": request["columns"], "classes": request["classes"]}
    if to == "onnx":
        found, example = _laid_out(name, checked.version, golden, work, made)
        about["request"] = example
    else:
        (work / "made").replace(made)
        found = _answers(work, said.classes)
    exported = Exported(
        pipeline=name,
        version=checked.version,
        format=to,
        rows=len(golden),
        tolerance=TOLERANCE[to],
        largest_difference=hold(found, said, to),
        lost=(*parts.lost, *_LOST),
    )
    text = json.dumps(json_values(asdict(exported) | about), indent=2, default=str)
    (made / ABOUT).write_text(text + "\n", encoding="utf-8")
    return exported


def _laid_out(
    name: str, version: str, golden: pd.DataFrame, work: Path, made: Path
) -> tuple[Predictions, dict[str, Any] | None]:
    """A graph in Triton's layout, what onnxruntime says by it of the golden features, and a request."""
    graph = (work / "made" / "model.onnx").read_bytes()
    model = OnnxModel.read(graph)
    inputs, outputs = model.signature()
    (made / name / "1").mkdir(parents=True)
    (made / name / "1" / "model.onnx").write_bytes(graph)
    (made / name / "config.pbtxt").write_text(config(name, version, inputs, outputs), encoding="utf-8")
    try:
        return Predictions.of(model, golden), request_of(model.fed(golden.dropna().head(1)))
    except ValueError as error:
        raise RefusedError(str(error)) from error


def _answers(work: Path, classes: tuple[Any, ...]) -> Predictions:
    """What the format's own library said of the golden features."""
    answers = json.loads((work / "answers.json").read_text(encoding="utf-8"))
    chances = answers.get("probabilities")
    said = None if chances is None else np.asarray(chances, dtype=np.float64)
    return Predictions(np.asarray(answers["labels"]), said, classes)


def _column(values: pd.Series) -> dict[str, Any]:
    number = bool(pd.api.types.is_numeric_dtype(values.dtype))
    return {"name": str(values.name), "type": str(values.dtype), "number": number}


def _check_free(where: str, name: str, to: Format, folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        there = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if (there["pipeline"], there["format"]) == (name, to):
            return
    except (OSError, ValueError, KeyError, TypeError):
        pass  # it is something else
    raise RefusedError(
        f"{where}: {folder} holds something else than an export of {name} to {to}: name another folder"
    )


def _put(made: Path, folder: Path, before: Path) -> None:
    """Put the export in its place; an earlier one is put `before` first, and back if that fails."""
    earlier = folder.exists()
    if earlier:
        folder.rename(before)
    try:
        made.rename(folder)
    except OSError:
        if earlier:
            before.rename(folder)
        raise
