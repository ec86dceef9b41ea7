"""The golden sample: raw rows stored with a version, and the predictions that its model must give for them.

It holds features, packages and model to one another: if any of them changes so that predictions do, the
version is not promoted, and not scored with. Run as a program (`python -m evergreen.scoring.golden PIPELINE
VERSION`) it makes the check in a process that knows nothing but what is stored.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evergreen import errors
from evergreen.errors import EvergreenError, IntegrityError
from evergreen.features.build import rows_to_score
from evergreen.lake import PARTITION
from evergreen.registry.signature import Keys
from evergreen.rows.frame import to_frame
from evergreen.scoring.predict import PREDICTION, predict
from evergreen.spec import Spec
from evergreen.training.digest import packages

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.registry.registry import Registry

GOLDEN = "golden.parquet"

_PROGRAM = "evergreen.scoring.golden"
_INCLUDE = Path(__file__).resolve().parents[2]
_LINEAGE = "lineage.json"
_ROWS = 50
_CONTEXT = 2_000


def golden_sample(spec: Spec, model: Any, rows: pd.DataFrame) -> bytes:
    """Raw rows of the newest partition with its look-back, as parquet, and the predictions they must give.

    `prediction` is null but for at most 50 rows at the end. At most 2,000 rows of look-back are kept: the
    predictions are those that the kept rows give, so the sample is whole in itself.
    """
    newest = str(rows[PARTITION].iloc[-1])
    seen = rows_to_score(spec, rows, newest)
    now = seen[seen[PARTITION] == newest].tail(_ROWS)
    before = seen[seen[PARTITION] != newest].tail(_CONTEXT)
    sample = rows.loc[[*before.index, *now.index]].reset_index(drop=True)
    column = pa.array([None] * len(before) + _predicted(spec, model, sample))
    table = pa.Table.from_pandas(sample, preserve_index=False).append_column(PREDICTION, column)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def check_golden(spec: Spec, registry: Registry, version: str, model: Any) -> None:
    """Raise `IntegrityError`, saying what differs, unless the model gives its version's golden predictions.

    Labels must be equal, numbers agree to nine digits: another processor may round the last ones otherwise.
    """
    if GOLDEN not in registry.files(version):
        raise IntegrityError(
            f"{spec.name}: version {version} has no golden sample to hold it to: it is not used: train a new "
            f"one: evergreen train {spec.name}"
        )
    table = pq.read_table(pa.BufferReader(registry.read(version, GOLDEN)))
    promised = [value for value in table.column(PREDICTION).to_pylist() if value is not None]
    try:
        found = _predicted(spec, model, to_frame(table.drop_columns([PREDICTION])))
    except Exception as error:
        # Features raise what a user wrote, and an estimator of another release whatever it trips over.
        what = str(error) if isinstance(error, EvergreenError) else f"{type(error).__name__}: {error}"
        raise _broken(spec, registry, version, f"they cannot be predicted ({_line(what)})") from error
    if difference := _difference(found, promised):
        raise _broken(spec, registry, version, difference)


def check_afresh(pipeline: Pipeline, version: str) -> None:
    """Load a stored version in a process of its own, and raise unless it gives its golden predictions there.

    Raises what `load_champion` does there, and `IntegrityError` also if that process ends without an answer.
    """
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-P", "-m", _PROGRAM, pipeline.name, version],
        env=_environment(pipeline),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    answer = _answer(done.stdout)
    if answer == {"kept": version}:
        return
    if "error" in answer:
        kind = getattr(errors, str(answer["error"]), IntegrityError)
        raise kind(answer["message"])
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    raise IntegrityError(
        f"{pipeline.name}: version {version} could not be checked in a process of its own, which ended with "
        f"code {done.returncode} ({_line(last)}): it is not promoted: mend that, and run the stage again"
    )


def main(arguments: Sequence[str]) -> int:
    """Check the pipeline's version that the arguments name, and answer with a line of JSON."""
    from evergreen.pipeline import Pipeline
    from evergreen.scoring.champion import load_champion

    name, version = arguments
    try:
        load_champion(Pipeline.open(name), version)
        answer = {"kept": version}
    except EvergreenError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
    return int("error" in answer)


def _environment(pipeline: Pipeline) -> dict[str, str]:
    """This process's variables, with those that lead to the same pipeline on the same storage.

    Within Airflow keys may come from its connections, which no other process can look up: they are handed on
    here, and only what is needed to read and verify.
    """
    credentials = pipeline.storage.credentials
    variables = {
        "EVERGREEN_PIPELINES": str(pipeline.spec.folder.absolute().parent),
        "EVERGREEN_STORAGE": pipeline.storage.uri(),
        "AWS_REGION": credentials.region,
        "AWS_ENDPOINT_URL": credentials.endpoint_url,
        "AWS_ENDPOINT_URL_S3": credentials.endpoint_url,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_INCLUDE), os.environ.get("PYTHONPATH")])),
    }
    if credentials.access_key:
        variables |= {
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_SESSION_TOKEN": credentials.session_token,
        }
    if (conn_id := pipeline.spec.models.signing) is not None:
        connection = pipeline.connect(conn_id)
        public = b"".join(Keys.of(connection).public).decode()
        variables[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(
            {"conn_type": connection.conn_type, "extra": {"public_key": public}}
        )
    inherited = {name: value for name, value in os.environ.items() if name not in variables}
    return inherited | {name: value for name, value in variables.items() if value}


def _answer(output: str) -> dict[str, Any]:
    try:
        answer = json.loads(output.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _predicted(spec: Spec, model: Any, sample: pd.DataFrame) -> list[Any]:
    return list(predict(spec, model, sample, str(sample[PARTITION].iloc[-1]))[PREDICTION].tolist())


def _difference(found: list[Any], promised: list[Any]) -> str | None:
    """What differs, in words; None if nothing does."""
    if len(found) != len(promised):
        return f"{len(found)} predictions in place of {len(promised)}"
    numbers = all(isinstance(value, float) for value in [*found, *promised])
    same = [left == right for left, right in zip(found, promised, strict=True)]
    equal = np.isclose(found, promised, rtol=1e-9, atol=1e-9) if numbers else np.array(same, dtype=bool)
    if equal.all():
        return None
    first = int(np.argmin(equal))
    return (
        f"{int((~equal).sum())} of {len(equal)} are predicted otherwise, the first {_plain(found[first])} in "
        f"place of {_plain(promised[first])}"
    )


def _broken(spec: Spec, registry: Registry, version: str, difference: str) -> IntegrityError:
    return IntegrityError(
        f"{spec.name}: version {version} does not predict its golden rows as when it was trained: "
        f"{difference}{_changed_packages(registry, version)}: train a new one: evergreen train {spec.name}, "
        "or go back to the features and packages it was trained with"
    )


def _changed_packages(registry: Registry, version: str) -> str:
    if _LINEAGE not in registry.files(version):
        return ""
    then = json.loads(registry.read(version, _LINEAGE)).get("packages", {})
    now = packages()
    changed = [f"{name} {then[name]} is now {now[name]}" for name in then if then[name] != now.get(name)]
    return f" ({', '.join(changed)})" if changed else ""


def _plain(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else repr(value)


def _line(text: str) -> str:
    return " ".join(text.split())[:300]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
