"""A conversion in the environment of the converters, by a process that gets files and nothing else."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evergreen.errors import EvergreenError, RefusedError, one_line
from evergreen.export.exportable import Files

PYTHON = "EVERGREEN_EXPORT_PYTHON"
"""The variable that names the interpreter of the converters, by default that of `.venv-export`."""

_INCLUDE = Path(__file__).resolve().parents[2]
_KEPT = {"PATH", "HOME", "TMPDIR", "LANG", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}


def converters() -> Path:
    """The interpreter that the converters run by; raises `EvergreenError` if it is missing."""
    default = _INCLUDE.parent / ".venv-export" / "bin" / "python"
    named = os.environ.get(PYTHON)
    python = Path(named) if named else default
    if not python.is_file():
        raise EvergreenError(
            f"{python} is missing, which has the converters: run make .venv-export, or name one in {PYTHON}"
        )
    return python


def convert(folder: Path, request: Mapping[str, Any], files: Files, features: pd.DataFrame) -> None:
    """Write into `folder` what the request asks for: `made/`, and for some formats `answers.json`.

    `files` are those of the model, and `features` (n, d) of the golden rows. Raises `RefusedError` with the
    converter's last line if it cannot, `EvergreenError` if there is no environment for it.
    """
    python = converters()
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    features.reset_index(drop=True).to_parquet(folder / "features.parquet")
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else _arrays(content))
    # Nothing of this process's variables that may be a secret, and no site of the user.
    environment = {name: value for name, value in os.environ.items() if name in _KEPT}
    ran = subprocess.run(  # noqa: S603 - our own interpreter, or the one that the user names
        [python, "-s", "-W", "ignore", "-m", "evergreen.export.converter", folder],
        env={**environment, "PYTHONPATH": str(_INCLUDE), "MLFLOW_TRACKING_URI": str(folder / "mlruns")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        said = [line for line in ran.stderr.splitlines() if line.strip()]
        raise RefusedError(
            f"the converter does not take it: {one_line(said[-1] if said else 'it said nothing')}"
        )


def _arrays(arrays: Mapping[str, Any]) -> bytes:
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return sink.getvalue()
