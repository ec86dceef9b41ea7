"""Two servers write to one log through a storage that breaks: every row is read once in the end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import boto3
import pyarrow as pa
import pytest
from botocore.config import Config

from evergreen.request_log.store import Kind, RequestLog
from evergreen.serving.log_writer import WRITTEN, Bounds, LogWriter
from evergreen.storage import Credentials, Storage
from tests.campaign import rounds, seed
from tests.faults.s3_proxy import Fault, Plan, S3Proxy

ROWS = 60
SUDDEN = {fault: 1 for fault in Fault if "silence" not in fault and fault is not Fault.TRICKLE}
"""The faults for which no client waits."""


@pytest.fixture
def proxy(s3_server: str) -> Iterator[S3Proxy]:
    with S3Proxy(s3_server) as running:
        yield running


def hasty(proxy: S3Proxy, bucket: str) -> Storage:
    """A storage that tries nothing twice: each fault reaches the writer."""
    storage = Storage(bucket, "", Credentials(proxy.address, access_key="test", secret_key="test"))
    vars(storage)["_quick"] = None
    vars(storage)["_client"] = boto3.client(
        "s3",
        endpoint_url=proxy.address,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    return storage


@pytest.mark.parametrize("number", range(rounds(1, 20)))
def test_every_row_is_written_once_whatever_breaks(
    storage: Storage, proxy: S3Proxy, tell: Callable[[str], None], number: int
) -> None:
    proxy.plan = Plan(seed(number), share=0.5, weights=SUDDEN)
    called = threading.Semaphore(0)
    proxy.watch = lambda _: called.release()
    log, became = RequestLog(hasty(proxy, storage.bucket), "p"), Counter[str]()
    writers = [
        LogWriter(lambda _, outcome, rows: became.update({outcome: rows}), Bounds(seconds=0.001, rows=5))
        for _ in range(2)
    ]
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    for at in range(ROWS):
        for writer in writers:
            writer.offer(log, Kind.PREDICTIONS, 1, lambda at=at: {"d": pa.table({"key": [at]})})
        if at % 5 == 4:  # so that there are many writes
            assert called.acquire(timeout=60)
    proxy.plan = None
    for writer, thread in zip(writers, threads, strict=True):
        writer.stop()
        thread.join(60)
    found = RequestLog(storage, "p").read(Kind.PREDICTIONS, "d")
    assert sorted(found.column("key").to_pylist()) == list(range(ROWS))
    assert became == {WRITTEN: 2 * ROWS}
    broken = proxy.counts()
    assert broken.total() > 0
    tell(f"writes of a log that broke: {broken.total()} of {len(proxy.calls)} ({dict(broken)})")
