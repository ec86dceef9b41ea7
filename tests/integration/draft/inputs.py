"""Data of the kinds that people have, each in another form, from which `evergreen new` drafts a pipeline."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd

from evergreen.connections import Connection
from tests.http_peers import Asked, Said
from tests.integration.connected import connected

Write = Callable[[pd.DataFrame, Path], list[str]]
"""Writes rows below a folder; gives the options of `evergreen new` that name them."""


@dataclass(frozen=True)
class Input:
    """Rows, how they are written, and what must be told of them."""

    name: str
    rows: Callable[[np.random.Generator], pd.DataFrame]
    write: Write
    told: Mapping[str, Any]
    left_out: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    needs: str = field(default="file")


def _file(name: str, content: Callable[[pd.DataFrame], bytes]) -> Write:
    def write(rows: pd.DataFrame, folder: Path) -> list[str]:
        (folder / name).write_bytes(content(rows))
        return ["--from", str(folder / name)]

    return write


def csv(**options: Any) -> Callable[[pd.DataFrame], bytes]:
    return lambda rows: rows.to_csv(index=False, **options).encode()


def json_lines(rows: pd.DataFrame) -> bytes:
    return rows.to_json(orient="records", lines=True, date_format="iso").encode()


def parquet(rows: pd.DataFrame) -> bytes:
    found = io.BytesIO()
    rows.to_parquet(found, index=False)
    return found.getvalue()


def excel(rows: pd.DataFrame) -> bytes:
    book, found = openpyxl.Workbook(), io.BytesIO()
    for row in (list(rows.columns), *rows.astype(object).where(rows.notna(), None).to_numpy().tolist()):
        book.active.append(row)
    book.save(found)
    return found.getvalue()


def sales(random: np.random.Generator) -> pd.DataFrame:
    """What three shops sold a day: `day` and `shop` name a row."""
    days, shops = pd.date_range("2022-01-01", periods=60).date, ["Nord", "Mitte", "Süd"]
    rows = pd.DataFrame([(day, shop) for day in days for shop in shops], columns=["day", "shop"])
    rows["temperature"] = random.normal(12, 5, len(rows)).round(1)
    rows["promotion"] = random.random(len(rows)) < 0.3
    level = rows["shop"].map({"Nord": 100.0, "Mitte": 400.0, "Süd": 250.0})
    rows["revenue"] = (level + 3 * rows["temperature"] + 40 * rows["promotion"]).round(2)
    rows["revenue"] += random.normal(0, 5, len(rows)).round(2)
    return rows


def sensors(random: np.random.Generator) -> pd.DataFrame:
    """A measurement every two hours without a header, the last column the load; the time names a row."""
    times = pd.date_range("2023-03-01", periods=40 * 12, freq="2h")
    warmth = 10 + 8 * np.sin(times.hour / 24 * 6.28) + random.normal(0, 1, len(times))
    rows = pd.DataFrame({"at": times.strftime("%Y-%m-%d %H:%M:%S"), "warmth": warmth.round(3)})
    rows["wet"] = random.uniform(20, 90, len(times)).round(2)
    rows["load"] = (500 - 12 * warmth + random.normal(0, 8, len(times))).round(2)
    return rows


def churn(random: np.random.Generator) -> pd.DataFrame:
    """Customers who left or stayed, with texts, gaps, and a remark of their own."""
    rows = pd.DataFrame({"customer_id": [f"C{number:05d}" for number in range(400)]})
    rows["plan"] = random.choice(["basic", "plus", "pro"], len(rows))
    rows["months"] = random.integers(1, 60, len(rows)).astype(float)
    rows["calls"] = np.where(random.random(len(rows)) < 0.2, np.nan, random.poisson(3, len(rows)))
    rows["remark"] = [f"spoke to agent {number} about the bill" for number in random.permutation(len(rows))]
    odds = 1.5 - 0.08 * rows["months"] + 0.4 * rows["calls"].fillna(3) - (rows["plan"] == "pro")
    rows["churned"] = np.where(random.random(len(rows)) < 1 / (1 + np.exp(-odds)), "yes", "no")
    return rows


def rides(random: np.random.Generator) -> pd.DataFrame:
    """Hourly rides, of which casual and registered ones add up to the count, and when they were loaded."""
    times = pd.date_range("2023-05-01", periods=30 * 24, freq="h", tz="UTC")
    rows = pd.DataFrame({"ride_hour": times, "season": 2, "wind": random.uniform(0, 30, len(times))})
    level = 60 + 50 * np.sin((times.hour - 6) / 24 * 6.28) - rows["wind"]
    rows["casual"] = random.poisson(np.clip(level / 4, 1, None))
    rows["registered"] = random.poisson(np.clip(level, 1, None))
    rows["loaded_at"] = times + pd.Timedelta("3h")
    rows["cnt"] = rows["casual"] + rows["registered"]
    return rows


def species(random: np.random.Generator) -> pd.DataFrame:
    """Three kinds of flowers by measurements, with a code that gives the kind away."""
    names = np.repeat(["setosa", "versicolor", "virginica"], 60)
    size = np.repeat([1.5, 4.2, 5.6], 60)
    rows = pd.DataFrame({"nr": np.arange(1, 181), "length": (size + random.normal(0, 0.3, 180)).round(2)})
    rows["width"] = (size / 3 + random.normal(0, 0.2, 180)).round(2)
    rows["species_code"] = np.repeat(["s", "e", "a"], 60)
    rows["species"] = names
    return rows.sample(frac=1, random_state=0, ignore_index=True)


def iris(random: np.random.Generator) -> pd.DataFrame:
    """Measurements of three kinds of flowers without a name for a row, some of them twice."""
    size = np.repeat([1.5, 4.2, 5.6], 50)
    rows = pd.DataFrame({"petal_length": (size + random.normal(0, 0.3, 150)).round(1)})
    rows["petal_width"] = (size / 3 + random.normal(0, 0.2, 150)).round(1)
    rows["species"] = np.repeat(["setosa", "versicolor", "virginica"], 50)
    rows.iloc[1:4] = rows.iloc[0]
    return rows


def wine(random: np.random.Generator) -> pd.DataFrame:
    """Measurements of wines without a name for a row, one of them different in each by chance."""
    alcohol = random.normal(10.5, 1, 600).round(1)
    rows = pd.DataFrame({"alcohol": alcohol, "sulphates": random.gamma(9, 0.07, 600).round(2)})
    rows["total_sulfur"] = random.choice(np.arange(10, 5_000, 7), 600, replace=False)
    rows["quality"] = (
        (5.6 + 0.9 * (alcohol - 10.5) + random.normal(0, 0.4, 600)).round().clip(3, 8).astype(int)
    )
    return rows


def orders(random: np.random.Generator) -> pd.DataFrame:
    """Orders with a time, texts, NULLs and the moment of the last change."""
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.sort(random.uniform(0, 45, 900)), "D")
    rows = pd.DataFrame({"order_id": np.arange(1001, 1901), "ordered_at": times})
    rows["country"] = random.choice(["DE", "FR", "IT", None], len(rows), p=[0.5, 0.25, 0.2, 0.05])
    rows["items"] = random.integers(1, 9, len(rows))
    rows["weight"] = np.where(random.random(len(rows)) < 0.1, np.nan, random.gamma(3, 2, len(rows)).round(2))
    rows["updated_at"] = times + pd.Timedelta("2D")
    rows["amount"] = (rows["items"] * 20 + (rows["country"] == "FR") * 35 + random.normal(0, 6, 900)).round(2)
    return rows


def nights(random: np.random.Generator) -> pd.DataFrame:
    """One row a day over more than a year."""
    days = pd.date_range("2021-01-01", periods=420)
    rows = pd.DataFrame({"date": days.strftime("%d.%m.%Y"), "holiday": random.random(len(days)) < 0.05})
    rows["price_of_gas"] = random.uniform(20, 60, len(days)).round(2)
    weekend = days.dayofweek >= 5
    rows["demand"] = (
        900 - 200 * weekend - 3 * rows["price_of_gas"] + random.normal(0, 20, len(days))
    ).round()
    return rows


def fraud(random: np.random.Generator) -> pd.DataFrame:
    """Payments of which 4 % are fraud."""
    rows = pd.DataFrame({"payment_id": np.arange(1, 3001), "amount": random.gamma(2, 40, 3000).round(2)})
    rows["channel"] = random.choice(["card", "wire", "app"], len(rows))
    odds = -5.2 + 0.012 * rows["amount"] + 1.5 * (rows["channel"] == "wire")
    rows["is_fraud"] = (random.random(len(rows)) < 1 / (1 + np.exp(-odds))).astype(int)
    return rows


def tickets(random: np.random.Generator) -> pd.DataFrame:
    """Tickets of five teams, of which the last is rare."""
    team = random.choice(
        ["billing", "login", "network", "sales", "legal"], 800, p=[0.35, 0.3, 0.2, 0.11, 0.04]
    )
    rows = pd.DataFrame({"ticket": [f"T-{number}" for number in range(800)]})
    rows["words"] = (random.normal(40, 5, 800) + (team == "legal") * 60 + (team == "sales") * 25).round()
    hint = {
        "billing": "invoice",
        "login": "password",
        "network": "vpn",
        "sales": "quote",
        "legal": "contract",
    }
    known = random.random(800) < 0.8
    rows["subject"] = np.where(known, pd.Series(team).map(hint), "other")
    rows["team"] = team
    return rows


def houses(random: np.random.Generator) -> pd.DataFrame:
    """Houses with texts and missing values; the price in thousands is the price again."""
    rows = pd.DataFrame({"Id": np.arange(1, 501), "Area": random.normal(120, 35, 500).round(1)})
    rows["Zone"] = random.choice(["RL", "RM", "FV", None], 500, p=[0.5, 0.3, 0.1, 0.1])
    rows["Garage"] = np.where(random.random(500) < 0.3, np.nan, random.integers(0, 3, 500))
    rows["SalePrice"] = (
        rows["Area"] * 1800 + (rows["Zone"] == "RL") * 40_000 + random.normal(0, 9e3, 500)
    ).round()
    rows["PriceK"] = rows["SalePrice"] / 1000
    return rows


def visits(random: np.random.Generator) -> pd.DataFrame:
    """Nothing but ids, dates and the target."""
    days = pd.date_range("2023-01-02", periods=70)
    rows = pd.DataFrame(
        [(day, store) for day in days for store in (101, 102, 107)], columns=["date", "store_id"]
    )
    level = rows["store_id"].map({101: 50, 102: 90, 107: 200}) + 30 * (rows["date"].dt.dayofweek >= 5)
    rows["visitors"] = random.poisson(level)
    rows["date"] = rows["date"].dt.strftime("%Y-%m-%d")
    return rows


def to_table(rows: pd.DataFrame, server: Connection) -> None:
    """Write rows to the table `shop.orders` of a database."""
    kinds = {"order_id": "bigint PRIMARY KEY", "ordered_at": "timestamptz NOT NULL", "country": "text"}
    kinds |= {
        "items": "integer",
        "weight": "double precision",
        "updated_at": "timestamptz",
        "amount": "numeric",
    }
    with connected(server) as session:
        session.execute("CREATE SCHEMA shop")
        session.execute(f"CREATE TABLE shop.orders ({', '.join(f'{n} {kinds[n]}' for n in rows.columns)})")
        marks = ", ".join(["%s"] * len(rows.columns))
        values = rows.astype(object).where(rows.notna(), None).to_numpy().tolist()
        session.cursor().executemany(f"INSERT INTO shop.orders VALUES ({marks})", values)


def pages(rows: pd.DataFrame, size: int = 100) -> Callable[[Asked], Said]:
    """An API of these rows, `size` to a page, each of which has the address of the next."""
    records = json.loads(rows.to_json(orient="records", date_format="iso"))

    def answer(asked: Asked) -> Said:
        start = int(asked.path.partition("after=")[2] or 0)
        more = start + size < len(records)
        next_ = f"/v1/visits?after={start + size}" if more else None
        return Said(body=json.dumps({"items": records[start : start + size], "next": next_}).encode())

    return answer


SNAPSHOT = {"partition": "snapshot", "time_column": None}
INPUTS = [
    Input("sales", sales, _file("sales.csv", csv(sep=";", decimal=",")),
          {"key": ["day", "shop"], "time_column": "day", "partition": "daily", "target": "revenue",
           "task": "regression"}),
    Input("sensors", sensors, _file("sensors.csv", csv(header=False)),
          {"key": ["column_1"], "time_column": "column_1", "partition": "daily", "target": "column_4",
           "task": "regression"}),
    Input("churn", churn, _file("churn.jsonl", json_lines),
          {**SNAPSHOT, "key": ["customer_id"], "target": "churned", "task": "classification",
           "metric": "roc_auc"}, ("remark",)),
    Input("rides", rides, _file("rides.parquet", parquet),
          {"key": ["ride_hour"], "time_column": "ride_hour", "partition": "daily", "target": "cnt",
           "task": "regression"}, ("season", "casual", "registered", "loaded_at")),
    Input("species", species, _file("species.xlsx", excel),
          {**SNAPSHOT, "key": ["nr"], "target": "species", "task": "classification", "metric": "accuracy"},
          ("species_code",)),
    Input("iris", iris, _file("iris.csv", csv()),
          {**SNAPSHOT, "key": ["row"], "target": "species", "task": "classification"}),
    Input("wine", wine, _file("wine.csv", csv(sep=";")), {**SNAPSHOT, "key": ["row"], "target": "quality"}),
    Input("nights", nights, _file("nights.csv.gz", lambda rows: gzip.compress(csv()(rows))),
          {"key": ["date"], "time_column": "date", "partition": "daily", "target": "demand",
           "task": "regression"}),
    Input("fraud", fraud, _file("fraud.csv", csv()),
          {**SNAPSHOT, "key": ["payment_id"], "target": "is_fraud", "task": "classification",
           "metric": "pr_auc"}),
    Input("tickets", tickets, _file("tickets.csv", csv(sep="\t")),
          {**SNAPSHOT, "key": ["ticket"], "target": "team", "task": "classification", "metric": "f1"}),
    Input("houses", houses, _file("houses.csv", csv()),
          {**SNAPSHOT, "key": ["Id"], "target": "SalePrice", "task": "regression"}, ("PriceK",)),
    Input("orders", orders, lambda *_: [],
          {"key": ["order_id"], "time_column": "ordered_at", "partition": "daily", "target": "amount",
           "task": "regression"}, ("updated_at",), needs="database"),
    Input("visits", visits, lambda *_: [],
          {"key": ["date", "store_id"], "time_column": "date", "partition": "daily", "target": "visitors",
           "task": "regression"}, options=("--target", "visitors"), needs="api"),
    Input("footfall", visits, _file("footfall.csv", csv()),
          {"key": ["date", "store_id"], "time_column": "date", "partition": "daily", "target": "visitors",
           "task": "regression"}),
]  # fmt: skip
