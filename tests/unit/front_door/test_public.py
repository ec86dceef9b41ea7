"""What is public, what importing and opening cost, and where a pipeline is looked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import evergreen
from evergreen.pipeline import Pipeline
from tests.unit.test_layering import HEAVY

PUBLIC = {
    "Card",
    "EvergreenError",
    "IntegrityError",
    "Model",
    "NotFoundError",
    "NothingToDoError",
    "PartitionError",
    "Pipeline",
    "RefusedError",
    "SourceError",
    "SpecError",
    "StorageError",
    "TrainingSet",
    "UnavailableError",
    "open",
    "pipelines",
}
OF_A_PIPELINE = {
    "champion",
    "decisions",
    "name",
    "partitions",
    "predictions",
    "quarantine",
    "rows",
    "training_set",
    "version",
    "versions",
}
OF_A_MODEL = {
    "as_of",
    "card",
    "coverage",
    "estimator",
    "importance",
    "lineage",
    "metrics",
    "predict",
    "version",
}
OF_A_TRAINING_SET = {
    "as_of",
    "features",
    "holdout",
    "lineage",
    "newest",
    "recent",
    "rows",
    "target",
    "version",
    "weights",
}


def public(thing: Any) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def imported_by(program: str, **variables: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
        env={**os.environ, **variables},
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


def test_the_list_of_what_is_public() -> None:
    assert set(evergreen.__all__) == PUBLIC
    assert len(evergreen.__all__) == len(PUBLIC)
    assert set(dir(evergreen)) == PUBLIC | {"__version__"}
    with pytest.raises(AttributeError, match="no attribute 'utils'"):
        _ = evergreen.utils  # type: ignore[attr-defined]


def test_what_the_public_classes_have(pipeline: evergreen.Pipeline) -> None:
    assert public(pipeline) == OF_A_PIPELINE
    assert public(pipeline.champion()) == OF_A_MODEL
    assert public(pipeline.champion().card) == {"html", "version"}
    assert public(pipeline.training_set()) == OF_A_TRAINING_SET


def test_all_that_is_public_is_described() -> None:
    classes = (evergreen.Pipeline, evergreen.Model)
    things = [getattr(evergreen, name) for name in PUBLIC]
    things += [getattr(one, name) for one in classes for name in public(one)]
    assert [thing for thing in things if not thing.__doc__] == []
    errors = [thing for thing in things if isinstance(thing, type) and issubclass(thing, Exception)]
    assert len(errors) == 10
    assert all(issubclass(error, evergreen.EvergreenError) for error in errors)


def test_type_checkers_are_told_that_there_are_types() -> None:
    assert (Path(evergreen.__file__).parent / "py.typed").is_file()


def test_importing_the_package_imports_next_to_nothing() -> None:
    found = imported_by("import evergreen; evergreen.EvergreenError")
    assert {name for name in found if name.startswith("evergreen")} == {"evergreen", "evergreen.errors"}
    assert not {name.partition(".")[0] for name in found} & (HEAVY | {"pydantic", "yaml"})


def test_opening_a_pipeline_imports_nothing_heavy(kiosk: Pipeline) -> None:
    found = imported_by(
        "import evergreen; evergreen.pipelines(); evergreen.open('kiosk')",
        EVERGREEN_PIPELINES=str(kiosk.spec.folder.parent),
        EVERGREEN_STORAGE="s3://nowhere",
    )
    assert not {name.partition(".")[0] for name in found} & (HEAVY | {"airflow"})


def test_a_running_stack_is_found_and_no_variable_is_set(kiosk: Pipeline) -> None:
    credentials = kiosk.storage.credentials
    (Path(os.environ["EVERGREEN_HOME"]) / "env").write_text(
        f"EVERGREEN_STORAGE={kiosk.storage.uri()}\n"
        f"EVERGREEN_PIPELINES={kiosk.spec.folder.parent}\n"
        f"AWS_ENDPOINT_URL={credentials.endpoint_url}\n"
        f"AWS_ACCESS_KEY_ID={credentials.access_key}\n"
        f"AWS_SECRET_ACCESS_KEY={credentials.secret_key}\n"
    )
    before = dict(os.environ)
    assert evergreen.pipelines() == ["kiosk"]
    pipeline = evergreen.open("kiosk")
    assert pipeline.partitions() == kiosk.lake.partitions()
    assert len(pipeline.champion().predict("2024-01-20")) == 4
    assert dict(os.environ) == before
    assert repr(pipeline) == (
        "<evergreen.Pipeline kiosk: regression of sold, daily, at s3://front-door/kiosk>"
    )


@pytest.mark.parametrize(
    ("name", "variables", "error", "message"),
    [
        (
            "kiosk",
            {},
            evergreen.StorageError,
            r"EVERGREEN_STORAGE is not set: start .* \(make up\), or set it",
        ),
        ("kiosk", {"EVERGREEN_STORAGE": "/tmp"}, evergreen.StorageError, "is '/tmp': set it to s3://bucket"),
        (
            "stall",
            {"EVERGREEN_STORAGE": "s3://b"},
            evergreen.NotFoundError,
            r"no pipeline 'stall' .*: kiosk\)",
        ),
        ("kiosk", {"EVERGREEN_PIPELINES": "/no"}, evergreen.SpecError, "/no: no such folder of pipelines"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_line(
    kiosk: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    variables: dict[str, str],
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(kiosk.spec.folder.parent))
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(error, match=message) as caught:
        evergreen.open(name)
    assert "\n" not in str(caught.value)


def test_a_store_out_of_reach_is_told_when_it_is_asked(
    pipeline: evergreen.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    gone = evergreen.open("kiosk")
    for ask in (gone.champion, gone.versions, gone.partitions):
        with pytest.raises(evergreen.UnavailableError, match="check"):
            ask()
