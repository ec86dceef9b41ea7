"""What a card says about loading its version works, as it stands there."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from evergreen import cli
from evergreen.candidates.fit import fit_challenger
from evergreen.card.card import render_card
from evergreen.evaluation.verdict import Outcome, Verdict
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring.golden import golden_sample
from evergreen.training_set.assemble import assemble
from tests.unit.card.test_card import evaluation_of

SHOP = """\
name: shop
description: What a shop sells
owner: team
schedule: "@daily"
start: 2024-01-01
partition: daily
sources: {sales: {file: {path: sales.csv, time_column: at}}}
task: regression
target: sold
training:
  window: 30 days
  holdout: 3 days
  metric: mae
  candidates: [{estimator: sklearn.linear_model.LinearRegression}]
"""


@pytest.fixture
def pages(tmp_path: Path, configured, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The two boxes of the card of a version that is in the store, with the rows it was trained on."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "pipeline.yaml").write_text(SHOP)
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    at = pd.date_range("2024-01-01", periods=20 * 4, freq="6h", tz="UTC").as_unit("us")
    rows = pd.DataFrame({"at": at, "price": range(80), "sold": [3.0 * n + 1 for n in range(80)]})
    rows["partition"] = at.strftime("%Y-%m-%d")
    pipeline = Pipeline.open("shop")
    days = {
        day: pa.Table.from_pandas(own.drop(columns="partition"), preserve_index=False)
        for day, own in rows.groupby("partition")
    }
    pipeline.lake.replace(Table.PARTITIONS, days)
    data = assemble(pipeline.spec, rows, "2024-01-21", {"partitions": 0}, {})
    challenger = fit_challenger(pipeline.spec, data)
    lineage = {**data.lineage, "candidate": challenger.candidate, "trials": challenger.trials}
    card = render_card(pipeline.spec, lineage, evaluation_of(), Verdict(Outcome.PROMOTED, ()))
    files = {
        "model.skops": dump_model(challenger.final),
        "lineage.json": json.dumps(data.lineage).encode(),
        "golden.parquet": golden_sample(pipeline.spec, challenger.final, data.rows),
        "card.html": card.encode(),
    }
    pipeline.registry.commit(data.version, files)
    stored = pipeline.registry.read(data.version, "card.html").decode()
    return [html.unescape(box) for box in re.findall(r"<pre[^>]*>(.*?)</pre>", stored, re.DOTALL)]


def test_the_python_on_the_card_loads_the_version_and_predicts(pages):
    names: dict = {}
    exec(compile(pages[1], "card", "exec"), names)
    assert names["predictions"]["prediction"].tolist() == pytest.approx([3 * n + 1 for n in range(76, 80)])


def test_it_does_so_in_a_plain_python_beside_a_running_stack(pages, configured, tmp_path):
    taken = {name: value for name, value in os.environ.items() if name.startswith(("EVERGREEN_", "AWS_"))}
    (tmp_path / "env").write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in taken.items()))
    plain = {name: value for name, value in os.environ.items() if name not in taken}
    program = f"{pages[1]}\nprint(*predictions['prediction'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**plain, "EVERGREEN_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [float(value) for value in done.stdout.split()] == pytest.approx(
        [3 * n + 1 for n in range(76, 80)]
    )


def test_the_command_on_the_card_shows_the_version(pages):
    program, *arguments = shlex.split(pages[0])
    assert program == "evergreen"
    assert "EVERGREEN_STORAGE" in os.environ
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["version"] == arguments[-1]
