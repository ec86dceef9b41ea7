"""The campaigns: what they run is there, and what they found is read from pytest's own report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import campaign
from tests.campaign import CAMPAIGNS, INJECTED, ROOT, Row, main


def test_every_campaign_runs_tests_that_are_there() -> None:
    files = {each for tests in CAMPAIGNS.values() for each in tests if each.startswith("tests")}
    assert [each for each in sorted(files) if not (ROOT / each).exists()] == []


def test_counts_and_seeds_are_those_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (campaign.rounds(3, 300), campaign.examples(15)) == ((300, 150) if campaign.FULL else (3, 15))
    monkeypatch.setattr(campaign, "FULL", True)
    monkeypatch.setattr(campaign, "SEED", 7)
    assert (campaign.rounds(3, 300), campaign.examples(15), campaign.seed(100)) == (300, 150, 107)
    monkeypatch.setattr(campaign, "FULL", False)
    assert (campaign.rounds(3, 300), campaign.examples(15), campaign.seed(100)) == (3, 15, 100)


@pytest.mark.parametrize(("holds", "end"), [("1 == 1", "passed"), ("1 == 2", "FAILED")])
def test_a_row_is_read_from_a_report(tmp_path: Path, holds: str, end: str) -> None:
    (tmp_path / "test_it.py").write_text(
        f"def test_it(record_property):\n    record_property({INJECTED!r}, 'broke 7')\n    assert {holds}\n"
    )
    report = tmp_path / "it.xml"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", f"--junitxml={report}"]
    subprocess.run([*command, str(tmp_path)], cwd=tmp_path, capture_output=True, check=False, timeout=120)
    row = Row.read("it", report)
    assert (row.well, row.injected) == (end == "passed", ("broke 7",))
    assert f"it                {end}" in row.lines()[0]


def test_a_name_that_is_none_is_told_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kills"]) == 2
    assert "no campaign is named kills: there are ingest-kills, " in capsys.readouterr().err
