"""Bounds that adapt: the same in whatever order days are scored, from what was known before each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

from evergreen.backtest.adapting import Adapting
from evergreen.backtest.history import History
from evergreen.intervals.conformal import ConformalRegressor
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring.adapted import learnt_from
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.predict import partition_features
from evergreen.scoring.score import score
from evergreen.spec import Spec, parse_spec
from evergreen.spec.intervals import Intervals
from tests.unit.scoring.conftest import sales, trained_on

DAYS = [f"2024-01-{day:02d}" for day in range(12, 22)]
LENDER = Path(__file__).parents[2] / "pipelines" / "lender" / "pipeline.yaml"


def adapting(spec: Spec, adapt: bool = True) -> Spec:
    return spec.model_copy(update={"intervals": Intervals(levels=(0.5, 0.8), adapt=adapt)})


@pytest.fixture
def adaptive(kiosk: Pipeline, commit: Callable[..., str]) -> Pipeline:
    """From 15 January on twice as much is sold as the champion's model of early January expects."""
    spec, rows = adapting(kiosk.spec), sales()
    features = pd.concat([partition_features(spec, rows, f"2024-01-{day:02d}") for day in range(5, 12)])
    model = ConformalRegressor(trained_on(spec, rows), (0.5, 0.8))
    fold = np.arange(len(features)) // 7
    model.calibrate(model.predict(features), rows.loc[features.index, "sold"].to_numpy(float), fold)
    golden = golden_sample(spec, model, rows[rows["partition"] < DAYS[0]])
    version = commit(model_skops=dump_model(model), golden_parquet=golden)
    kiosk.registry.promote(version, DAYS[0], {})
    pipeline = dataclasses.replace(kiosk, spec=spec)
    publish(pipeline, grown(rows))
    return pipeline


def grown(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(sold=rows["sold"].where(rows["partition"] < "2024-01-15", 2 * rows["sold"]))


def publish(pipeline: Pipeline, rows: pd.DataFrame) -> None:
    parts = {
        str(key): pa.Table.from_pandas(part.drop(columns="partition"), preserve_index=False)
        for key, part in rows.groupby("partition")
    }
    pipeline.lake.replace(Table.PARTITIONS, parts)


def scored(pipeline: Pipeline, days: Sequence[str]) -> pd.DataFrame:
    for day in days:
        score(pipeline, day)
    return pipeline.lake.read(Table.PREDICTIONS).to_pandas()


def test_the_level_follows_what_was_held_and_is_published(adaptive: Pipeline) -> None:
    found = scored(adaptive, DAYS)
    by_day = found.groupby("partition").first()
    # Nothing is known of the first day's own version, and the promise is kept at first.
    assert by_day.loc[DAYS[0], ["level", "level_80"]].tolist() == [0.5, 0.8]
    assert by_day.loc[DAYS[-1], "level"] > 0.65
    assert (found["level"] <= found["level_80"]).all()
    assert (found["lower_80"] <= found["lower"]).all()
    model = adaptive.registry.load(str(found["version"].iloc[0]))
    for _, part in found.groupby("partition"):
        bounds = model.stretched(part["prediction"].to_numpy(), part[["level", "level_80"]].iloc[0].tolist())
        np.testing.assert_array_equal(part[["lower", "upper"]].to_numpy(), bounds[:, 0])


def test_the_order_of_scoring_makes_no_difference(adaptive: Pipeline) -> None:
    mixed = np.random.default_rng(3).permutation(DAYS).tolist()
    first = scored(adaptive, mixed)
    for day in (*DAYS, *mixed):
        assert not score(adaptive, day).changed, day
    # Scored by another version meanwhile, a day is predicted again by the one that learns from it.
    own = adaptive.lake.read(Table.PREDICTIONS, DAYS[4], DAYS[4])
    other = own.set_column(own.column_names.index("version"), "version", pa.array(["another"] * len(own)))
    other = other.set_column(1, "prediction", pa.array([0.0] * len(own)))
    adaptive.lake.replace(Table.PREDICTIONS, {DAYS[4]: other.drop_columns("partition")})
    assert not score(adaptive, DAYS[-1]).changed
    assert score(adaptive, DAYS[4]).changed
    pd.testing.assert_frame_equal(adaptive.lake.read(Table.PREDICTIONS).to_pandas(), first)


def test_what_comes_on_the_day_or_later_is_not_seen(adaptive: Pipeline) -> None:
    day = DAYS[6]
    found = scored(adaptive, [day])
    rows = grown(sales())
    later = rows["partition"] >= day
    publish(adaptive, rows.assign(sold=rows["sold"].where(~later, 9_999)))
    again = scored(adaptive, [day])
    pd.testing.assert_frame_equal(again.drop(columns="actual"), found.drop(columns="actual"))
    earlier = rows["partition"] == DAYS[1]
    publish(adaptive, rows.assign(sold=rows["sold"].where(~earlier, 9_999)))
    assert scored(adaptive, [day])["level"].iloc[0] != found["level"].iloc[0]


def test_without_adapt_bounds_are_those_of_the_promise(adaptive: Pipeline) -> None:
    plain = dataclasses.replace(adaptive, spec=adapting(adaptive.spec, adapt=False))
    found = scored(plain, DAYS[-1:])
    assert "level" not in found
    # The table gets the column with the option, and the earlier day stays without.
    adapted = scored(adaptive, DAYS[-2:-1]).set_index("partition")["level"]
    assert adapted.loc[DAYS[-1]].isna().all()
    assert adapted.loc[DAYS[-2]].notna().all()


def test_a_replay_uses_the_levels_of_the_nights(adaptive: Pipeline) -> None:
    found = scored(adaptive, DAYS).groupby("partition").first()
    version = str(found["version"].iloc[0])
    replay, model = Adapting(History(adaptive.spec, grown(sales()))), adaptive.registry.load(version)
    for day in DAYS:
        levels = replay.levels(adaptive.spec, version, DAYS[0], model, day)
        assert levels == tuple(found.loc[day, ["level", "level_80"]])
    assert replay.levels(adapting(adaptive.spec, adapt=False), version, DAYS[0], model, DAYS[-1]) is None


def test_late_labels_count_from_the_night_that_brings_them(adaptive: Pipeline) -> None:
    """With labels two days later, those of the 17th came with the night of the 19th, before the 20th."""
    folder = adaptive.spec.folder
    text = (folder / "pipeline.yaml").read_text()
    labels = 'labels: {source: {file: {path: "sold/{partition}.csv", time_column: at}}, delay: 2 days}\n'
    (folder / "pipeline.yaml").write_text(text.replace("look_back: 3 days", "look_back: 0 days") + labels)
    (folder / "features.py").write_text(
        "def build(rows):\n    return rows[['temperature']].assign(level=60.0)\n"
    )
    spec = adapting(parse_spec(folder / "pipeline.yaml").model_copy(update={"scoring": None}))
    spec = spec.model_copy(update={"name": "stand"})
    whole = grown(sales())
    model = ConformalRegressor(LinearRegression(), (0.5, 0.8))
    known = whole[whole["partition"] < DAYS[0]]
    model.model.fit(known[["temperature"]].assign(level=60.0), known["sold"])
    fitted = model.predict(known[["temperature"]].assign(level=60.0))
    model.calibrate(fitted, known["sold"].to_numpy(float), np.arange(len(known)) // 11)
    late = Pipeline(spec, adaptive.storage)
    publish(late, whole.drop(columns="sold"))
    version = "2024-01-12-aaaaaaaaaaaa"
    golden = golden_sample(spec, model, known)
    late.registry.commit(version, {"model.skops": dump_model(model), "golden.parquet": golden})
    late.registry.promote(version, DAYS[0], {})

    def tell(days: Sequence[str]) -> None:
        parts = whole[whole["partition"].isin(days)].groupby("partition")
        tables = {
            str(key): pa.Table.from_pandas(part[["at", "sold"]], preserve_index=False) for key, part in parts
        }
        late.lake.replace(Table.LABELS, tables)

    tell(["2024-01-11"])
    day = "2024-01-20"
    assert scored(late, [day])["level"].tolist() == [0.5] * 4
    tell([key for key in DAYS if key <= "2024-01-17"])
    found = scored(late, [day])
    assert found["level"].iloc[0] > 0.55
    tell(DAYS)
    assert not score(late, day).changed
    replay = Adapting(History(spec, whole))
    assert replay.levels(spec, version, DAYS[0], model, day) == tuple(found[["level", "level_80"]].iloc[0])


def test_only_partitions_count_whose_labels_are_known_and_that_the_model_has_not_learnt_from() -> None:
    spec = parse_spec(LENDER)
    assert spec.calendar.back("2024-01-13", spec.label_delay) == "2024-01-08"
    published = [f"2024-01-{day:02d}" for day in (1, 2, 3, 5, 8, 9, 10, 14, 15)]
    # The labels of the 8th came with the night of the 13th, before the 14th was scored.
    assert learnt_from(spec, "2024-01-03", "2024-01-14", published) == published[2:5]
    assert learnt_from(spec, "2024-01-14", "2024-01-15", published) == []
    assert learnt_from(adapting(spec), "2024-01-01", "2024-01-01", published) == []
