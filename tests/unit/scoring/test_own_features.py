"""A version predicts from its own features after a change; code that nobody vouches for is never executed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from evergreen.connections import Connection
from evergreen.errors import EvergreenError, IntegrityError
from evergreen.features.functions import load_functions
from evergreen.features.keep import code_of, keep
from evergreen.features.own import own_features
from evergreen.features.stored import feature_files, sha256
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.manifest import FileDigest, Manifest
from evergreen.registry.model_file import dump_model
from evergreen.scoring.checked_model import load_checked_model
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.predict import partition_features
from evergreen.scoring.score import score
from evergreen.spec import parse_spec
from tests.unit.scoring.conftest import change_features, sales, trained_on

DAY, AS_OF = "2024-01-20", "2024-01-12"
WARMER = ('rows["temperature"]', 'rows["temperature"] * 1.8 + 32')


def pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def marker(kiosk: Pipeline) -> Path:
    """A file that the features of the kiosk add a letter to whenever they are executed."""
    file = kiosk.spec.folder / "executed"
    change_features(kiosk, "def build(rows", f"open({str(file)!r}, 'a').write('x')\n\n\ndef build(rows")
    return file


@pytest.fixture
def signing(kiosk: Pipeline) -> Pipeline:
    """The kiosk with a key, whose signatures are not required."""
    file = kiosk.spec.folder / "pipeline.yaml"
    file.write_text(file.read_text() + "models: {signing: model_keys}\n")
    keys = Connection("model_keys", "generic", password=pem())
    spec = parse_spec(file).model_copy(update={"scoring": None})
    return Pipeline(spec, kiosk.storage, lambda conn_id: keys)


def committed(pipeline: Pipeline, as_of: str = AS_OF) -> str:
    """A version in force, with all that scoring reads of it."""
    rows = sales()
    model = trained_on(pipeline.spec, rows)
    columns = [*partition_features(pipeline.spec, rows, "2024-01-05").columns]
    files = {
        "model.skops": dump_model(model),
        "golden.parquet": golden_sample(pipeline.spec, model, rows[rows["partition"] < as_of]),
        "metrics.json": b'{"mae": 1.0}',
        **feature_files(pipeline.spec, columns),
    }
    version = f"{as_of}-0123456789ab"
    pipeline.registry.commit(version, files)
    pipeline.registry.promote(version, as_of, {})
    return version


def predicted(pipeline: Pipeline) -> list[float]:
    """What scoring a day publishes, in a process that has read nothing before."""
    fresh = Pipeline(pipeline.spec, pipeline.storage, pipeline.connect)
    score(fresh, DAY)
    return [*fresh.lake.read(Table.PREDICTIONS, DAY, DAY).column("prediction").to_pylist()]


def refusal(pipeline: Pipeline, version: str) -> str:
    """Why the version is not loaded, in one line, by a process that has read nothing before."""
    fresh = Pipeline(pipeline.spec, pipeline.storage, pipeline.connect)
    with pytest.raises(EvergreenError) as refused:
        load_checked_model(fresh, version)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def git(folder: Path, *arguments: str) -> None:
    names = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True)


def in_history(kiosk: Pipeline) -> Callable[[], None]:
    root = kiosk.spec.folder.parent.parent
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")

    def commit_change() -> None:
        git(root, "add", ".")
        git(root, "commit", "-qm", "two")

    return commit_change


@pytest.mark.parametrize("voucher", ["former", "git", "signature"])
def test_a_champion_scores_with_its_own_features_where_somebody_vouches_for_them(
    kiosk: Pipeline, request: pytest.FixtureRequest, voucher: str
) -> None:
    pipeline = request.getfixturevalue("signing") if voucher == "signature" else kiosk
    change_committed = in_history(kiosk) if voucher == "git" else lambda: None
    version = committed(pipeline)
    before = predicted(pipeline)
    if voucher == "former":
        (kiosk.spec.folder / "former").mkdir()
        (kiosk.spec.folder / "former" / "any_name.py").write_bytes(
            (kiosk.spec.folder / "features.py").read_bytes()
        )
    change_features(kiosk, *WARMER)
    change_committed()
    assert predicted(pipeline) == before
    where = own_features(pipeline, version).where["features.py:build"]
    words = {"former": "former/any_name.py", "git": "commit [0-9a-f]{12}", "signature": "signed"}
    assert re.fullmatch(words[voucher], where)
    # What the description has now is not touched by it.
    now = partition_features(pipeline.spec, sales(), DAY)["temperature"]
    then = partition_features(load_checked_model(pipeline, version).pipeline.spec, sales(), DAY)[
        "temperature"
    ]
    assert now.tolist() == pytest.approx((then * 1.8 + 32).tolist())


def test_a_change_of_the_description_alone_leaves_a_version_its_look_back(kiosk: Pipeline) -> None:
    version = committed(kiosk)
    before = predicted(kiosk)
    file = kiosk.spec.folder / "pipeline.yaml"
    text = file.read_text()
    assert "look_back: 3 days" in text
    file.write_text(text.replace("look_back: 3 days", "look_back: 1 days"))
    changed = replace(kiosk, spec=parse_spec(file).model_copy(update={"scoring": None}))
    assert predicted(changed) == before
    assert own_features(changed, version).pipeline.spec.looks_back_to(DAY) == "2024-01-17"


def test_a_rollback_past_a_change_scores(signing: Pipeline) -> None:
    first = committed(signing)
    before = predicted(signing)
    change_features(signing, '"temperature": rows["temperature"]', '"warmth": rows["temperature"] + 1')
    second = committed(signing, "2024-01-13")
    assert predicted(signing) != before
    signing.registry.rollback()
    assert signing.registry.champion() == first
    assert predicted(signing) == before
    assert second != first


def test_code_that_nobody_vouches_for_is_not_executed_and_the_line_says_what_to_do(
    kiosk: Pipeline, marker: Path
) -> None:
    version = committed(kiosk)
    predicted(kiosk)
    tables = kiosk.lake.version(Table.PREDICTIONS)
    change_features(kiosk, *WARMER)
    executed = marker.read_text()
    said = refusal(kiosk, version)
    assert marker.read_text() == executed + "x"  # the features of today, which the golden check tries
    assert said == (
        f"kiosk: version {version} was trained with other features than features.py:build gives now, and its "
        "own code is not executed (it is not in the repository, and versions are not signed): look at it and "
        f"keep it: evergreen models features kiosk {version} --keep, or train a new one: evergreen train "
        "kiosk"
    )
    with pytest.raises(IntegrityError, match="was trained with other features"):
        score(kiosk, DAY)
    assert kiosk.lake.version(Table.PREDICTIONS) == tables
    (kept,) = keep(kiosk, version)
    assert kept.parent == kiosk.spec.folder / "former"
    assert keep(kiosk, version) == []
    assert len(predicted(kiosk)) == 4


def test_features_that_come_to_the_same_need_nobody_to_vouch(kiosk: Pipeline) -> None:
    committed(kiosk)
    before = predicted(kiosk)
    change_features(kiosk, 'rows["temperature"]', 'rows["temperature"] * 1')
    assert predicted(kiosk) == before


EVIL = "open({!r}, 'a').write('evil')\n"


def stored_key(version: str, name: str) -> str:
    return f"kiosk/models/{version}/{name}"


def forged(pipeline: Pipeline, version: str, evil: bytes) -> None:
    """Another source in the storage, with the digests of `features.json` and manifest made to fit."""
    content = json.loads(pipeline.registry.read(version, "features.json"))
    content["sources"]["features.py:build"] = sha256(evil)
    bodies = {"features.py": evil, "features.json": json.dumps(content).encode()}
    digests = {name: FileDigest.of(body) for name, body in bodies.items()}
    manifest = Manifest(version, {**pipeline.registry.files(version), **digests})
    for name, body in {**bodies, "manifest.json": manifest.to_json()}.items():
        pipeline.storage.stage(stored_key(version, name), body)


def without_signature(pipeline: Pipeline, version: str, evil: bytes) -> None:
    forged(pipeline, version, evil)
    pipeline.storage.delete([stored_key(version, "model.sig")])


def of_another_key(pipeline: Pipeline, version: str, evil: bytes) -> None:
    forged(pipeline, version, evil)
    other = Pipeline(
        pipeline.spec, pipeline.storage, lambda conn_id: Connection(conn_id, "generic", password=pem())
    )
    committed_digests = other.registry._versions._committed(version).digests
    signature = other.registry._versions._signatures.sign(version, committed_digests)  # type: ignore[union-attr]
    pipeline.storage.stage(stored_key(version, "model.sig"), signature)


def changed_source(pipeline: Pipeline, version: str, evil: bytes) -> None:
    pipeline.storage.stage(stored_key(version, "features.py"), evil)


def missing_source(pipeline: Pipeline, version: str, evil: bytes) -> None:
    pipeline.storage.delete([stored_key(version, "features.py")])


def changed_description(pipeline: Pipeline, version: str, evil: bytes) -> None:
    body = pipeline.registry.read(version, "features.json").replace(
        b"features.py:build", b"features.py:other"
    )
    pipeline.storage.stage(stored_key(version, "features.json"), body)


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (changed_source, "is not in the repository, and 'features.py' is damaged or gone"),
        (missing_source, "is not in the repository, and 'features.py' is damaged or gone"),
        (changed_description, r"'features.json' has \d+ bytes and sha256"),
        (forged, "has no valid signature"),
        (without_signature, "has no valid signature"),
        (of_another_key, "has no valid signature"),
    ],
)
def test_what_somebody_changed_in_the_storage_is_never_executed(
    signing: Pipeline, tmp_path: Path, tamper: Callable[..., None], said: str
) -> None:
    version = committed(signing)
    change_features(signing, *WARMER)
    assert own_features(signing, version).where == {"features.py:build": "signed"}
    evil = tmp_path / "evil"
    tamper(signing, version, EVIL.format(str(evil)).encode())
    assert re.search(said, refusal(signing, version))
    assert not evil.exists()


def test_without_keys_a_forged_version_is_never_executed(kiosk: Pipeline, tmp_path: Path) -> None:
    version = committed(kiosk)
    evil = tmp_path / "evil"
    forged(kiosk, version, EVIL.format(str(evil)).encode())
    # Also not while the features are still those of the training: they predict as promised, and are used.
    load_checked_model(Pipeline(kiosk.spec, kiosk.storage), version)
    change_features(kiosk, *WARMER)
    assert "its own code is not executed" in refusal(kiosk, version)
    assert not evil.exists()


@pytest.mark.parametrize("function", ["former.py:system", "/etc/features.py:build", "../x/features.py:build"])
def test_a_stored_description_leads_to_nothing_but_functions_of_the_folder(
    kiosk: Pipeline, function: str
) -> None:
    version = committed(kiosk)
    evil = kiosk.spec.folder / "evil"
    body = f"from os import system\n{EVIL.format(str(evil))}".encode()
    (kiosk.spec.folder / "former.py").write_bytes(body)
    content = json.loads(kiosk.registry.read(version, "features.json"))
    content["features"]["function"], content["sources"] = function, {function: sha256(body)}
    described = json.dumps(content).encode()
    digests = {**kiosk.registry.files(version), "features.json": FileDigest.of(described)}
    kiosk.storage.stage(stored_key(version, "features.json"), described)
    kiosk.storage.stage(stored_key(version, "manifest.json"), Manifest(version, digests).to_json())
    change_features(kiosk, *WARMER)
    assert re.search("not executed|cannot be read", refusal(kiosk, version))
    assert not evil.exists()
    if function.startswith("former.py"):
        # Nor is a name that the file has only imported called, not even where the file is vouched for.
        (kiosk.spec.folder / "former").mkdir()
        (kiosk.spec.folder / "former" / "scripts.py").write_bytes(body)
        assert "has no function 'system'" in refusal(kiosk, version)


def test_a_version_that_is_listed_verified_or_shown_is_not_executed(
    signing: Pipeline, marker: Path, configured: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from evergreen.cli import app

    version = committed(signing)
    change_features(signing, *WARMER)
    second = committed(signing, "2024-01-13")
    executed = marker.read_text()
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(signing.spec.folder.parent))
    monkeypatch.setenv("AIRFLOW_CONN_MODEL_KEYS", json.dumps({"conn_type": "generic", "password": pem()}))
    for arguments in (["list", "kiosk"], ["show", "kiosk", version], ["features", "kiosk", version]):
        result = CliRunner().invoke(app, ["models", *arguments])
        assert result.exit_code == 0, result.output
    assert Pipeline(signing.spec, signing.storage, signing.connect).registry.verify() == []
    result = CliRunner().invoke(app, ["models", "rollback", "kiosk"])
    # The shell has another key, so it says what scoring will.
    assert "has no valid signature" in " ".join(result.output.split())
    assert marker.read_text() == executed
    assert second in signing.registry.versions()


def test_check_says_before_the_night_whether_the_champion_s_code_is_executed(
    kiosk: Pipeline, configured: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from evergreen.cli import app

    def told() -> tuple[bool, bool, str]:
        result = CliRunner().invoke(app, ["check", "kiosk", "--json"])
        checks = {one["check"]: one for one in json.loads(result.stdout)["checks"]}
        found = checks["champion's features"]
        return found["ok"], found["warns"], found["detail"]

    monkeypatch.setenv("EVERGREEN_PIPELINES", str(kiosk.spec.folder.parent))
    file = kiosk.spec.folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("scoring:", "# scoring:"))
    (kiosk.spec.folder / "expectations.yaml").write_text("- expect_column_to_exist: {column: at}\n")
    version = committed(kiosk)
    assert told() == (True, False, "features.py:build: as deployed")
    change_features(kiosk, *WARMER)
    ok, warns, detail = told()
    assert (ok, warns) == (True, True)
    assert f"evergreen models features kiosk {version} --keep" in detail
    result = CliRunner().invoke(app, ["models", "features", "kiosk", version, "--keep", "--json"])
    (kept,) = json.loads(result.stdout)["kept"]
    assert told() == (True, False, f"features.py:build: former/{Path(kept).name}")


def test_the_code_is_shown_with_its_changes_and_without_control_characters(kiosk: Pipeline) -> None:
    change_features(kiosk, "def build(rows", "# \x1b[31m red\ndef build(rows")
    version = committed(kiosk)
    own, (code,) = code_of(kiosk, version)
    assert (code.where, code.changes, own.problem) == ("as deployed", [], None)
    change_features(kiosk, "# \x1b[31m red\n", "")
    own, (code,) = code_of(Pipeline(kiosk.spec, kiosk.storage), version)
    assert code.where is None
    assert "+# \N{REPLACEMENT CHARACTER}[31m red" in code.changes
    assert own.problem is not None


@pytest.fixture
def modules() -> Callable[[], set[str]]:
    before = set(sys.modules)
    return lambda: {name for name in set(sys.modules) - before if name.startswith("evergreen_features_")}


def test_versions_do_not_see_one_another_s_modules(
    signing: Pipeline, modules: Callable[[], set[str]]
) -> None:
    # Each function has a module-level name of its own that would be overwritten if they shared a module.
    change_features(signing, "def build(rows", "ONE = 1\n\n\ndef build(rows")
    versions = [committed(signing)]
    change_features(signing, "ONE = 1", "TWO = 2")
    versions.append(committed(signing, "2024-01-13"))
    change_features(signing, "TWO = 2", "THREE = 3")
    load_functions(signing.spec)
    own = [own_features(signing, version).pipeline for version in versions]
    for pipeline in [*own, signing]:
        (function,) = load_functions(pipeline.spec).values()
        assert len({"ONE", "TWO", "THREE"} & set(function.__globals__)) == 1
    assert len(modules()) >= 3


def test_a_target_that_changed_is_said_in_one_line(kiosk: Pipeline) -> None:
    version = committed(kiosk)
    other = replace(kiosk, spec=kiosk.spec.model_copy(update={"target": "temperature"}))
    assert refusal(other, version) == (
        f"kiosk: version {version} predicts 'sold', and the description now says 'temperature': train a new "
        "one: evergreen train kiosk"
    )


def test_without_a_function_a_version_goes_on_with_the_columns_it_knows(kiosk: Pipeline) -> None:
    file = kiosk.spec.folder / "pipeline.yaml"
    text = file.read_text()
    file.write_text(re.sub(r'function: "features.py:build", ', "", text))
    spec = parse_spec(file).model_copy(update={"scoring": None})
    assert spec.features.function is None
    plain = replace(kiosk, spec=spec)
    committed(plain)
    before = predicted(plain)
    import pyarrow as pa

    rows = plain.lake.read(Table.PARTITIONS, DAY, DAY)
    wider = rows.append_column("humidity", pa.array([50.0] * len(rows))).drop_columns(["partition"])
    plain.lake.replace(Table.PARTITIONS, {DAY: wider}, wider.schema)
    assert predicted(plain) == before
