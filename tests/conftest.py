"""What all tests share: an S3 server, a fresh bucket for each test, and how they are spread.

Nothing reads the clock.
"""

from __future__ import annotations

import gc
import os
import subprocess
import tempfile
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from deploy.embedded import s3
from evergreen.storage import Credentials, Storage
from tests.campaign import INJECTED, rounds
from tests.servers import unused_port, wait_until_ready

# No example is too slow: how long one takes says more about the machine than about the code. In CI the
# examples are always the same, so that a red run can be repeated.
settings.register_profile(
    "evergreen",
    deadline=None,
    max_examples=rounds(25, 500),
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("evergreen")

# Modules and items stay until the end: to look for garbage among them takes a seventh of the collection.
gc.disable()

_STORE_VARIABLES = ("EVERGREEN_", "AWS_", "AIRFLOW_CONN_", "AIRFLOW_CTX_")

TESTS = Path(__file__).parent
ROOT = TESTS.parent
# Where the tests that take longest are: they are begun first, so that all workers end at about the same time.
LONGEST = ("e2e", "integration", "dags", "unit/backtest", "unit/evaluation")
# What shares something that takes long to make: a stack, trained models, Airflow's imports and its database.
TOGETHER = ("tests/e2e/", "tests/integration/serving/", "tests/dags/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders of `LONGEST`."""

    def rank(item: pytest.Item) -> int:
        path = item.path.relative_to(TESTS).as_posix()
        return next((at for at, folder in enumerate(LONGEST) if path.startswith(folder)), len(LONGEST))

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """Look for garbage from now on, among what tests make."""
    gc.freeze()
    gc.enable()


class _ByFile(LoadScopeScheduling):
    """Gives a worker whole files, in their order; those of a folder of `TOGETHER` are one."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self.config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        together = (folder for folder in TOGETHER if nodeid.startswith(folder))
        return next(together, nodeid.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """How tests are spread over the workers of `pytest -n`."""
    return _ByFile(config, log)


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Says what a test injected or found: `pytest -s` shows it, and so does the end of every run."""

    def say(text: str) -> None:
        print(text)
        record_property(INJECTED, text)

    return say


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was injected, by test."""
    lines = [
        (report.nodeid.rpartition("::")[2], text)
        for report in terminalreporter.getreports("passed")
        if report.when == "call"
        for name, text in report.user_properties
        if name == INJECTED
    ]
    if lines:
        terminalreporter.section("what was injected")
    for test, text in lines:
        terminalreporter.line(f"{test}: {text}")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real S3 server (ministack) on this machine, with its objects in memory."""
    python = ROOT / ".venv-s3" / "bin" / "python"
    if not python.exists():
        pytest.fail(f"{python} is missing: run make .venv-s3")
    folder, port = tmp_path_factory.mktemp("s3"), unused_port()
    environment = {
        "PATH": os.environ["PATH"],
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
    }
    with (folder / "log").open("wb") as log:
        command = [python, "-m", *s3.server(port)]
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{port}"
        health = f"{address}/_ministack/health"
        wait_until_ready(lambda: urllib.request.urlopen(health, timeout=30).close(), server, folder / "log")
        yield address
    finally:
        server.terminate()
        server.wait(120)


@pytest.fixture(scope="session")
def new_storage(s3_server: str) -> Callable[[], Storage]:
    """Makes storages with a bucket of their own."""

    def make() -> Storage:
        credentials = Credentials(endpoint_url=s3_server, access_key="test", secret_key="test")
        storage = Storage(f"test-{uuid.uuid4().hex[:12]}", "", credentials)
        storage._client.create_bucket(Bucket=storage.bucket)
        return storage

    return make


@pytest.fixture
def storage(new_storage: Callable[[], Storage]) -> Storage:
    """A storage with a bucket of its own."""
    return new_storage()


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 at which nobody listens just now."""
    return unused_port()


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No variable of a store, stack or task that happens to run here reaches the test."""
    for name in list(os.environ):
        if name.startswith(_STORE_VARIABLES):
            monkeypatch.delenv(name)
    # A numbered folder of pytest's would take a look at those of all tests before.
    homes = tmp_path_factory.getbasetemp() / "homes"
    homes.mkdir(exist_ok=True)
    monkeypatch.setenv("EVERGREEN_HOME", tempfile.mkdtemp(dir=homes))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def configured(storage: Storage, clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The test's storage, set in the variables that the library and its command read."""
    credentials = storage.credentials
    monkeypatch.setenv("EVERGREEN_STORAGE", storage.uri())
    monkeypatch.setenv("AWS_ENDPOINT_URL", credentials.endpoint_url or "")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.access_key or "")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.secret_key or "")
    return storage
