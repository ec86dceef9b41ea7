"""`evergreen serve` in an environment that has the packages of requirements-serve.txt and no others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, distributions
from pathlib import Path

import httpx
import yaml

from tests.conftest import ROOT
from tests.integration.serving.conftest import Worlds
from tests.integration.serving.running import wait_for

# The library's packages that a server may need, and what these import in functions.
PACKAGES = (
    "serving",
    "look_back",
    "scoring",
    "registry",
    "features",
    "decisions",
    "intervals",
    "contributions",
)
LIBRARIES = ("adbc_driver_postgresql.dbapi", "great_expectations", "model_signing", "onnxruntime")
START = """
import importlib, sys
from importlib.util import find_spec
assert find_spec("airflow") is None and find_spec("optuna") is None
for name in sys.argv.pop().split(","):
    importlib.import_module(name)
from evergreen.cli import main
sys.exit(main())
"""
PIN = re.compile(r"^([a-z0-9-]+)==", re.MULTILINE)


def named(distribution: Distribution) -> str:
    return re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()


def installed(place: Path, parts: int) -> Path:
    """What lies directly in the folder of packages and holds `place`, so many parts below that folder."""
    return place if parts == 1 else place.parents[parts - 2]


def lean(folder: Path) -> Path:
    """The interpreter of an environment whose packages are links to those of this one."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    wanted = set(PIN.findall((ROOT / "requirements-serve.txt").read_text()))
    places: dict[str, Path] = {}
    others: set[str] = set()
    for each in distributions():
        if named(each) in wanted:
            files = [file for file in each.files or [] if ".." not in file.parts]
            places |= {str(file): Path(str(each.locate_file(file))) for file in files}
        else:  # its record alone is read: to look for each file on the disk would take seconds
            record = (each.read_text("RECORD") or "").splitlines()
            others |= {line.partition(",")[0].partition("/")[0] for line in record}
    for file, place in places.items():
        top = Path(file).parts[0]
        # A folder that only wanted packages are in is linked as a whole.
        to = packages / (file if top in others else top)
        to.parent.mkdir(parents=True, exist_ok=True)
        if not to.exists():
            to.symlink_to(place if top in others else installed(place, len(Path(file).parts)))
    return folder / "bin" / "python"


@contextmanager
def served(python: Path, variables: dict[str, str]) -> Iterator[str]:
    """The address of a server that was started as from a shell."""
    include = ROOT / "include"
    files = [file for name in PACKAGES for file in (include / "evergreen" / name).rglob("*.py")]
    modules = [".".join(file.relative_to(include).with_suffix("").parts) for file in files]
    command = [python, "-c", START, "serve", "iris", "--port", "0", ",".join([*LIBRARIES, *modules])]
    server = subprocess.Popen(
        command, env=variables, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert server.stderr is not None
    try:
        lines = iter(server.stderr)
        first = next(lines, "")
        found = re.match(r"iris: (http://127\.0\.0\.1:\d+)", first)
        assert found, first + server.stderr.read()
        threading.Thread(target=lambda: list(lines), daemon=True).start()
        yield found[1]
    finally:
        server.terminate()
        server.wait(60)


def test_a_champion_answers_with_the_packages_of_the_server_alone(worlds: Worlds, tmp_path: Path) -> None:
    world = worlds("iris")
    credentials = world.pipeline.storage.credentials
    python = lean(tmp_path / "lean")
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "include"),
        "EVERGREEN_STORAGE": world.pipeline.storage.uri(),
        "AWS_ENDPOINT_URL": credentials.endpoint_url or "",
        "AWS_ACCESS_KEY_ID": credentials.access_key or "",
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key or "",
        "AWS_REGION": credentials.region,
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    with served(python, variables) as address:
        wait_for(lambda: httpx.get(f"{address}/ready", timeout=60).status_code == 200)
        found = httpx.post(f"{address}/v1/pipelines/iris/predict", json={"rows": world.raw}, timeout=60)
        assert found.json()["predictions"] == world.night
        check_health(address)


def check_health(address: str) -> None:
    """The check of compose, in this interpreter and for this server."""
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
    _, _, option, program = compose["services"]["serving"]["healthcheck"]["test"]
    program = program.replace("http://127.0.0.1:8100", address)
    subprocess.run([sys.executable, option, program], check=True)
