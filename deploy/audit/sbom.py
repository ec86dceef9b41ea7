"""The bills of materials of the images, as CycloneDX, by cyclonedx-py: `make sbom`.

python -m deploy.audit.sbom [FOLDER] writes a file for each image: its pinned packages, with their hashes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGES = {"evergreen": "requirements.txt", "evergreen-serving": "requirements-serve.txt"}
"""By image the requirements that it installs."""


def write(folder: Path, known: dict[tuple[str, str], str] | None = None) -> dict[Path, int]:
    """Write a bill for each image, the same for the same pins; by file how many packages it names.

    known: licences by name and version, where they are known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for image, requirements in IMAGES.items():
        file = folder / f"{image}.cdx.json"
        command = [
            sys.executable,
            "-m",
            "cyclonedx_py",
            "requirements",
            ROOT / requirements,
            "--output-reproducible",
        ]
        command += ["--pyproject", ROOT / "pyproject.toml", "--output-format", "JSON", "--output-file", file]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        bill = json.loads(file.read_text(encoding="utf-8"))
        for component in bill["components"]:
            # Its line of the requirements as text: name, version and hashes have places of their own.
            component.pop("description", None)
            if licence := (known or {}).get((component["name"], component.get("version", ""))):
                component["licenses"] = [{"license": {"name": licence}}]
        file.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        written[file] = len(bill["components"])
    return written


def main() -> None:
    """Write them without licences, which only `make audit` asks the package index for."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".evergreen" / "sbom"
    for file, packages in write(folder).items():
        print(f"{file}: {packages} packages")


if __name__ == "__main__":
    main()
