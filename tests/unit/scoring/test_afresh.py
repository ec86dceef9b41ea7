"""The golden check by another process."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from evergreen.connections import Connection
from evergreen.errors import IntegrityError, NotFoundError, UnavailableError
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring.afresh import check_afresh, check_stored, environment_of
from evergreen.scoring.golden import GOLDEN, golden_sample
from evergreen.spec import parse_spec
from tests.unit.scoring.conftest import change_features, sales, trained_on

Commit = Callable[..., str]


def test_other_errors_come_back_as_what_they_are(kiosk: Pipeline) -> None:
    with pytest.raises(NotFoundError, match="kiosk: no version 2024-01-12-aaaa"):
        check_afresh(kiosk, "2024-01-12-aaaa")
    gone = replace(kiosk.storage.credentials, endpoint_url="http://127.0.0.1:1")
    storage = type(kiosk.storage)(kiosk.storage.bucket, "", gone)
    with pytest.raises(UnavailableError):
        check_afresh(replace(kiosk, storage=storage), "2024-01-12-aaaa")


def test_the_other_process_checks_the_signature_and_never_sees_the_private_key(kiosk: Pipeline) -> None:
    private = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    file = kiosk.spec.folder / "pipeline.yaml"
    file.write_text(file.read_text() + "models: {signing: model_keys, require_signature: true}\n")
    keys = Connection("model_keys", "generic", password=private.decode())
    spec = parse_spec(file)
    signing = Pipeline(spec, kiosk.storage, lambda conn_id: keys)
    rows = sales(20)
    model = trained_on(spec, rows)
    files = {"model.skops": dump_model(model), GOLDEN: golden_sample(spec, model, rows)}
    signing.registry.commit("2024-01-21-0123456789ab", files)
    check_afresh(signing, "2024-01-21-0123456789ab")
    handed_on = environment_of(signing)
    assert "PUBLIC KEY" in handed_on["AIRFLOW_CONN_MODEL_KEYS"]
    assert not [name for name, value in handed_on.items() if "PRIVATE KEY" in value]


def test_a_process_that_dies_has_not_said_yes(kiosk: Pipeline, commit: Commit) -> None:
    version = commit()
    change_features(kiosk, "def build(rows", "import os\nos._exit(0)\ndef build(rows")
    with pytest.raises(IntegrityError, match=r"which ended with code 0 \(it said nothing\): it is not used"):
        check_afresh(kiosk, version)


def test_the_check_uses_the_variables_alone(
    kiosk: Pipeline, commit: Commit, configured: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(kiosk.spec.folder.parent))
    assert "AWS_SECRET_ACCESS_KEY" in os.environ
    check_stored("kiosk", commit())
    with pytest.raises(NotFoundError):
        check_stored("kiosk", "2024-01-12-aaaa")
