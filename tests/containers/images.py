"""The images that compose names: from a registry, else stand-ins under the same names, made from Debian.

The output says which was used. SeaweedFS is in no package of Debian: its stand-in is the S3 server of the
embedded stack.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.conftest import ROOT
from tests.containers.engine import INSTALL, MissingError, run, say

STANDINS = Path(__file__).parent / "standins"
LABEL = "evergreen.stand-in"
BASE = "evergreen-debian:bookworm"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
MIRROR = "http://deb.debian.org/debian"

DESCRIBED = {
    "python": "Debian's Python 3.11",
    "apache/airflow": "Debian's Python 3.11 with the user and the entrypoint of Airflow's image",
    "postgres": "Debian's PostgreSQL 15",
    "redis": "Debian's Redis 7.0",
    "haproxy": "Debian's HAProxy 2.6",
    "chrislusf/seaweedfs": "the embedded S3 server, because Debian has no SeaweedFS",
}


def provide(image: str) -> bool:
    """Have the image; returns whether it is a stand-in. Raises `MissingError` if it cannot be had."""
    found = subprocess.run(["docker", "image", "inspect", image], capture_output=True, text=True, check=False)
    if found.returncode == 0:
        standin = LABEL in (json.loads(found.stdout)[0]["Config"]["Labels"] or {})
    else:
        standin = not _pulled(image)
        if standin:
            _make(image)
    name = image.partition(":")[0]
    say(f"{image}: {f'a stand-in, {DESCRIBED[name]}' if standin else 'the real image'}")
    return standin


def build(tag: str, context: Path, *arguments: str) -> None:
    """Build an image; by the builder of old, on this machine's network, where there is no buildx."""
    buildx = subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0
    network = [] if buildx else ["--network=host"]
    run(
        ["docker", "build", *network, f"--tag={tag}", *arguments, str(context)],
        timeout=1500,
        env={**os.environ, "DOCKER_BUILDKIT": str(int(buildx))},
    )


def _pulled(image: str) -> bool:
    try:
        pull = subprocess.run(
            ["docker", "pull", "--quiet", image], capture_output=True, check=False, timeout=300
        )
    except subprocess.TimeoutExpired:
        return False
    return pull.returncode == 0


def _make(image: str) -> None:
    name = image.partition(":")[0]
    if subprocess.run(["docker", "image", "inspect", BASE], capture_output=True, check=False).returncode:
        _debian()
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder) / "context"
        shutil.copytree(STANDINS, context)
        shutil.copy(ROOT / "requirements-s3.txt", context)
        file = context / f"{name.rpartition('/')[2]}.Dockerfile"
        build(image, context, f"--file={file}", f"--label={LABEL}={DESCRIBED[name]}")


def _debian() -> None:
    """The image of a small Debian with Python, which trusts the authorities that this machine trusts."""
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        raise MissingError(f"no registry answers, and stand-ins need root and debootstrap: {INSTALL}")
    say("no registry answers: stand-ins are made by debootstrap")
    with tempfile.TemporaryDirectory() as folder:
        packages = "ca-certificates,curl,python3,python3-pip,python3-venv"
        options = ["--variant=minbase", f"--include={packages}"]
        run(["debootstrap", *options, "bookworm", folder, MIRROR], timeout=1200)
        shutil.copy(AUTHORITIES, Path(folder) / AUTHORITIES.relative_to("/"))
        for managed in Path(folder).glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
            managed.unlink()
        (Path(folder) / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        shutil.rmtree(Path(folder) / "var/cache/apt/archives", ignore_errors=True)
        archive = subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE)
        change = [f"--change=ENV {name}={AUTHORITIES}" for name in ("SSL_CERT_FILE", "PIP_CERT")]
        run(["docker", "import", *change, "-", BASE], stdin=archive.stdout)
        archive.wait()
