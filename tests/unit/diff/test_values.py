"""Which keys of two descriptions differ, and how both sides are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from evergreen.description import read_mapping
from evergreen.diff.values import differing
from evergreen.spec import parse_spec
from tests.unit.two_pipelines import DAILY

MORE = """\
gate: {slices: [x, {column: z, margin: 5%}], champion: {margin: 30%}}
alerts: {limits: {ingest: 60 minutes}}
"""
LABELS = "labels: {source: {sql: {conn_id: shop, table: l, time_column: at}}, delay: 3 days}"
RIDGE, FOREST = "sklearn.linear_model.Ridge", "sklearn.ensemble.RandomForestRegressor"


def found(folder: Path, before: str, after: str) -> list[tuple[str, str | None, str | None]]:
    sides = []
    for at, text in (("before", before), ("after", after)):
        file = folder / at / "daily" / "pipeline.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text)
        sides.append((parse_spec(file), read_mapping(file)))
    return [(one.key.shown, one.before, one.after) for one in differing(sides[0], sides[1])]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("60 minutes", "1 hour", []),
        ("y\n", "y # the same\n", []),
        ("holdout: 1 days", "holdout: 2 days", [("training.holdout", "1 days", "2 days")]),
        ("  holdout: 1 days\n", "", [("training.holdout", "1 days", "20% (default)")]),
        (", champion: {margin: 30%}", "", [("gate.champion.margin", "30%", "0.0 (default)")]),
        ("5%", "10%", [("gate.slices[z].margin", "5%", "10%")]),
        ("[x, {column: z, margin: 5%}]", "[{column: z, margin: 5%}, x]", [("gate.slices", "x, z", "z, x")]),
        ("[x, ", "[", [("gate.slices[x]", "x", None)]),
        (
            "[x, {column: z, margin: 5%}]",
            "[]",
            [("gate.slices[x]", "x", None), ("gate.slices[z]", "...", None)],
        ),
        (
            f"    - {{estimator: {RIDGE}}}",
            f"    - {{estimator: {FOREST}}}\n    - {{estimator: {RIDGE}, params: {{alpha: 2}}}}",
            [
                (f"training.candidates[{FOREST}]", None, f"{{estimator: {FOREST}}}"),
                (f"training.candidates[{RIDGE}].params", "none", "{alpha: 2}"),
            ],
        ),
        (
            'file: {path: "{partition}.csv", time_column: at}',
            "sql: {conn_id: shop, table: t, time_column: at}",
            [
                ("sources.rows.sql", None, "{conn_id: shop, table: t, time_column: at}"),
                ("sources.rows.file", "{path: '{partition}.csv', time_column: at}", None),
            ],
        ),
        (
            "time_column: at",
            "time_column: {from: [y, m, d]}",
            [("sources.rows.file.time_column", "at", "{from: [y, m, d]}")],
        ),
        (
            "task: regression",
            f"{LABELS}\ntask: regression",
            [
                (
                    "labels",
                    "none",
                    "{source: {sql: {conn_id: shop, table: l, time_column: at}}, delay: 3 days}",
                )
            ],
        ),
    ],
)
def test_each_key_that_differs_is_told_once(
    tmp_path: Path, old: str, new: str, told: list[tuple[str, str | None, str | None]]
) -> None:
    before = DAILY + MORE
    assert old in before
    shown = found(tmp_path, before, before.replace(old, new))
    assert [(key, *sides) for key, *sides in shown] == [
        (key, "{column: z, margin: 5%}" if one == "..." else one, other) for key, one, other in told
    ]
