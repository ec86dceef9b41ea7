"""Nights in any order, at once, and with runs that are killed: the same predictions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring import score as scoring
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.order import with_later
from evergreen.scoring.ranges import score_range
from evergreen.scoring.score import Scored, score
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from tests.campaign import examples
from tests.unit.scoring.conftest import sales, trained_on

KIOSK = parse_spec(Path(__file__).parents[2] / "pipelines" / "kiosk" / "pipeline.yaml").model_copy(
    update={"scoring": None}
)
DAYS = [f"2024-01-{day:02d}" for day in range(12, 19)]
ROWS = {
    str(key): pa.Table.from_pandas(part.drop(columns="partition"), preserve_index=False)
    for key, part in sales(18).groupby("partition")
}


class KilledError(BaseException):
    """Ends a run as a signal would: nothing of it goes on."""


def history(storage: Storage) -> Pipeline:
    """A champion as of the first of `DAYS`, and what was published before it."""
    pipeline = Pipeline(KIOSK, storage)
    pipeline.lake.replace(Table.PARTITIONS, {key: rows for key, rows in ROWS.items() if key < DAYS[0]})
    _promote(pipeline)
    return pipeline


def _promote(pipeline: Pipeline) -> None:
    rows = sales(18)
    # A night whose whole look-back is missing has no value of `level`.
    model = trained_on(KIOSK, rows, make_pipeline(SimpleImputer(), LinearRegression()))
    golden = golden_sample(KIOSK, model, rows[rows["partition"] < DAYS[0]])
    version = f"{DAYS[0]}-0123456789ab"
    pipeline.registry.commit(version, {"model.skops": dump_model(model), "golden.parquet": golden})
    pipeline.registry.promote(version, DAYS[0], {})


def night(pipeline: Pipeline, day: str) -> None:
    """What follows from a day: it is published, and scored with those that were scored without it."""
    pipeline.lake.replace(Table.PARTITIONS, {day: ROWS[day]})
    for each in with_later(pipeline, [day]):
        score(pipeline, each)


def predictions(pipeline: Pipeline) -> list[dict[str, object]]:
    return pipeline.lake.read(Table.PREDICTIONS).sort_by("at").to_pylist()


@pytest.fixture(scope="module")
def in_order(new_storage: Callable[[], Storage]) -> list[dict[str, object]]:
    pipeline = history(new_storage())
    for day in DAYS:
        night(pipeline, day)
    return predictions(pipeline)


@settings(max_examples=examples(3), deadline=None)
@given(order=st.permutations(DAYS), killed=st.integers(1, 12))
def test_any_order_and_a_run_that_is_killed_end_the_same(
    new_storage: Callable[[], Storage], in_order: list[dict[str, object]], order: list[str], killed: int
) -> None:
    pipeline, publish, calls = history(new_storage()), scoring.publish, count(1)

    def killing(*arguments: Any) -> Scored:
        if next(calls) == killed:
            raise KilledError
        return publish(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "publish", killing)
        for day in order:
            with suppress(KilledError):
                night(pipeline, day)
                continue
            night(pipeline, day)
    assert next(calls) > min(killed, len(DAYS))
    assert predictions(pipeline) == in_order


def test_nights_at_once_end_the_same(
    new_storage: Callable[[], Storage], in_order: list[dict[str, object]]
) -> None:
    storage = history(new_storage()).storage
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda day: night(Pipeline(KIOSK, storage), day), DAYS[::-1]))
    assert predictions(Pipeline(KIOSK, storage)) == in_order


def test_rows_that_are_published_while_a_night_is_scored_are_seen(
    new_storage: Callable[[], Storage], in_order: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, publish = history(new_storage()), scoring.publish
    hole, day = DAYS[:2]
    pipeline.lake.replace(Table.PARTITIONS, {day: ROWS[day]})

    def meanwhile(*arguments: Any) -> Scored:
        pipeline.lake.replace(Table.PARTITIONS, {hole: ROWS[hole]})
        return publish(*arguments)

    monkeypatch.setattr(scoring, "publish", meanwhile)
    assert score(pipeline, day).changed
    assert predictions(pipeline) == [row for row in in_order if row["partition"] == day]


def test_a_range_scores_those_first_that_lack_it(kiosk: Pipeline) -> None:
    _promote(kiosk)
    first, hole, later, far = "2024-01-12", "2024-01-14", "2024-01-17", "2024-01-18"
    for day in (first, later, far):
        score(kiosk, day)
    assert with_later(kiosk, [hole]) == [later, hole]
    assert [key for key, _ in score_range(kiosk, [hole, "2024-01-15"])] == [later, far, hole, "2024-01-15"]
    assert with_later(kiosk, [hole]) == [hole]


@pytest.mark.parametrize(
    ("grain", "look_back", "reached"),
    [
        ("hourly", "3 hours", 3),
        ("daily", "3 days", 3),
        ("weekly", "14 days", 2),
        ("monthly", "2 months", 2),
    ],
)
def test_at_every_grain_those_are_scored_again_whose_look_back_has_the_hole(
    new_storage: Callable[[], Storage], tmp_path: Path, grain: str, look_back: str, reached: int
) -> None:
    text = (KIOSK.folder / "pipeline.yaml").read_text()
    text = text.replace("partition: daily", f"partition: {grain}").replace(
        "look_back: 3 days", f"look_back: {look_back}"
    )
    (tmp_path / "kiosk").mkdir()
    (tmp_path / "kiosk" / "pipeline.yaml").write_text(text)
    spec = parse_spec(tmp_path / "kiosk" / "pipeline.yaml")
    pipeline = Pipeline(spec, new_storage())
    hole = spec.first_partition
    later = [spec.calendar.shift(hole, number) for number in range(1, 6)]
    pipeline.lake.replace(Table.PREDICTIONS, {key: pa.table({"prediction": [1.0]}) for key in later})
    assert with_later(pipeline, [hole]) == [*later[:reached], hole]
