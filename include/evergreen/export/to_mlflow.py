"""A scikit-learn model to MLflow's folder, in the skops format; run in the environment of the converters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def convert(folder: Path, request: Mapping[str, Any]) -> None:
    """Write the folder by MLflow, and let MLflow read it and predict the golden rows."""
    import mlflow.pyfunc
    import mlflow.sklearn
    import skops.io
    from mlflow.models import infer_signature

    data = (folder / "model.skops").read_bytes()
    # Only types of scikit-learn are in it: it was looked at before.
    types = skops.io.get_untrusted_types(data=data)
    model = skops.io.loads(data, trusted=types)
    features = pd.read_parquet(folder / "features.parquet")
    made = str(folder / "made")
    mlflow.sklearn.save_model(
        model,
        made,
        serialization_format="skops",
        skops_trusted_types=types,
        signature=infer_signature(features, model.predict(features)),
        input_example=features.head(1),
        pip_requirements=request["requirements"],
        metadata={"pipeline": request["pipeline"], "version": request["version"]},
    )
    answers = {"labels": np.asarray(mlflow.pyfunc.load_model(made).predict(features)).tolist()}
    if request["classes"]:
        answers["probabilities"] = mlflow.sklearn.load_model(made).predict_proba(features).tolist()
    (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
