"""The kiosk with a champion, scored and monitored nights, and a row in quarantine: what people look at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pyarrow as pa
import pytest

import evergreen
from evergreen.lake import Table
from evergreen.monitoring.stage import monitor
from evergreen.pipeline import Pipeline
from evergreen.scoring.score import score
from evergreen.spec import parse_spec
from evergreen.storage import Credentials, Storage
from evergreen.training.stage import train
from evergreen.validation.quarantine import QUARANTINE
from tests.unit.scoring.conftest import KIOSK, sales

SCORED = [f"2024-01-{day}" for day in range(20, 25)]


@pytest.fixture(scope="package")
def kiosk(s3_server: str, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Thirty published days, two versions of which the second is refused, and five nights after the first."""
    folder = tmp_path_factory.mktemp("pipelines") / "kiosk"
    shutil.copytree(KIOSK, folder)
    description = folder / "pipeline.yaml"
    description.write_text("\n".join(description.read_text().splitlines()[:-1]) + "\n")
    storage = Storage("front-door", "", Credentials(s3_server, access_key="test", secret_key="test"))
    storage._client.create_bucket(Bucket=storage.bucket)
    pipeline = Pipeline(parse_spec(description), storage)
    days = {
        str(key): pa.Table.from_pandas(day.drop(columns="partition"), preserve_index=False)
        for key, day in sales().groupby("partition")
    }
    pipeline.lake.replace(Table.PARTITIONS, days)
    train(pipeline, SCORED[0], {"kind": "shell", "sentence": "a test asked for it"})
    for key in SCORED:
        score(pipeline, key)
        monitor(pipeline, key)
    unread = ('{"at": "2024-01-20T22:00:00+00:00", "sold": -1}', "expect sold >= 0", "sold is -1", "")
    broken = ("a,b,c", "readable", "3 fields in place of 2", "20.csv:7")
    rows = [dict(zip(QUARANTINE.names, row, strict=True)) for row in (unread, broken)]
    pipeline.lake.replace(Table.QUARANTINE, {"2024-01-20": pa.Table.from_pylist(rows, schema=QUARANTINE)})
    champion = str(pipeline.registry.champion())
    files = {name: pipeline.registry.read(champion, name) for name in pipeline.registry.files(champion)}
    refused = f"{SCORED[2]}-0123456789ab"
    pipeline.registry.commit(refused, files)
    pipeline.registry.refuse(refused, SCORED[2], {"kind": "shell"})
    return pipeline


@pytest.fixture
def pipeline(kiosk: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[evergreen.Pipeline]:
    """The kiosk as `evergreen.open` finds it. Whatever a test does with it, nothing is written."""
    credentials = kiosk.storage.credentials
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(kiosk.spec.folder.parent))
    monkeypatch.setenv("EVERGREEN_STORAGE", kiosk.storage.uri())
    monkeypatch.setenv("AWS_ENDPOINT_URL", str(credentials.endpoint_url))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", str(credentials.access_key))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", str(credentials.secret_key))
    before = kiosk.storage.look("")
    yield evergreen.open("kiosk")
    assert kiosk.storage.look("") == before
