"""A lender whose loans and labels lie in files, a file a day, and what of them is published."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.rows.local import TIME
from evergreen.spec import Spec, parse_spec
from evergreen.storage import Storage

LENDER = Path(__file__).parents[2] / "pipelines" / "lender" / "pipeline.yaml"
LOANS_A_DAY = 6


def day(number: int) -> str:
    """The key of a day, counted from 2024-01-01 as 0."""
    return str(np.datetime64("2024-01-01") + number)


def loans(first: int, count: int = 1) -> pd.DataFrame:
    """Loans of some days, numbered by day and place: `day * 100 + place`; large ones are repaid late."""
    return pd.concat([_loans_of(number) for number in range(first, first + count)], ignore_index=True)


def _loans_of(number: int) -> pd.DataFrame:
    place = np.arange(LOANS_A_DAY)
    amount = np.random.default_rng(number).uniform(1, 9, LOANS_A_DAY).round(2)
    at = pd.to_datetime([f"{day(number)}T{9 + p:02d}:00Z" for p in place]).as_unit("us")
    frame = pd.DataFrame({"loan": number * 100 + place, "granted_at": at, "amount": amount})
    return frame.assign(income=5.0 + place, late=amount > 5, partition=day(number))


@dataclass
class Lender:
    """The pipeline's folder and storage."""

    folder: Path
    storage: Storage = field(repr=False)

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline as it is described now."""
        return Pipeline(self.spec, self.storage)

    @property
    def spec(self) -> Spec:
        """The description as it is now."""
        return parse_spec(self.folder / "pipeline.yaml")

    def change(self, **parts: str) -> None:
        """Replace parts of the description: `delay="2 partitions"`."""
        file = self.folder / "pipeline.yaml"
        lines = file.read_text().splitlines()
        for name, value in parts.items():
            (at,) = [n for n, line in enumerate(lines) if line.strip().startswith(f"{name}:")]
            indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
            lines[at] = f"{indent}{name}: {value}"
        file.write_text("\n".join(lines) + "\n")

    def publish(self, first: int, count: int) -> None:
        """Publish the loans of some days."""
        rows = loans(first, count)
        schema = pa.schema(
            [("loan", pa.int64()), ("granted_at", TIME), ("amount", pa.float64()), ("income", pa.float64())]
        )
        contents = {
            str(key): pa.Table.from_pandas(part[schema.names], schema=schema, preserve_index=False)
            for key, part in rows.groupby("partition")
        }
        self.pipeline.lake.replace(Table.PARTITIONS, contents)

    def label(self, number: int, labels: str | pd.DataFrame | None = None) -> None:
        """Put the file of a day's labels in place; text is written as it is."""
        if labels is None:
            labels = loans(number)[["loan", "granted_at", "late"]]
        if isinstance(labels, pd.DataFrame):
            labels = labels.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
        (self.folder / "labels" / f"{day(number)}.csv").write_text(labels)

    def labels(self) -> dict[str, list[bool]]:
        """What is in the lake, by partition, in the order of the loans."""
        table = self.pipeline.lake.read(Table.LABELS).sort_by("loan").to_pylist()
        found: dict[str, list[bool]] = {}
        for row in table:
            found.setdefault(row["partition"], []).append(row["late"])
        return found


def write_lender(pipelines: Path) -> Path:
    """The pipeline of `tests/pipelines/lender` in a folder of its own, its sources files."""
    folder = pipelines / "lender"
    (folder / "labels").mkdir(parents=True)
    (folder / "loans").mkdir()
    sources = {
        "loans:": 'loans: {file: {path: "loans/{partition}.csv", time_column: granted_at}}',
        "source:": 'source: {file: {path: "labels/{partition}.csv", time_column: granted_at, types: TYPES}}',
    }
    lines = LENDER.read_text().splitlines()
    for at, line in enumerate(lines):
        for start, text in sources.items():
            if line.strip().startswith(start):
                lines[at] = f"  {text.replace('TYPES', '{loan: int, late: boolean}')}"
    (folder / "pipeline.yaml").write_text("\n".join(lines) + "\n")
    (folder / "expectations.yaml").write_text((LENDER.parent / "expectations.yaml").read_text())
    return folder


@pytest.fixture
def lender(tmp_path: Path, storage: Storage) -> Lender:
    """The pipeline with nothing published and no labels in place."""
    return Lender(write_lender(tmp_path / "pipelines"), storage)
