"""A model: which one it is, what it predicts, of what is published and of rows that are given."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import evergreen
from evergreen.front_door.tables import importance
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.rows.frame import to_frame
from tests.unit.front_door.conftest import SCORED

DAY = SCORED[1]


def test_which_one_it_is(pipeline: evergreen.Pipeline, kiosk: Pipeline) -> None:
    model = pipeline.champion()
    assert model.version == kiosk.registry.champion()
    assert (model.as_of, model.lineage["version"]) == (SCORED[0], model.version)
    assert {"mae", "rmse", "r2"} <= set(model.metrics)
    assert all(isinstance(value, float) for value in model.metrics.values())
    assert repr(model).startswith(f"<evergreen.Model {model.version} of kiosk: ")
    assert f"mae {model.metrics['mae']:.4g}" in repr(model)
    assert pipeline.champion(as_of=DAY).version == model.version
    assert pipeline.version(model.version[:13]).version == model.version
    assert pipeline.version(SCORED[2]).as_of == SCORED[2]


def test_how_important_its_features_are(pipeline: evergreen.Pipeline, kiosk: Pipeline) -> None:
    model = pipeline.champion()
    stored = json.loads(kiosk.registry.read(model.version, "explanation.json"))
    table = model.importance
    assert table.attrs == {"metric": "mae"}
    assert list(table) == ["loss", "spread"]
    assert table["loss"].to_dict() == {
        entry["name"]: entry["loss"] for entry in stored["importance"]["features"]
    }


def test_with_contributions_their_order_comes_first() -> None:
    moved = [
        {"name": "wind", "size": 3.0, "direction": -0.9},
        {"name": "town", "size": 1.0, "direction": None},
    ]
    losses = [{"name": "town", "loss": 2.0, "spread": 0.1}]
    found = {
        "metric": "mae",
        "importance": {"features": losses},
        "contributions": {"unit": "rentals", "features": moved},
    }
    table = importance(found)
    assert table.index.tolist() == ["wind", "town"]
    assert table.attrs == {"metric": "mae", "unit": "rentals"}
    expected = [[3.0, -0.9, np.nan, np.nan], [1.0, np.nan, 2.0, 0.1]]
    np.testing.assert_array_equal(table[["contribution", "direction", "loss", "spread"]], expected)


def test_no_such_model(pipeline: evergreen.Pipeline) -> None:
    for ask, message in (
        (
            lambda: pipeline.champion(as_of="2024-01-10"),
            "2024-01-10: no champion was in force .* --as-of 2024-01-10",
        ),
        (lambda: pipeline.version("2023"), "kiosk: no version starts with '2023' .the newest: 2024-01-22-"),
        (
            lambda: pipeline.version("2024"),
            "kiosk: 2 versions start with '2024': write more of one: 2024-01-22-",
        ),
    ):
        with pytest.raises(evergreen.NotFoundError, match=message):
            ask()
    with pytest.raises(evergreen.PartitionError, match="soon"):
        pipeline.champion(as_of="soon")


def test_no_champion_yet(pipeline: evergreen.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_STORAGE", "s3://front-door/empty")
    empty = evergreen.open("kiosk")
    with pytest.raises(
        evergreen.NotFoundError, match=r"kiosk: there is no champion yet: .*: evergreen train kiosk"
    ):
        empty.champion()


@pytest.mark.parametrize("day", SCORED)
def test_a_partition_is_predicted_as_the_night_did_bit_for_bit(
    pipeline: evergreen.Pipeline, kiosk: Pipeline, day: str
) -> None:
    written = to_frame(kiosk.lake.read(Table.PREDICTIONS, day, day))
    model = pipeline.champion(as_of=day)
    for found in (model.predict(day), model.predict(pipeline.rows(day))):
        pd.testing.assert_frame_equal(found, written, check_exact=True)


def test_rows_of_many_partitions_see_what_each_night_saw(pipeline: evergreen.Pipeline) -> None:
    rows = pipeline.rows(SCORED[0], SCORED[-1]).sample(frac=1, random_state=0)
    found = pipeline.champion().predict(rows)
    pd.testing.assert_frame_equal(found, pipeline.predictions(SCORED[0], SCORED[-1]), check_exact=True)


def test_without_partition_and_target_the_predictions_are_the_same(pipeline: evergreen.Pipeline) -> None:
    rows = pipeline.rows(DAY)
    model = pipeline.champion()
    found = model.predict(rows.drop(columns=["partition", "sold"]))
    assert found["actual"].isna().all()
    expected = model.predict(DAY)
    pd.testing.assert_frame_equal(found.drop(columns="actual"), expected.drop(columns="actual"))


def test_what_would_be_if_it_were_warmer(pipeline: evergreen.Pipeline) -> None:
    model = pipeline.champion()
    warmer = pipeline.rows(DAY).assign(temperature=lambda rows: rows["temperature"] + 10)
    gain = model.predict(warmer)["prediction"] - model.predict(DAY)["prediction"]
    assert gain.between(20, 40).all()  # it sells three more a degree


def test_the_target_of_earlier_rows_that_are_given_is_seen_and_their_own_is_not(
    pipeline: evergreen.Pipeline,
) -> None:
    model = pipeline.champion()
    rows = pipeline.rows(SCORED[0], DAY)
    own = rows.assign(sold=rows["sold"].where(rows["partition"] != DAY, 9_999))
    earlier = rows.assign(sold=rows["sold"].where(rows["partition"] == DAY, 9_999))
    expected = model.predict(rows).query("partition == @DAY")["prediction"]
    assert (model.predict(own).query("partition == @DAY")["prediction"] == expected).all()
    assert (model.predict(earlier).query("partition == @DAY")["prediction"] != expected).all()


def test_a_partition_that_is_not_published_yet(pipeline: evergreen.Pipeline) -> None:
    tomorrow = pipeline.rows().drop(columns="sold")
    tomorrow["at"] += pd.Timedelta(days=1)
    found = pipeline.champion().predict(tomorrow.drop(columns="partition"))
    assert found["partition"].tolist() == ["2024-01-31"] * 4
    assert found["prediction"].notna().all()
    later = tomorrow.assign(at=tomorrow["at"] + pd.Timedelta(days=60)).drop(columns="partition")
    assert pipeline.champion().predict(later)["partition"].tolist() == ["2024-03-31"] * 4


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda rows: rows.drop(columns="temperature"), evergreen.RefusedError, "have no column temperature"),
        (lambda rows: rows.drop(columns=["at", "partition"]), evergreen.RefusedError, "have no column at"),
        (
            lambda rows: rows.assign(temperature="hot"),
            evergreen.RefusedError,
            "'temperature' does not fit .*hot",
        ),
        (lambda rows: rows.assign(at="noon"), evergreen.RefusedError, "column 'at' does not fit"),
        (
            lambda rows: rows.assign(at=rows["at"].dt.tz_localize(None)),
            evergreen.RefusedError,
            r"the times in 'at' have no zone: .* rows\['at'\].dt.tz_localize\('UTC'\)",
        ),
        (
            lambda rows: rows.drop(columns="partition").assign(at=None),
            evergreen.RefusedError,
            "no time in 'at'",
        ),
        (lambda rows: rows.assign(partition="noon"), evergreen.PartitionError, "noon"),
        (
            lambda rows: pd.concat([rows, rows]),
            evergreen.RefusedError,
            "4 rows have no key of their own in at",
        ),
        (lambda rows: rows[:0], evergreen.RefusedError, "kiosk: no rows were given"),
        (lambda rows: "2024-02-10", evergreen.NotFoundError, "2024-02-10: this partition is not published"),
        (lambda rows: "noon", evergreen.PartitionError, "noon"),
    ],
)
def test_rows_that_cannot_be_predicted(pipeline: evergreen.Pipeline, change, error, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message) as caught:
        pipeline.champion().predict(change(pipeline.rows(DAY)))
    assert "\n" not in str(caught.value)


def test_by_default_the_newest_partition_is_predicted(pipeline: evergreen.Pipeline) -> None:
    assert pipeline.champion().predict()["partition"].unique().tolist() == ["2024-01-30"]


def test_a_model_is_held_to_its_golden_sample(pipeline: evergreen.Pipeline, kiosk: Pipeline) -> None:
    features = kiosk.spec.folder / "features.py"
    sound = features.read_text()
    try:
        features.write_text(sound.replace('rows["temperature"]', '-rows["temperature"]'))
        with pytest.raises(evergreen.IntegrityError, match=r"trained with other features .* not executed"):
            pipeline.champion().predict(DAY)
    finally:
        features.write_text(sound)
    assert type(pipeline.champion().estimator).__name__ == "Pipeline"


def test_the_card_is_shown_in_a_frame_of_its_own(pipeline: evergreen.Pipeline, tmp_path: Path) -> None:
    card = pipeline.champion().card
    assert card.html.startswith("<!doctype html>")
    assert "kiosk" in card.html
    shown = card._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    assert html.unescape(shown.split('"')[1]) == card.html
    assert len(repr(card)) < 100
