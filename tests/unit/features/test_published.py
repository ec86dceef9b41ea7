"""With `features.columns` each stage gives what it gives without, and reads nothing of the other columns.

Those are spoilt in the files: whoever reads them fails.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression

from evergreen.asked.find import find_asked
from evergreen.asked.finding import ASKED
from evergreen.backtest.run import read_rows
from evergreen.errors import EvergreenError, SpecError
from evergreen.features.stored import feature_files
from evergreen.front_door.given import given_with_look_back
from evergreen.lake import Table
from evergreen.monitoring.stage import monitor
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.rows.frame import to_frame
from evergreen.scoring import large
from evergreen.scoring.checked_model import load_checked_model
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.score import predictions, rows_with_look_back, score
from evergreen.serving.answer import answer
from evergreen.serving.body import Body
from evergreen.serving.served import Served
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from evergreen.training.stage import train
from evergreen.training_set.assemble import assemble
from evergreen.training_set.read import read_training_set

DAYS = [f"2024-01-{day:02d}" for day in range(1, 13)]
AS_OF, DAY, SPARE = DAYS[-2], DAYS[-1], [f"spare_{number}" for number in range(3)]

SHOP = """
name: shop
description: Sales
owner: team
schedule: "@daily"
start: 2024-01-01
partition: daily
sources: {rows: {file: {path: "{partition}.csv", time_column: at}}}
FEATURES
task: regression
target: sold
training:
  window: 30 days
  minimum: 5 partitions
  holdout: 2 days
  metric: mae
  candidates: [{estimator: sklearn.linear_model.Ridge}]
"""
WEATHER = (
    SHOP.replace("name: shop", "name: weather").replace("FEATURES", "key: [town, at]").replace("sold", "rain")
)
BY_ROW = "def build(rows):\n    return rows[['price']].assign(double=2 * rows['stock'])\n"
BACK = """
def build(rows):
    before = rows["price"].astype(float).rolling(5, min_periods=1).sum()
    return rows[["price"]].assign(before=before.shift(1).fillna(0.0), stock=rows["stock"])
"""
LOOKED = BACK.replace("stock=rows", "rain=rows['outside_rain'].fillna(-1.0), stock=rows")
LOOKUP = "lookups: {outside: {pipeline: weather, on: {town: town}, columns: [rain], max_age: 9 days}}"
SAMPLE = {"metric: mae": "metric: mae\n  sample: 30 rows"}
LABELS = {"task:": "labels: {delay: 1 day, source: {file: {path: l.csv, time_column: at}}}\ntask:"}


@dataclass(frozen=True)
class Kind:
    """A kind of description: its function, what `features` holds beside it, and further changes."""

    function: str
    features: str = ""
    changes: tuple[dict[str, str], ...] = ()

    def text(self, columns: str) -> str:
        inside = ", ".join(
            part
            for part in ('function: "features.py:build"' if self.function else "", self.features, columns)
            if part
        )
        text = SHOP.replace("FEATURES", f"features: {{{inside}}}")
        for change in self.changes:
            for old, new in change.items():
                assert old in text
                text = text.replace(old, new)
        return text


KINDS = {
    "by row, large": Kind(BY_ROW),
    "looks back": Kind(BACK, "look_back: 2 days"),
    "of a sample": Kind(BACK, "look_back: 2 days", (SAMPLE,)),
    "looks up": Kind(LOOKED, f"look_back: 1 day, {LOOKUP}"),
    "late labels": Kind(BACK, "look_back: 2 days", (LABELS,)),
    "no function": Kind(""),
    "no function, of a sample": Kind("", "", (SAMPLE,)),
}


def shop_rows(*, wide: bool) -> pa.Table:
    draw = np.random.default_rng(2)
    at = pd.date_range(DAYS[0], periods=len(DAYS) * 6, freq="4h", tz="UTC").as_unit("us")
    columns = {"at": at, **{name: draw.uniform(1, 2, len(at)) for name in SPARE}}
    price, stock = draw.uniform(1, 5, len(at)), draw.integers(0, 9, len(at))
    town = np.where(np.arange(len(at)) % 2 == 0, "east", "west")
    rows = pd.DataFrame({**columns, "price": price, "town": town, "stock": stock})
    rows["sold"] = (60 - 9 * price + stock).round()
    return pa.Table.from_pandas(
        rows if wide else rows[["at", "price", "stock", "sold"]], preserve_index=False
    )


def weather_rows() -> pa.Table:
    draw, towns = np.random.default_rng(4), ["east", "west"]
    at = pd.date_range(DAYS[0], periods=2 * len(DAYS), freq="12h", tz="UTC").as_unit("us")
    found = {"at": at.repeat(2), "town": towns * len(at), **dict.fromkeys(SPARE, 0.0)}
    rows = pd.DataFrame({**found, "rain": draw.gamma(2, size=2 * len(at))})
    return pa.Table.from_pandas(rows, preserve_index=False)


def by_day(rows: pa.Table) -> dict[str, pa.Table]:
    days = rows.column("at").to_pandas().dt.strftime("%Y-%m-%d").to_numpy()
    plain = [(f.name, pa.string() if pa.types.is_large_string(f.type) else f.type) for f in rows.schema]
    return {key: rows.cast(pa.schema(plain)).filter(pa.array(days == key)) for key in DAYS}


def spoil(pipeline: Pipeline, names: Sequence[str]) -> None:
    """Write over what the files of the partitions have of these columns."""
    for name in pipeline.lake.files(Table.PARTITIONS).values():
        where = f"{pipeline.name}/lake/{Table.PARTITIONS}/{name}"
        body = bytearray(pipeline.storage.read(where).body)
        group = pq.read_metadata(io.BytesIO(body)).row_group(0)
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema in names:
                start = min(filter(None, (column.dictionary_page_offset, column.data_page_offset)))
                body[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
        pipeline.storage.upload(where, io.BytesIO(body))
    with pytest.raises(EvergreenError):
        pipeline.lake.read(Table.PARTITIONS, DAY, DAY)


@dataclass(frozen=True)
class World:
    """A pipeline whose rows are published."""

    pipeline: Pipeline
    requested: list[dict[str, object]]

    @classmethod
    def of(
        cls,
        kind: Kind,
        folder: Path,
        storage: Storage,
        columns: str,
        *,
        wide: bool,
        spoilt: Sequence[str] = SPARE,
    ) -> World:
        files = {
            "shop/pipeline.yaml": kind.text(columns),
            "shop/features.py": kind.function,
            "shop/expectations.yaml": "[]\n",
            "weather/pipeline.yaml": WEATHER,
        }
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        pipeline, weather = (
            Pipeline(parse_spec(folder / name / "pipeline.yaml"), storage) for name in ("shop", "weather")
        )
        rows = by_day(shop_rows(wide=wide))
        weather.lake.replace(Table.PARTITIONS, by_day(weather_rows()))
        if pipeline.spec.labels:
            labels = {key: day.select(["at", "sold"]) for key, day in rows.items()}
            pipeline.lake.replace(Table.LABELS, labels)
            rows = {key: day.drop_columns(["sold"]) for key, day in rows.items()}
        pipeline.lake.replace(Table.PARTITIONS, rows)
        if columns:
            spoil(pipeline, spoilt)
            spoil(weather, SPARE)
        own = rows[DAY].drop_columns(["sold"] if "sold" in rows[DAY].column_names else [])
        sent = [row | {"at": row["at"].isoformat()} for row in own.to_pylist()]
        return cls(pipeline, sent)

    def trained(self) -> dict[str, object]:
        """A training set and a champion of it; what both are, without what names the version."""
        pipeline, spec = self.pipeline, self.pipeline.spec
        training_set, rows = read_training_set(pipeline, AS_OF, {})
        if spec.training.sample is None:  # a backtest has read more
            again = assemble(spec, read_rows(pipeline, DAYS[0], DAY), AS_OF, None, {})
            assert again.version == training_set.version
        model = LinearRegression().fit(training_set.features, training_set.target)
        asked = find_asked(spec, rows, AS_OF)
        files = {
            "model.skops": dump_model(model),
            "golden.parquet": golden_sample(spec, model, training_set.newest),
            ASKED: asked.to_json(),
            **feature_files(spec, [*training_set.features.columns]),
        }
        pipeline.registry.commit(training_set.version, files)
        pipeline.registry.promote(training_set.version, AS_OF, {})
        return {
            "features": training_set.features,
            "target": training_set.target,
            "holdout": training_set.holdout.tolist(),
            "asked": (asked.together, asked.by),
        }

    def scored(self) -> pd.DataFrame:
        score(self.pipeline, DAY)
        return to_frame(self.pipeline.lake.read(Table.PREDICTIONS).drop_columns(["version"]))

    def answered(self) -> list[dict[str, object]]:
        """What a server says of the day's rows, with all columns that are published."""
        model = load_checked_model(self.pipeline, str(self.pipeline.registry.champion()))
        served = Served.of(model, self.pipeline.lake.schema(Table.PARTITIONS))
        assert served.golden
        found = answer(served, Body(self.requested, whole=True))
        return [{name: said[name] for name in ("at", "prediction")} for said in found.rows]

    def given(self) -> pd.DataFrame:
        """What a person gets of rows that are given."""
        model = load_checked_model(self.pipeline, str(self.pipeline.registry.champion()))
        rows = rows_with_look_back(self.pipeline, DAY)
        own = to_frame(rows).query("partition == @DAY")
        [(key, table)] = given_with_look_back(model.pipeline, own).items()
        return to_frame(predictions(model, table, key).drop_columns(["version"]))


@pytest.mark.parametrize("name", KINDS)
def test_every_stage_gives_the_same_and_reads_only_these(name, tmp_path, new_storage, monkeypatch):
    kind = KINDS[name]
    if "large" in name:
        monkeypatch.setattr(large, "LARGE", 1)
    worlds = [
        World.of(kind, tmp_path / str(number), new_storage(), columns, wide=bool(columns or kind.function))
        for number, columns in enumerate(["columns: [price, stock]", ""])
    ]
    told = [world.trained() for world in worlds]
    pd.testing.assert_frame_equal(*(one.pop("features") for one in told), check_exact=True)
    pd.testing.assert_series_equal(*(one.pop("target") for one in told), check_exact=True)
    assert told[0] == told[1]
    if "large" in name:
        model = load_checked_model(worlds[0].pipeline, str(worlds[0].pipeline.registry.champion()))
        assert large.is_large(worlds[0].pipeline, model, DAY)
    pd.testing.assert_frame_equal(*(world.scored() for world in worlds), check_exact=True)
    pd.testing.assert_frame_equal(*(world.given() for world in worlds), check_exact=True)
    said, wanted = (world.answered() for world in worlds)
    assert said == wanted
    published = worlds[0].pipeline.lake.read(Table.PREDICTIONS, DAY, DAY).column("prediction").to_pylist()
    assert [one["prediction"] for one in said] == published


def test_a_version_is_scored_by_the_columns_that_it_was_trained_with(tmp_path, new_storage):
    kind = KINDS["looks back"]
    world = World.of(kind, tmp_path, new_storage(), "columns: [price, stock]", wide=True)
    world.trained()
    world.scored()
    file = world.pipeline.spec.folder / "pipeline.yaml"
    file.write_text(kind.text("columns: [stock]"))
    later = Pipeline(parse_spec(file), world.pipeline.storage)
    assert not score(later, DAY).changed
    with pytest.raises(SpecError, match=r"price.*name it in features\.columns"):
        read_training_set(later, AS_OF, {})


def test_a_night_is_judged_by_columns_that_no_function_gets(tmp_path, new_storage):
    """The column of slices, and the weight."""
    rules = "gate: {slices: [town]}\nmonitoring: {performance: {slices: [town]}}\ntarget: sold"
    weighed = {"target: sold": rules, "metric: mae": "metric: mae\n  weight: spare_0"}
    kind, found = replace(KINDS["looks back"], changes=(weighed,)), []
    for number, columns in enumerate(["columns: [price, stock]", ""]):
        world = World.of(kind, tmp_path / str(number), new_storage(), columns, wide=True, spoilt=SPARE[1:])
        pipeline = world.pipeline
        version = train(pipeline, AS_OF, {"kind": "test", "sentence": "a test asked for it"}).version
        assert score(pipeline, DAY).version == version
        monitor(pipeline, DAY)
        [record] = pipeline.lake.read(Table.MONITORING).to_pylist()
        metrics = json.loads(pipeline.registry.read(version, "metrics.json"))
        told = json.dumps([record | {"health": ""}, metrics["evaluation"]["slices"]])
        found.append(told.replace(version, ""))
    assert found[0] == found[1]
    assert "town=east" in found[0]
