"""A program that imports everything once and then forks a process for each attempt to ingest.

Reads a job a line from standard input (JSON), and writes what happens to standard output, a JSON document a
line: the attempt's process writes `opened`, `step` and `end`, this one writes `ready`, and `exit` when the
attempt's process is dead. It lets the process's id go only when the next line comes in, so that whoever wants
to kill the process cannot hit another one.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pyarrow as pa
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

import evergreen.quick_reads
import evergreen.storage
from evergreen.connections import Connection
from evergreen.errors import EvergreenError
from evergreen.pipeline import Pipeline
from evergreen.rows.batches import Rows
from evergreen.spec import Spec, parse_spec
from evergreen.storage import Credentials, Storage
from evergreen.validation.group import Group
from evergreen.validation.judge import Judges
from evergreen.validation.suite import load_suite
from tests.faults.ingest import run_ingest
from tests.faults.meters import NAME, PIPELINES

SECONDS = 1.5  # an impatient client waits for an answer


class ImpatientStorage(Storage):
    """A storage that waits seconds, not minutes, for a silent server, and tries again soon."""

    def __init__(self, bucket: str, prefix: str, credentials: Credentials) -> None:
        super().__init__(bucket, prefix, credentials)
        evergreen.quick_reads._LIMITS |= {"connect_timeout": f"{SECONDS}s", "timeout": f"{SECONDS}s"}
        self._client = boto3.client(
            "s3",
            endpoint_url=credentials.endpoint_url,
            region_name=credentials.region,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            config=Config(
                connect_timeout=SECONDS,
                read_timeout=SECONDS,
                retries={"mode": "standard", "max_attempts": 3},
                s3={"addressing_style": "path"},
            ),
        )

    @property
    def delta_options(self) -> dict[str, str]:
        """As of every storage, with short time-outs and three attempts."""
        patience = {
            "timeout": f"{SECONDS}s",
            "connect_timeout": f"{SECONDS}s",
            "max_retries": "2",
            "retry_timeout": "10s",
            "backoff_config.init_backoff": "20ms",
            "backoff_config.max_backoff": "100ms",
        }
        return {**super().delta_options, **patience}


def main() -> None:
    """Serve jobs until standard input ends."""
    # Libraries print where they like; the documents have a channel of their own.
    channel = os.dup(1)
    os.dup2(2, 1)

    def say(**document: Any) -> None:
        os.write(channel, (json.dumps({**document, "at": time.monotonic()}) + "\n").encode())

    setup = json.loads(sys.stdin.readline())
    _hasten_retries()
    storage = (ImpatientStorage if setup["impatient"] else Storage)(
        setup["bucket"], "", Credentials(setup["endpoint"], access_key="test", secret_key="test")
    )
    storage._client  # noqa: B018 - made here, with no connection yet, once for all attempts
    _warm_up()
    say(event="ready")
    for line in sys.stdin:
        _attempt(storage, Connection(**setup["postgres"]), json.loads(line), say)


def _attempt(storage: Storage, postgres: Connection, job: dict[str, Any], say: Callable[..., None]) -> None:
    pid = os.fork()
    if not pid:
        try:
            _child(storage, postgres, job, say)
        finally:
            os._exit(1)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    say(event="exit")
    sys.stdin.readline()
    os.waitpid(pid, 0)


def _child(storage: Storage, postgres: Connection, job: dict[str, Any], say: Callable[..., None]) -> None:
    if job["multipart"]:
        evergreen.storage._TRANSFER = TransferConfig(multipart_threshold=1, max_concurrency=2)
    spec = parse_spec(PIPELINES / job["pipeline"] / "pipeline.yaml")
    if job["statement_seconds"]:
        spec = _with_timeout(spec, timedelta(seconds=job["statement_seconds"]))
    pipeline = Pipeline(spec, storage.child(job["prefix"]), lambda conn_id: postgres)
    say(event="opened", pid=os.getpid())
    error: dict[str, Any] | None = None
    try:
        run_ingest(
            pipeline,
            job["partitions"],
            job["run"],
            job["path"],
            job["done"],
            lambda step: say(event="step", step=step),
        )
    except EvergreenError as known:
        error = {"kind": type(known).__name__, "text": str(known), "known": True, "trace": ""}
    except BaseException as unknown:  # noqa: BLE001 - whatever it is, the test must hear of it
        trace = traceback.format_exc()[-3000:]
        error = {"kind": type(unknown).__name__, "text": str(unknown), "known": False, "trace": trace}
    say(event="end", error=error)


def _with_timeout(spec: Spec, timeout: timedelta) -> Spec:
    source = spec.sources["readings"]
    hasty = source.model_copy(update={"config": source.config.model_copy(update={"timeout": timeout})})
    return spec.model_copy(update={"sources": {**spec.sources, "readings": hasty}})


def _hasten_retries() -> None:
    from botocore.retries.standard import ExponentialBackoff

    ExponentialBackoff.delay_amount = lambda self, context: 0.02


def _warm_up() -> None:
    """Validate two rows: the first time takes seconds. Nothing may be read from the lake here.

    Its client has threads of its own, which a fork would lose.
    """
    spec = parse_spec(PIPELINES / NAME / "pipeline.yaml")
    at = [spec.calendar.start(spec.first_partition)] * 2
    rows = {"at": pa.array(at, pa.timestamp("us", "UTC")), "meter": [0, 1], "generation": [0, 0]}
    table = pa.table({**rows, "value": [1, 2], "place": ["a", "b"]})
    group = Group(spec, Judges(spec, load_suite(spec)))
    group.add(spec.first_partition, Rows.of(table))
    list(group.finish(lambda partition: []))
    gc.freeze()  # a process that is forked would copy all that its collector looks at


if __name__ == "__main__":
    main()
