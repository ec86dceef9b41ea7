"""What the registry adds to storing and loading a model of 100 MB."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks.figure import ROUNDS, Figure, ratio_of_medians
from benchmarks.stores import stores

if TYPE_CHECKING:
    from evergreen.storage import Storage

ROWS, COLUMNS = 128_000, 100  # float64: 102 MB
REGISTER_LIMIT = 1.5
LOAD_LIMIT = 1.3
ALLOWANCE = 1.0  # seconds that registering and promoting may take beside the upload


def measure() -> list[Figure]:
    """Registering and promoting beside a bare upload, loading beside a bare download and skops' load.

    The model is a nearest-neighbours regressor, which holds the rows it was fit on. Bare is boto3's own
    transfer of the same bytes to and from memory, with its defaults. The order changes from round to round.
    """
    import numpy as np
    from sklearn.neighbors import KNeighborsRegressor

    from evergreen.pipeline import Pipeline
    from evergreen.registry.model_file import dump_model

    random = np.random.default_rng(20240101)
    rows = random.normal(size=(ROWS, COLUMNS))
    model = KNeighborsRegressor(1, algorithm="brute").fit(rows, rows[:, 0])
    data, row = dump_model(model), rows[:1]
    with stores():
        storage = Pipeline.open("bike_demand").storage.child("bench")
        bare, ours = _Bare(storage, data), _Ours(storage, data)
        bare.upload(), ours.register()  # the first round warms connections and imports
        seconds: dict[str, list[float]] = {}
        for number in range(ROUNDS):
            steps: list[tuple[str, Callable[[], Any]]] = [
                ("upload", bare.upload),
                ("register", ours.register),
                ("download", bare.load),
                ("load", ours.load),
            ]
            if number % 2:
                steps = [steps[1], steps[0], steps[3], steps[2]]
            for name, step in steps:
                began = time.perf_counter()
                loaded = step()
                seconds.setdefault(name, []).append(time.perf_counter() - began)
                assert loaded is None or loaded.predict(row) == model.predict(row)
                del loaded
    registered = [max(second - ALLOWANCE, 0.0) for second in seconds["register"]]
    return [
        Figure(
            f"register and promote a model of {len(data) / 1e6:.0f} MB, less 1 s / boto3 upload",
            ratio_of_medians(registered, seconds["upload"]),
            "x",
            REGISTER_LIMIT,
        ),
        Figure(
            "load and verify it / boto3 download and skops load",
            ratio_of_medians(seconds["load"], seconds["download"]),
            "x",
            LOAD_LIMIT,
        ),
    ]


class _Bare:
    """The code that one would write without a registry."""

    def __init__(self, storage: Storage, data: bytes) -> None:
        self._client, self._bucket = storage._client, storage.bucket
        self._data = data

    def upload(self) -> None:
        self._client.upload_fileobj(io.BytesIO(self._data), self._bucket, "bare/model.skops")

    def load(self) -> Any:
        import skops.io

        body = io.BytesIO()
        self._client.download_fileobj(self._bucket, "bare/model.skops", body)
        return skops.io.load(body)


class _Ours:
    """A new version each time, and its champion loaded without a cache."""

    def __init__(self, storage: Storage, data: bytes) -> None:
        self._storage, self._data = storage, data
        self._number = 0

    def register(self) -> None:
        from evergreen.registry.registry import Registry

        registry = Registry(self._storage, "bench")
        self._number += 1
        version = f"snapshot-{self._number:04d}"
        registry.commit(version, {"model.skops": self._data})
        registry.promote(version, "snapshot", {})

    def load(self) -> Any:
        from evergreen.registry.registry import Registry

        registry = Registry(self._storage, "bench")
        champion = registry.champion()
        assert champion == f"snapshot-{self._number:04d}"
        return registry.load(champion)
