"""A folder of pipelines that share feature sets and look each other up, and what they have published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.spec import parse_spec
from evergreen.storage import Storage

SALES = """
name: sales
description: Units sold by shops, four times a day
owner: team
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  sales: {file: {path: sales.csv, time_column: at}}
key: [shop, at]
features:
  function: "features.py:build"
  look_back: 2 days
  sets: [clock, demand]
  lookups:
    offer:
      pipeline: offers
      on: {shop: place}
      columns: [price, special, leaflets, label]
      known_at: announced
      max_age: 9 days
task: regression
target: sold
training:
  window: 60 days
  minimum: 10 partitions
  holdout: 7 days
  metric: mae
  candidates: [{estimator: sklearn.linear_model.Ridge}]
"""

OFFERS = """
name: offers
description: What shops offer, announced some hours before or after it holds
owner: team
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  offers: {file: {path: offers.csv, time_column: holds_from}}
key: [place, holds_from]
task: regression
target: price
training: {metric: mae, holdout: 7 days, candidates: [{estimator: sklearn.linear_model.Ridge}]}
"""

PLACES = """
name: places
description: Where shops are
owner: team
schedule: "@weekly"
partition: snapshot
sources:
  places: {file: {path: places.csv}}
key: [place]
task: clustering
training: {metric: silhouette, candidates: [{estimator: sklearn.cluster.KMeans}]}
"""

OWN = '''
def build(rows):
    """The offer as it was known, and how it compares with the shop's two days before."""
    price = rows["offer_price"]
    earlier = price.groupby(rows["shop"]).shift(4)
    return rows[["offer_special", "offer_leaflets"]].assign(
        price=price, dearer=price - earlier, labelled=rows["offer_label"].notna()
    )
'''

CLOCK = '''
import numpy as np

def build(rows):
    """The hour of the day on a circle."""
    angle = rows["at"].dt.hour * (2 * np.pi / 24)
    return rows[[]].assign(hour_sin=np.sin(angle), hour_cos=np.cos(angle))
'''

DEMAND = '''
import numpy as np

def build(rows):
    """Units sold in the shop on each of the seven days before, and their sum."""
    midnight = rows["at"].dt.normalize()
    day = (midnight - midnight.iloc[0]).dt.days.to_numpy()
    names, shop = np.unique(rows["shop"].to_numpy(str), return_inverse=True)
    sold = np.zeros((day[-1] + 1, len(names)))
    np.add.at(sold, (day, shop), rows["sold"].to_numpy(float))
    lags = {}
    for lag in range(1, 8):
        earlier = np.full(sold.shape, np.nan)
        earlier[lag:] = sold[:-lag]
        lags[f"sold_{lag}_days_before"] = earlier[day, shop]
    week = sum(np.nan_to_num(values) for values in lags.values())
    return rows[[]].assign(**lags, week=week)
'''

DAYS = 100


@dataclass(frozen=True)
class Shops:
    """The folder of pipelines and the storage that their rows are in."""

    folder: Path
    storage: Storage | None

    def open(self, name: str = "sales", changes: dict[str, str] | None = None) -> Pipeline:
        """A pipeline as it is described now; `changes` replace parts of its text for good."""
        file = self.folder / name / "pipeline.yaml"
        text = file.read_text()
        for old, new in (changes or {}).items():
            assert old in text
            text = text.replace(old, new)
        file.write_text(text)
        return Pipeline(parse_spec(file), self.storage)  # type: ignore[arg-type]

    def publish(self, name: str, rows: pa.Table | pd.DataFrame) -> None:
        """Publish rows that have a column `partition`; as when they are ingested, texts are `string`."""
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
        plain = {pa.large_string(): pa.string()}
        table = table.cast(
            pa.schema([(field.name, plain.get(field.type, field.type)) for field in table.schema])
        )
        keys = sorted(set(table.column("partition").to_pylist()))
        here = {key: table.filter(pc.equal(table.column("partition"), key)) for key in keys}
        contents = {key: part.drop_columns(["partition"]) for key, part in here.items()}
        self.open(name).lake.replace(Table.PARTITIONS, contents)


def write(folder: Path) -> None:
    files = {
        "sales/pipeline.yaml": SALES,
        "sales/features.py": OWN,
        "offers/pipeline.yaml": OFFERS,
        "places/pipeline.yaml": PLACES,
        "feature_sets/clock/feature_set.yaml": 'description: c\nowner: o\nfunction: "features.py:build"\n',
        "feature_sets/clock/features.py": CLOCK,
        "feature_sets/demand/feature_set.yaml": (
            'description: d\nowner: o\nfunction: "features.py:build"\nlook_back: 7 days\n'
        ),
        "feature_sets/demand/features.py": DEMAND,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def sales_rows(days: int = DAYS) -> pd.DataFrame:
    """Three shops, four rows a day each; now and then one is missing."""
    random = np.random.default_rng(11)
    at = pd.date_range("2024-01-01T06:00", periods=days * 4, freq="6h", tz="UTC").as_unit("us")
    rows = pd.DataFrame({"at": np.repeat(at, 3), "shop": np.tile(["east", "north", "west"], len(at))})
    rows["sold"] = random.gamma(3.0, 7.0, len(rows))
    rows["partition"] = rows["at"].dt.strftime("%Y-%m-%d")
    return rows[random.random(len(rows)) > 0.03].reset_index(drop=True)


def offer_rows(days: int = DAYS) -> pd.DataFrame:
    """Some offers a day, announced from two days before they hold to two days after; one in ten never is."""
    random = np.random.default_rng(12)
    held = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(
        np.sort(random.uniform(0, days * 24 * 60, 2 * days)).round(), unit="min"
    )
    count = len(held)
    rows = pd.DataFrame(
        {
            "place": random.choice(["east", "north", "south"], count),
            "holds_from": held.as_unit("us"),
            "announced": (held + pd.to_timedelta(random.uniform(-48, 48, count), unit="h")).as_unit("us"),
            "price": random.uniform(1, 9, count),
            "special": random.random(count) < 0.3,
            "leaflets": random.integers(0, 5000, count),
            "label": np.where(random.random(count) < 0.5, "week", None),
            "partition": held.strftime("%Y-%m-%d"),
        }
    )
    rows.loc[random.random(count) < 0.1, "announced"] = pd.NaT
    return rows


@pytest.fixture
def shops(tmp_path: Path) -> Shops:
    """The folder alone, without a storage."""
    write(tmp_path / "pipelines")
    return Shops(tmp_path / "pipelines", None)


@pytest.fixture
def stored_shops(tmp_path: Path, storage: Storage) -> Shops:
    """The folder, and a storage in which nothing is published."""
    write(tmp_path / "pipelines")
    return Shops(tmp_path / "pipelines", storage)


@pytest.fixture
def open_shops(stored_shops: Shops) -> Shops:
    """The folder, and a hundred days of sales and offers that are published."""
    stored_shops.publish("sales", sales_rows())
    stored_shops.publish("offers", offer_rows())
    return stored_shops
