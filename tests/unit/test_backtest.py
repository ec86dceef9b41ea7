"""The backtest: schedules counted by hand, nothing seen of the future, and the processes it runs in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.backtest import PolicyResult, backtest, ensure_published, parse_policy
from evergreen.backtest.history import History
from evergreen.backtest.replay import replay
from evergreen.backtest.run import run_policies
from evergreen.errors import NotFoundError, NothingToDoError, SpecError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.scoring.predict import partition_features
from evergreen.spec import Limit, Performance, Spec, parse_spec
from evergreen.storage import Storage

TESTS = Path(__file__).parents[1]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml")
DAYS = list(KIOSK.calendar.between("2024-01-01", "2024-03-31"))


def sales(days: int = 60, growth_from: int = 10_000) -> pd.DataFrame:
    """Four rows a day; sales follow the temperature, and from a day on they are three times as high."""
    draw = np.random.default_rng(7)
    at = [pd.Timestamp(key, tz="UTC") + pd.Timedelta(hours=h) for key in DAYS[:days] for h in (6, 10, 14, 18)]
    temperature = 20 + 5 * draw.normal(size=4 * days)
    level = np.where(np.arange(4 * days) // 4 >= growth_from, 3.0, 1.0)
    frame = pd.DataFrame({"at": pd.DatetimeIndex(at).as_unit("us"), "temperature": temperature})
    frame["sold"] = level * temperature + draw.normal(size=4 * days)
    return frame.assign(partition=frame["at"].dt.strftime("%Y-%m-%d"))


def run(rows: pd.DataFrame, name: str, first: int, last: int, spec: Spec = KIOSK) -> PolicyResult:
    def silent(policy: str, partitions: int) -> None:
        pass

    return replay(spec, History(spec, rows), parse_policy(name), DAYS[first], DAYS[last], progress=silent)


@pytest.mark.parametrize(
    ("name", "trainings"), [("never", 1), ("every 7", 5), ("every 10", 3), ("every 1", 30)]
)
def test_fixed_schedules_by_count(name: str, trainings: int) -> None:
    # 30 days: trainings as of day 10, 17, 24, 31, 38 for every 7
    result = run(sales(), name, 10, 39)
    assert result.trainings == trainings
    assert result.promotions + result.refusals == trainings
    assert (result.policy, result.metric) == (name, "mae")
    assert result.seconds > 0


def test_the_first_model_waits_for_the_least_history() -> None:
    # `minimum: 10 partitions`: the first five days of the stretch have no champion and are not scored
    seen = run(sales(), "never", 5, 20)
    assert seen.value == run(sales(), "never", 10, 20).value
    assert run(sales(days=8), "never", 0, 7) == PolicyResult(
        "never", "mae", None, 0, 0, 0, pytest.approx(0, abs=60)
    )


def test_the_value_is_the_error_over_all_rows() -> None:
    rows = sales()
    # Day 12 has one row only: a mean of days would weigh it as much as the others.
    one = rows[(rows["partition"] != DAYS[12])]
    rows = pd.concat([one, rows[rows["partition"] == DAYS[12]].iloc[:1].assign(sold=500.0)])
    result = run(rows, "never", 10, 13)
    history = History(KIOSK, rows)
    errors = []
    for key in DAYS[10:14]:
        own = run(rows, "never", 10, 10)
        assert own.trainings == 1
        errors.append(len(history.own_rows(key)))
    assert errors == [4, 4, 1, 4]
    days = [run_one_day(rows, day) for day in range(10, 14)]
    expected = sum(error * count for error, count in zip(days, errors, strict=True)) / sum(errors)
    assert result.value == pytest.approx(expected)


def run_one_day(rows: pd.DataFrame, day: int) -> float:
    """The error of one day by a model as of day 10, fit here by hand."""
    from evergreen.training.dataset import assemble
    from evergreen.training.fit import fit_challenger

    model = fit_challenger(KIOSK, assemble(KIOSK, rows, DAYS[10], None, {})).final
    features = partition_features(KIOSK, rows.reset_index(drop=True), DAYS[day])
    actual = rows.reset_index(drop=True).loc[features.index, "sold"]
    return float(np.abs(model.predict(features) - actual).mean())


def test_the_configured_policy_answers_a_change() -> None:
    rows = sales(growth_from=25)
    # Only a performance signal: with staleness off, what is trained is trained for the change.
    retrain = KIOSK.monitoring.retrain.model_copy(update={"on": ("performance",)})
    spec = KIOSK.model_copy(update={"monitoring": KIOSK.monitoring.model_copy(update={"retrain": retrain})})
    configured, never = run(rows, "configured", 10, 59, spec), run(rows, "never", 10, 59, spec)
    assert 1 < configured.trainings < 15
    assert configured.value is not None
    assert never.value is not None
    assert configured.value < never.value / 2


def test_the_configured_policy_rests_where_nothing_changes() -> None:
    monitoring = KIOSK.monitoring.model_copy(
        update={
            "retrain": KIOSK.monitoring.retrain.model_copy(update={"on": ("performance",)}),
            "performance": Performance(tolerance=3.0, over=5),
        }
    )
    spec = KIOSK.model_copy(update={"monitoring": monitoring})
    assert run(sales(), "configured", 10, 59, spec).trainings == 1


def test_a_gate_that_refuses_all_leaves_nothing_scored() -> None:
    gate = KIOSK.gate.model_copy(update={"limits": {"mae": Limit(max=1e-9)}})
    result = run(sales(), "every 7", 10, 39, KIOSK.model_copy(update={"gate": gate}))
    assert (result.value, result.promotions) == (None, 0)
    # no champion: tried again after each cooldown of 4, and at most 3 times in 20 partitions
    assert result.trainings == result.refusals == 6


def test_nothing_of_the_future_is_seen() -> None:
    planted = sales()
    later = planted["partition"] > DAYS[30]
    planted.loc[later, ["temperature", "sold"]] = 99_999.0
    for name in ("configured", "every 7"):
        with_marker, without = run(planted, name, 10, 30), run(sales(), name, 10, 30)
        assert with_marker.value == without.value
        assert with_marker.trainings == without.trainings


def test_history_cuts_by_partition() -> None:
    rows = sales().sample(frac=1, random_state=1)
    history = History(KIOSK, rows)
    assert history.partitions == DAYS[:60]
    assert sorted(history.rows(DAYS[3], DAYS[5])["partition"].unique()) == DAYS[3:5]
    assert history.rows("2023-01-01", DAYS[0]).empty
    assert history.published(DAYS[58], DAYS[90]) == DAYS[58:60]
    alone = partition_features(KIOSK, sales(), DAYS[20])
    pd.testing.assert_frame_equal(
        history.features(DAYS[20]).reset_index(drop=True), alone.reset_index(drop=True)
    )
    assert history.before(DAYS[55])["partition"].min() == DAYS[12]  # 40 days of window, 3 of look-back


def test_days_that_are_not_published_are_passed_over() -> None:
    rows = sales()
    rows = rows[~rows["partition"].isin(DAYS[14:18])]
    assert run(rows, "every 7", 10, 39).value is not None


@pytest.mark.parametrize("name", ["always", "every", "every 0", "every -7", "every 7 days"])
def test_an_unknown_policy(name: str) -> None:
    with pytest.raises(SpecError, match=r"no policy '.*': write 'configured', 'never', or 'every 7'"):
        parse_policy(name)


def test_processes_give_what_one_process_gives() -> None:
    steps: Counter[str] = Counter()
    policies = [parse_policy(name) for name in ("never", "every 7")]
    apart = run_policies(
        KIOSK,
        sales(),
        policies,
        DAYS[10],
        DAYS[29],
        progress=lambda name, n: steps.update({name: n}),
        workers=2,
    )
    together = run_policies(KIOSK, sales(), policies, DAYS[10], DAYS[29], workers=1)
    assert [without_seconds(r) for r in apart] == [without_seconds(r) for r in together]
    assert [r.policy for r in apart] == ["never", "every 7"]
    assert steps == {"never": 20, "every 7": 20}


def without_seconds(result: PolicyResult) -> tuple[Any, ...]:
    return (result.policy, result.value, result.trainings, result.promotions, result.refusals)


def test_an_error_in_a_process_comes_out_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "features.py").write_text("def build(rows):\n    raise ValueError('bad day')\n")
    broken = KIOSK.model_copy(update={"folder": tmp_path})
    policies = [parse_policy(name) for name in ("never", "every 7")]
    with pytest.raises(SpecError, match="bad day"):
        run_policies(broken, sales(), policies, DAYS[10], DAYS[29], workers=2)


def publish(storage: Storage, rows: pd.DataFrame) -> Pipeline:
    pipeline = Pipeline(KIOSK, storage)
    parts = {
        str(key): pa.Table.from_pandas(part.drop(columns="partition"), preserve_index=False)
        for key, part in rows.groupby("partition")
    }
    pipeline.lake.replace(Table.PARTITIONS, parts)
    return pipeline


def test_from_the_lake_and_nothing_is_written(storage: Storage) -> None:
    pipeline = publish(storage, sales())
    before = storage.list("")
    found = backtest(pipeline, DAYS[10], DAYS[29], ["never", "every 7"], workers=1)
    direct = [run(sales(), name, 10, 29) for name in ("never", "every 7")]
    assert [without_seconds(r) for r in found] == [without_seconds(r) for r in direct]
    assert storage.list("") == before


def test_a_stretch_that_is_not_published(storage: Storage) -> None:
    pipeline = publish(storage, sales(days=5))
    with pytest.raises(NotFoundError, match=r"no partition is published from .* run evergreen ingest kiosk"):
        backtest(pipeline, DAYS[10], DAYS[29], ["never"], workers=1)


def test_a_snapshot_has_no_history(storage: Storage) -> None:
    iris = parse_spec(TESTS.parent / "include" / "pipelines" / "iris" / "pipeline.yaml")
    with pytest.raises(NothingToDoError, match="a snapshot has no time"):
        backtest(Pipeline(iris, storage), "snapshot", "snapshot")


def test_what_is_missing_is_ingested_and_what_is_refused_left_out(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "sales").mkdir()
    for key, part in sales(days=6).groupby("partition"):
        if key != DAYS[4]:
            part.drop(columns="partition").to_csv(tmp_path / "sales" / f"{key}.csv", index=False)
    (tmp_path / "expectations.yaml").write_text("- expect_column_values_to_not_be_null: {column: sold}\n")
    pipeline = Pipeline(KIOSK.model_copy(update={"folder": tmp_path}), storage)
    done: list[str] = []
    assert ensure_published(pipeline, DAYS[3], DAYS[5], done.append) == [DAYS[n] for n in (0, 1, 2, 3, 5)]
    assert sorted(done) == DAYS[:6]
    assert ensure_published(pipeline, DAYS[3], DAYS[5]) == []  # the one left out is tried again
    assert ensure_published(pipeline, DAYS[3], DAYS[3]) == []
