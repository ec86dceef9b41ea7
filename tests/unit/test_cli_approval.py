"""`evergreen train` where the gate leaves the promotion to a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from evergreen.storage import Storage
from tests.unit.two_pipelines import KINDS, Evergreen, write_kinds


def test_a_model_that_waits_for_a_person_exits_with_0_and_says_how_to_promote_it(
    tmp_path: Path, configured: Storage, monkeypatch: pytest.MonkeyPatch
):
    evergreen = Evergreen()
    folder = tmp_path / "kinds"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(KINDS + "gate: {approval: {when: always}}\n")
    (folder / "expectations.yaml").write_text(
        "- expect_column_values_to_not_be_null: {column: kind}\n  severity: critical\n"
    )
    write_kinds(tmp_path)
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    evergreen.document("ingest", "kinds")

    trained = evergreen.document("train", "kinds")
    assert trained["outcome"] == "promoted"
    assert (trained["promoted"], trained["waits_for_approval"]) == (False, True)
    version = trained["version"]
    said = evergreen("train", "kinds")
    assert said.exit_code == 0
    assert f"{version}: a person decides" in said.stdout
    assert f"evergreen models promote kinds {version}" in said.stdout.splitlines()[-1]
    assert evergreen.document("models", "list", "kinds")["champion"] is None

    evergreen.document("models", "promote", "kinds", version)
    promoted = evergreen.document("train", "kinds")
    assert (promoted["promoted"], promoted["waits_for_approval"]) == (True, False)
    assert f"{version}: promoted" in evergreen("train", "kinds").stdout
