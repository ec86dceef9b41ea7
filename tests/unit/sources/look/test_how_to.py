"""What docs/how-to/look.md shows is what the command prints, to the letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evergreen import cli
from evergreen.sources.text.dialect import CsvDialect

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "look.md"
TEXT = PAGE.read_text()


def test_the_output_is_the_command_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (content,) = re.findall(r"^```text\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    ((command, output),) = re.findall(r"^```console\n\$ (.*?)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    (tmp_path / "umsatz.csv").write_text(content, encoding="cp1252", newline="\r\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli.app, command.split()[1:])
    assert result.exit_code == 0, result.output
    assert result.stdout.replace(str(tmp_path), "/data") == output


def test_every_key_of_a_dialect_has_a_rule() -> None:
    rules = re.findall(r"^\| ([a-z, ]+) \|", TEXT, re.MULTILINE)
    named = {key for rule in rules for key in rule.split(", ")}
    assert set(CsvDialect.model_fields) <= named
