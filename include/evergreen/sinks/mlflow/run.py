"""What MLflow is told of one version: metrics, params, tags and artifacts of its run. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from evergreen.registry.ids import as_of_version
from evergreen.registry.versions import CARD, GATE, LINEAGE, METRICS

PIPELINE, VERSION, STATE = "evergreen.pipeline", "evergreen.version", "evergreen.state"
"""The tags that name the pipeline and its version, and say what the version is now."""

SHOWN = (CARD, GATE, LINEAGE, METRICS)
"""The files of a version that a run shows as artifacts."""

_PARAM, _TAG = 6000, 8000  # characters that MLflow takes as a value
_FOREIGN = re.compile(r"[^/\w.\- :]")


@dataclass(frozen=True)
class Run:
    """A run as MLflow takes it: all values within its limits, artifacts by their names."""

    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    artifacts: Mapping[str, bytes]


def run_of(pipeline: str, version: str, files: Mapping[str, bytes]) -> Run:
    """The run of a version with these files, those of `SHOWN` that it has.

    Metrics are those of the hold-out: the version's own by their names, and those of the baseline and of the
    champion that it was compared with as `baseline/...` and `champion/...`. Params are the candidate that was
    chosen and the window it was trained on. Raises `ValueError` for a file that is no JSON object.
    """
    metrics, gate, lineage = (_document(files, name) for name in (METRICS, GATE, LINEAGE))
    evaluation = metrics.get("evaluation") or {}
    champion = evaluation.get("champion") or {}
    by_model = {
        "": metrics,
        "baseline/": evaluation.get("baseline") or {},
        "champion/": champion.get("metrics") or {},
    }
    chosen = {"candidate": lineage.get("candidate"), "window": lineage.get("window")}
    tags = {
        PIPELINE: pipeline,
        VERSION: version,
        "evergreen.as_of": as_of_version(version),
        "evergreen.gate": gate.get("outcome"),
        "evergreen.reason": (lineage.get("reason") or {}).get("sentence"),
        "evergreen.compared_with": champion.get("version"),
        "mlflow.note.content": gate.get("sentence"),
        "mlflow.source.name": "evergreen",
        "mlflow.source.git.commit": lineage.get("git_commit"),
    }
    return Run(
        name=version,
        tags={name: _short(value, _TAG) for name, value in tags.items() if value is not None},
        params={name: _short(value, _PARAM) for name, value in _leaves(chosen)},
        metrics={
            _named(f"{prefix}{name}"): float(value)
            for prefix, measured in by_model.items()
            for name, value in measured.items()
            if isinstance(value, Real) and not isinstance(value, bool)
        },
        artifacts={name: files[name] for name in SHOWN if files.get(name)},
    )


def _document(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    return dict(json.loads(files[name])) if name in files else {}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values that are no mappings, by the names that lead to them, joined by dots."""
    if not isinstance(value, Mapping):
        if value is not None:
            yield _named(path), value
        return
    for name, item in value.items():
        yield from _leaves(item, f"{path}.{name}" if path else str(name))


def _named(name: str) -> str:
    return _FOREIGN.sub("_", name)[:250]


def _short(value: Any, most: int) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
