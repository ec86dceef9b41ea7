"""A boosting library's version goes the way of every other: trained, committed, promoted, checked, scored."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.boosters.catalogue import BOOSTERS, REMEDY
from evergreen.errors import IntegrityError, NotInstalledError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.scoring.checked_model import load_checked_model
from evergreen.scoring.score import score
from evergreen.spec import Spec
from evergreen.storage import Storage
from evergreen.training import stage

RIDGE = "{estimator: sklearn.linear_model.Ridge, params: {alpha: 1.0}}"
SLOW = "    - {estimator: sklearn.ensemble.HistGradientBoostingRegressor, params: {max_iter: 10}}\n"
AS_OF, DAY = "2024-02-01", "2024-02-03"


@pytest.mark.parametrize("path", [booster.paths[0] for booster in BOOSTERS.values()])
def test_a_version_is_trained_again_to_the_same_bytes_and_scores(
    path: str,
    make_spec: Callable[..., Spec],
    daily_rows: pd.DataFrame,
    storage: Storage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = path.partition(".")[0]
    pytest.importorskip(module, reason=f"not installed: {REMEDY}")
    spec = make_spec(changes={RIDGE: f"{{estimator: {path}, params: {{n_estimators: 60}}}}", SLOW: ""})
    pipeline = Pipeline(spec, storage)
    days = {
        str(key): pa.Table.from_pandas(day.drop(columns="partition"), preserve_index=False)
        for key, day in daily_rows.groupby("partition")
    }
    pipeline.lake.replace(Table.PARTITIONS, days)
    # A run that ends once its challenger is fit leaves nothing that the next one depends on.
    first = stage.stage_training_set(pipeline, AS_OF, {}, "ends-early")
    stage.stage_challenger(pipeline, "ends-early")
    trained = stage.train(pipeline, AS_OF, {})
    assert (trained.version, trained.promoted) == (first, True)
    lineage = json.loads(pipeline.registry.read(first, "lineage.json"))
    assert lineage["packages"][module] == BOOSTERS[module].version != "absent"
    assert lineage["candidate"]["early_stopping"]
    assert "Early stopping found" in pipeline.registry.read(first, "card.html").decode()
    again = Pipeline(spec, storage)
    model = load_checked_model(again, first).estimator
    scored = score(again, DAY)
    assert scored.rows == 6
    assert np.isfinite(model.predict(pd.DataFrame({"price": [3.0], "before": [30.0]}))).all()
    # Where the library is missing the champion cannot be compared, and so nothing may take its place.
    with monkeypatch.context() as without:
        without.setitem(sys.modules, module, None)
        message = f"^sales: version {first}: .* is not installed: {re.escape(REMEDY)}$"
        with pytest.raises(NotInstalledError, match=message):
            stage.train(Pipeline(make_spec(changes={SLOW: ""}), storage), DAY, {})
    assert again.registry.champion() == first
    (key,) = [key for key in storage.list(f"sales/models/{first}/") if key.endswith("model.skops")]
    body = bytearray(storage.read(key).body)
    body[len(body) // 2] ^= 1
    storage.delete([key])
    storage.create(key, bytes(body))
    with pytest.raises(IntegrityError, match=r"model\.skops"):
        load_checked_model(Pipeline(spec, storage), first)
