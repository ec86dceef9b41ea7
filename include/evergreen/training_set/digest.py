"""What a version is made of, as digests: the data, the description and the code."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evergreen.boosters.catalogue import Booster, boosters_of
from evergreen.features.functions import features_digest
from evergreen.registry.trusted_types import allowed_estimators
from evergreen.spec import Spec

_PACKAGES = ("numpy", "onnxruntime", "optuna", "pandas", "scikit-learn", "scipy", "skops")
CODE = (
    "boosters",
    "calendar",
    "candidates",
    "contributions",
    "days",
    "decisions",
    "intervals",
    "evaluation",
    "features",
    "metrics",
    "spec",
    "task",
    "training_set",
)
"""The parts of Evergreen that bear on a model and its verdict: packages, and modules by their names."""


def digests(spec: Spec, data: str) -> dict[str, str]:
    """SHA-256 (hexadecimal) of `data`, which is given, `spec` and `code`."""
    return {"data": data, "spec": spec_digest(spec), "code": code_digest(spec)}


def version_id(as_of: str, parts: dict[str, str]) -> str:
    """`<as_of>-<12 hexadecimal digits>`: the same as-of, data, description and code give the same id."""
    return f"{as_of}-{_sha256(json.dumps(parts, sort_keys=True).encode())[:12]}"


def drawn_digest(rows: pd.DataFrame, features: pd.DataFrame) -> str:
    """Digest of the rows of a sample, and of what their features say of all the other rows."""
    return _sha256(f"{data_digest(rows)} {data_digest(features)}".encode())


def data_digest(rows: pd.DataFrame) -> str:
    """Digest of the rows' content: names, types and values of the columns (by name), in the rows' order.

    Rows must be in canonical order.
    """
    columns = sorted(rows.columns)
    digest = hashlib.sha256(json.dumps([[name, str(rows[name].dtype)] for name in columns]).encode())
    hashes = pd.util.hash_pandas_object(rows[columns], index=False)
    digest.update(hashes.to_numpy().astype(np.dtype("<u8")).tobytes())
    return digest.hexdigest()


def spec_digest(spec: Spec) -> str:
    """Digest of what in the description bears on a model and its verdict.

    Owner, schedules, sources, monitoring and scoring do not: what the sources gave is in the data. Of
    `labels` only the delay does.
    """
    content = _training_part(spec) | spec.model_dump(mode="json", include={"gate"})
    return _sha256(json.dumps(content, sort_keys=True).encode())


def training_digest(spec: Spec) -> str:
    """Digest of what in the description bears on a model alone: all that `spec_digest` holds but the gate."""
    return _sha256(json.dumps(_training_part(spec), sort_keys=True).encode())


def code_digest(spec: Spec, parts: tuple[str, ...] = CODE) -> str:
    """Digest of code: features, own estimators, packages, and `parts` of Evergreen's own.

    By default all that bears on a model and its verdict.
    """
    digests = {
        "features": features_digest(spec),
        "estimators": _estimators(spec),
        "evergreen": own_code(*parts),
        "packages": {name: _version(name) for name in _PACKAGES}
        | {booster.module: booster.version for booster in boosters_of(spec.training)},
    }
    return _sha256(json.dumps(digests, sort_keys=True).encode())


@lru_cache
def own_code(*parts: str) -> str:
    """Digest of these parts of Evergreen's own code: packages, and modules by their names."""
    root = Path(__file__).resolve().parent.parent
    files = sorted(file for part in parts for file in _files(root / part))
    return _sha256(b"".join(file.relative_to(root).as_posix().encode() + file.read_bytes() for file in files))


def packages(boosters: Iterable[Booster] = ()) -> dict[str, str]:
    """Versions of Python and of the packages that a model depends on, with these boosting libraries."""
    found = {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES}
    return found | {booster.module: booster.version for booster in boosters}


def git_commit(folder: Path) -> str | None:
    """The commit checked out in the repository that holds the folder; None if it cannot be told."""
    root = next((path for path in (folder, *folder.parents) if (path / ".git").is_dir()), None)
    if root is None:
        return None
    git = root / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        reference = head.removeprefix("ref: ")
        if (git / reference).is_file():
            return (git / reference).read_text(encoding="utf-8").strip()
        packed = (git / "packed-refs").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.split()[0] for line in packed if line.endswith(f" {reference}")), None)


def _training_part(spec: Spec) -> dict[str, Any]:
    content = spec.model_dump(
        mode="json",
        include={
            "partition": True,
            "timezone": True,
            "week_starts": True,
            "features": True,
            "task": True,
            "target": True,
            **({"positive": True} if spec.positive is not None else {}),
            "training": True,
            # A linear model keeps the means of its training where it is to be explained.
            **({"explain": True} if spec.explain is not None else {}),
            # Whether they adapt is no part of the model.
            **({"intervals": {"levels"}} if spec.intervals else {}),
            **({"sets": True} if spec.sets else {}),
            **({"labels": {"delay"}} if spec.labels else {}),
        },
        exclude={"training": {"schedule", *([] if spec.training.sample else ["sample"])}},
    )
    hidden = {"other_targets": spec.other_targets} if spec.other_targets else {}
    return content | {"keys": spec.keys, "time_column": spec.time_column} | hidden


def _estimators(spec: Spec) -> dict[str, str]:
    """Digests of the modules of a team's own estimators that the candidates name anywhere."""
    named = json.dumps(spec.training.model_dump(mode="json", include={"candidates"}))
    allowed = allowed_estimators(spec.folder.parent)
    modules = {name.rpartition(".")[0] for name in allowed if f'"{name}"' in named}
    return {module: _sha256(_source(module)) for module in sorted(modules)}


def _source(module: str) -> bytes:
    try:
        found = find_spec(module)
    except ImportError:
        found = None
    # A module that does not exist is reported by the check of the candidates.
    return Path(found.origin).read_bytes() if found and found.has_location and found.origin else b""


def _files(part: Path) -> list[Path]:
    return list(part.rglob("*.py")) if part.is_dir() else [part.with_suffix(".py")]


@lru_cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
