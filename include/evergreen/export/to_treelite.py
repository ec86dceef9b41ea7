"""An ensemble of trees to treelite's checkpoint; run in the environment of the converters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FILE = "checkpoint.tl"


def convert(folder: Path, request: Mapping[str, Any]) -> None:
    """Write the checkpoint, read it, and let treelite predict the golden rows in double precision."""
    import treelite

    _model(folder).serialize(str(folder / "made" / FILE))
    model = treelite.Model.deserialize(str(folder / "made" / FILE))
    features = pd.read_parquet(folder / "features.parquet").to_numpy(dtype=np.float64)
    if model.input_type == "float32":
        features = features.astype(np.float32)
    found = np.asarray(treelite.gtil.predict(model, features), np.float64).reshape(len(features), -1)
    classes = request["classes"]
    if not classes:
        answers = {"labels": found[:, 0].tolist()}
    else:
        chances = np.column_stack([1 - found[:, 0], found[:, 0]]) if found.shape[1] == 1 else found
        labels = [classes[place] for place in chances.argmax(axis=1)]
        answers = {"labels": labels, "probabilities": chances.tolist()}
    (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


def _model(folder: Path) -> Any:
    import treelite

    if (file := folder / "model.txt").is_file():
        return treelite.frontend.load_lightgbm_model(str(file))
    if (file := folder / "model.json").is_file():
        return treelite.frontend.load_xgboost_model(str(file), format_choice="json")
    import skops.io

    data = (folder / "model.skops").read_bytes()
    # Only types of scikit-learn are in it: it was looked at before.
    return treelite.sklearn.import_model(
        skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    )
