"""Fetch the official Airflow chart in the release that deploy/kubernetes is made for, unless it is there.

python fetch.py FOLDER prints the path of the archive; run by the Python of .venv-helm.
"""

from __future__ import annotations

import sys
from pathlib import Path

import helm_python

REPOSITORY = "https://airflow.apache.org"
RELEASE = "1.22.0"


def main() -> int:
    folder = Path(sys.argv[1])
    archive = folder / f"airflow-{RELEASE}.tgz"
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            helm_python.pull("airflow", repo_url=REPOSITORY, version=RELEASE, destination=folder)
        except helm_python.HelmError as error:
            reason = str(error).splitlines()[0]
            print(
                f"no chart: airflow {RELEASE} could not be fetched from {REPOSITORY} ({reason}): "
                f"make test-kubernetes CHART=path/to/airflow-{RELEASE}.tgz",
                file=sys.stderr,
            )
            return 1
    print(archive)
    return 0


if __name__ == "__main__":
    sys.exit(main())
