"""What a partition is held against and pooled with: by hand, and what must hold of any history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Calendar, Grain
from evergreen.monitoring.cells import Cells
from evergreen.monitoring.season import Earlier, Night, against, night_of, rows_like
from evergreen.signals.drift import Drift
from evergreen.signals.record import Record
from evergreen.spec import Spec, parse_spec

KIOSK = parse_spec(Path(__file__).parents[2] / "pipelines" / "kiosk" / "pipeline.yaml")
BINS = 6  # of the only feature; the last two are missing and never seen


def spec_of(grain: Grain = Grain.DAILY, **drift: Any) -> Spec:
    monitoring = KIOSK.monitoring.model_copy(update={"drift": Drift.model_validate(drift)})
    return KIOSK.model_copy(update={"partition": grain, "monitoring": monitoring})


def cells_of(counts: dict[str, list[float]], grain: Grain = Grain.DAILY, independent: bool = True) -> Cells:
    """Cells of one feature `x`, by key; unless told otherwise, rows that share a bin are independent."""
    calendar = Calendar(grain)
    middles = np.array([calendar.middle(key) for key in counts])
    table = np.array(list(counts.values()), dtype=float).reshape(-1, BINS)
    cells = Cells(("x",), (BINS,), calendar.mean_days, middles, table)
    if independent:
        cells.__dict__["alike"] = np.ones(1)
    return cells


def days(first: str, last: str, grain: Grain = Grain.DAILY) -> list[str]:
    return list(Calendar(grain).between(first, last))


def flat(rows: int = 1_000, bin_: int = 0) -> list[float]:
    counts = [0.0] * BINS
    counts[bin_] = rows
    return counts


def record(partition: str, counts: list[float], version: str = "v") -> Record:
    return Record(
        partition=partition,
        version=version,
        rows=int(sum(counts)),
        labelled=0,
        metric="mae",
        error=None,
        promised=None,
        level=None,
        promised_level=None,
        drifted_share=0.0,
        drift={},
        age=1,
        history=1,
        counts={"x": [int(count) for count in counts]},
    )


def night(
    spec: Spec, cells: Cells, partition: str, rows: int = 1_000, records: Sequence[Record] = ()
) -> Night:
    earlier = Earlier(spec, cells, records, partition=partition, version="v")
    return night_of(spec, cells, partition, np.array(flat(rows)), earlier)


def held(spec: Spec, cells: Cells, partition: str, rows: int = 1_000, records: Sequence[Record] = ()) -> Any:
    earlier = Earlier(spec, cells, records, partition=partition, version="v")
    return against(spec, cells, night(spec, cells, partition, rows, records), earlier).sample


def shares(sample: Any) -> list[float]:
    counts = sample.counts["x"]
    return [round(float(share), 6) for share in counts / counts.sum()]


YEAR = days("2023-01-01", "2023-12-31")


def of_months(keys: list[str]) -> Cells:
    """Each day in the bin of its quarter."""
    return cells_of({key: flat(bin_=(int(key[5:7]) - 1) // 3) for key in keys})


# What counts with a night


def test_enough_rows_stand_alone() -> None:
    found = night(spec_of(rows=500), of_months(YEAR), "2024-01-10", rows=500)
    assert found.cells.rows.tolist() == [500]
    assert (found.end - found.start, found.sample.effective) == (1, 500)
    assert found.sample.counts["x"].tolist() == flat(500)


def test_a_small_day_is_pooled_in_whole_weeks() -> None:
    records = [record(key, flat(40)) for key in days("2024-01-01", "2024-01-30")]
    cells = of_months(YEAR)
    a_week = night(spec_of(rows=100), cells, "2024-01-31", 40, records)
    assert (a_week.cells.rows.sum(), a_week.end - a_week.start) == (7 * 40, 7)
    three = night(spec_of(rows=600), cells, "2024-01-31", 40, records)
    assert (three.cells.rows.sum(), three.end - three.start) == (21 * 40, 21)
    assert sorted(three.cells.middles.tolist()) == [
        KIOSK.calendar.middle(key) for key in days("2024-01-11", "2024-01-31")
    ]


def test_no_night_is_longer_than_what_trails() -> None:
    records = [record(key, flat(4)) for key in days("2024-01-01", "2024-06-30")]
    found = night(spec_of(rows=500), of_months(YEAR), "2024-07-01", 4, records)
    assert found.cells.rows.sum() == 28 * 4
    shorter = night(spec_of(rows=500, trailing="15 days"), of_months(YEAR), "2024-07-01", 4, records)
    assert shorter.cells.rows.sum() == 14 * 4


def test_training_days_pool_where_records_are_few() -> None:
    cells = cells_of({key: flat(30, bin_=1) for key in days("2023-11-01", "2023-12-31")})
    records = [record("2024-01-01", flat(30))]
    found = night(spec_of(rows=200), cells, "2024-01-02", 30, records)
    assert found.sample.counts["x"].tolist() == [60, 150, 0, 0, 0, 0]


def test_records_of_other_champions_do_not_pool() -> None:
    records = [record(key, flat(40), "old") for key in days("2024-01-01", "2024-01-30")]
    assert night(spec_of(rows=100), of_months(YEAR), "2024-01-31", 40, records).cells.rows.sum() == 40


def test_hours_are_pooled_in_whole_days() -> None:
    keys = days("2024-01-08T00", "2024-01-16T23", Grain.HOURLY)
    records = [record(key, flat(100)) for key in keys]
    cells = cells_of({key: flat() for key in days("2024-01-01", "2024-01-07")})
    spec = spec_of(Grain.HOURLY, rows=500)
    found = night(spec, cells, "2024-01-17T09", 100, records)
    assert (len(found.cells), found.cells.rows.sum()) == (15, 15 * 100)  # today's are not there
    records += [record(key, flat(100)) for key in days("2024-01-17T00", "2024-01-17T08", Grain.HOURLY)]
    found = night(spec, cells, "2024-01-17T09", 100, records)
    assert (len(found.cells), found.cells.rows.sum()) == (24, 24 * 100)


@pytest.mark.parametrize(
    ("grain", "keys", "partition", "rows"),
    [
        (Grain.WEEKLY, ("2023-11-06", "2023-12-18"), "2023-12-25", 3 * 30),
        (Grain.MONTHLY, ("2023-01", "2023-11"), "2023-12", 2 * 30),
    ],
)
def test_other_grains_pool_one_by_one(grain: Grain, keys: tuple[str, str], partition: str, rows: int) -> None:
    cells = cells_of({key: flat(30, 1) for key in days(*keys, grain)}, grain)
    spec = spec_of(grain, rows=rows, trailing="70 days")
    assert night(spec, cells, partition, 30).cells.rows.sum() == rows


def test_a_snapshot_stands_alone() -> None:
    spec = spec_of(Grain.SNAPSHOT)
    cells = cells_of({"snapshot": flat(80, 1)}, Grain.SNAPSHOT)
    assert night(spec, cells, "snapshot", 50).sample.counts["x"].tolist() == flat(50)
    assert held(spec, cells, "snapshot", 50).counts["x"].tolist() == flat(80, 1)


# What a night is held against


def test_the_window_is_all_of_it() -> None:
    found = held(spec_of(reference="window"), of_months(YEAR), "2024-02-15")
    assert found.effective == 365_000
    assert found.counts["x"].tolist() == [90_000, 91_000, 92_000, 92_000, 0, 0]


@pytest.mark.parametrize(("partition", "bin_"), [("2024-02-14", 0), ("2024-05-15", 1), ("2026-11-15", 3)])
def test_the_season_is_the_time_of_the_year(partition: str, bin_: int) -> None:
    found = held(spec_of(), of_months(YEAR), partition)
    assert shares(found)[bin_] == 1
    assert 2_000 < found.effective < 6_000


def test_new_year_is_no_edge() -> None:
    # Trained until the end of June: what comes in July is held against the July before.
    cells = of_months(days("2023-07-01", "2024-06-30"))
    found = shares(held(spec_of(), cells, "2024-01-01"))
    assert found[0] == pytest.approx(0.5, abs=0.1)
    assert found[3] == pytest.approx(0.5, abs=0.1)
    july = shares(held(spec_of(), cells, "2024-07-20"))
    assert july[2] > 0.97  # the first quarter of the window; the second ended three weeks before


def test_a_day_is_held_against_its_weekday() -> None:
    cells = cells_of({key: flat(bin_=KIOSK.calendar.start(key).weekday() >= 5) for key in YEAR})
    for partition in days("2024-03-04", "2024-03-10"):
        weekend = KIOSK.calendar.start(partition).weekday() >= 5
        assert shares(held(spec_of(), cells, partition))[weekend] == 1
    for partition in days("2024-01-01", "2024-01-07"):
        weekend = KIOSK.calendar.start(partition).weekday() >= 5
        assert shares(held(spec_of(reference="trailing"), cells, partition))[weekend] == pytest.approx(1)


def test_pooled_weeks_are_held_against_weeks_though_days_differ_in_rows() -> None:
    def day(key: str) -> list[float]:
        weekend = KIOSK.calendar.start(key).weekday() >= 5
        return flat(60, bin_=1) if weekend else flat(120)

    cells = cells_of({key: day(key) for key in YEAR})
    records = [record(key, day(key)) for key in days("2024-01-01", "2024-03-10")]
    spec = spec_of(rows=700)
    earlier = Earlier(spec, cells, records, partition="2024-03-11", version="v")
    found = night_of(spec, cells, "2024-03-11", np.array(day("2024-03-11")), earlier)
    expected = against(spec, cells, found, earlier).sample
    assert found.cells.rows.sum() == 5 * 120 + 2 * 60
    assert shares(expected) == shares(found.sample)


def test_a_window_that_lacks_the_season_is_answered_by_the_days_before() -> None:
    cells = cells_of({key: flat(bin_=1) for key in days("2023-09-01", "2023-11-30")})
    records = [record(key, flat(bin_=2)) for key in days("2023-12-01", "2024-02-10")]
    assert shares(held(spec_of(), cells, "2024-02-11", records=records))[2] == 1
    # Right after the window it is its end that trails, not the three weeks of it that are near on one side.
    found = held(spec_of(), of_months(days("2023-05-01", "2023-11-30")), "2023-12-01")
    assert shares(found)[3] == 1


def test_it_is_known_what_a_night_is_held_against() -> None:
    def kind(window: list[str], partition: str, reference: Any = None) -> str:
        spec = spec_of() if reference is None else spec_of(reference=reference)
        cells = of_months(window)
        earlier = Earlier(spec, cells, [], partition=partition, version="v")
        return against(spec, cells, night(spec, cells, partition), earlier).reference

    assert kind(YEAR, "2024-01-01") == "season"
    assert kind(days("2023-05-01", "2023-11-30"), "2023-12-01") == "trailing"
    assert kind(YEAR, "2024-01-01", "trailing") == "trailing"
    assert kind(YEAR, "2024-01-01", "window") == "window"


def test_what_trails_is_drawn_on() -> None:
    # Every day one row in a hundred moves from the first bin to the second: so it does tonight.
    def day(number: int) -> list[float]:
        return [1_000.0 - 10 * number, 10.0 * number, 0, 0, 0, 0]

    keys = days("2024-01-01", "2024-03-31")
    cells = cells_of({key: day(number) for number, key in enumerate(keys)})
    found = held(spec_of(reference="trailing"), cells, "2024-04-01")
    assert shares(found)[:2] == pytest.approx([0.09, 0.91], abs=1e-6)
    # Three weeks of days pooled lie on the same line.
    small = cells_of({key: [count / 50 for count in day(number)] for number, key in enumerate(keys)})
    records = [record(key, [1_000.0 - 10 * n, 10.0 * n, 0, 0, 0, 0]) for n, key in enumerate(keys)]
    spec = spec_of(reference="trailing", rows=21_000)
    earlier = Earlier(spec, small, records[-20:], partition="2024-04-01", version="v")
    pooled = night_of(spec, small, "2024-04-01", np.array(day(91)), earlier)
    assert shares(against(spec, small, pooled, earlier).sample)[:2] == pytest.approx(
        shares(pooled.sample)[:2], abs=1e-6
    )


def test_days_long_before_a_gap_stand_in() -> None:
    # Labels come six weeks late, so the window ends six weeks before the first night.
    cells = cells_of({key: flat(bin_=key >= "2024-02-01") for key in days("2024-01-01", "2024-03-10")})
    assert shares(held(spec_of(reference="trailing"), cells, "2024-04-20"))[1] == 1


def test_a_week_of_history_counts_as_a_whole() -> None:
    cells = cells_of(
        {key: flat(bin_=number % 2) for number, key in enumerate(days("2024-01-01", "2024-01-08"))}
    )
    found = held(spec_of(), cells, "2024-01-09")
    assert (shares(found)[:2], found.effective) == ([0.5, 0.5], 8_000)


def test_the_night_is_not_held_against_itself() -> None:
    cells = cells_of({key: flat(30, bin_=key >= "2023-12-26") for key in YEAR})
    spec = spec_of(rows=200, reference="window")
    found = night(spec, cells, "2024-01-01", 30)
    assert found.sample.counts["x"].tolist() == [30, 180, 0, 0, 0, 0]
    assert shares(held(spec, cells, "2024-01-01", 30))[0] == 1


def test_weighted_rows_are_worth_fewer() -> None:
    # Kish by hand: same weekday of a Wednesday, within three weeks of 14 February
    found = held(spec_of(), of_months(YEAR), "2024-02-14")
    wednesdays = [key for key in YEAR if KIOSK.calendar.start(key).weekday() == 2]
    middles = np.array([KIOSK.calendar.middle(key) for key in wednesdays])
    apart = np.mod(middles - KIOSK.calendar.middle("2024-02-14") + 365.2425 / 2, 365.2425) - 365.2425 / 2
    weights = np.maximum(1 - abs(apart) / 22, 0)
    assert found.effective == pytest.approx(1_000 * weights.sum() ** 2 / (weights**2).sum())
    assert found.counts["x"].sum() == pytest.approx(found.effective)


def test_rows_that_are_alike_count_as_one() -> None:
    # Each day all rows lie in one bin of three, at random: 200 rows of a day are one observation.
    draw = np.random.default_rng(0)
    days_of_one = {key: flat(200, bin_=int(draw.integers(0, 3))) for key in YEAR}
    cells = cells_of(days_of_one, independent=False)
    assert night(spec_of(rows=100), cells, "2024-01-10", 200).sample.effective == pytest.approx(1, rel=0.1)
    assert held(spec_of(), cells, "2024-02-14", 200).effective < 6
    assert held(spec_of(reference="window"), cells, "2024-02-14", 200).effective == pytest.approx(
        365, rel=0.1
    )


# What must hold of any history

histories = st.lists(st.lists(st.integers(0, 60), min_size=BINS, max_size=BINS), min_size=1, max_size=90)


@given(histories, st.sampled_from(["window", "trailing", "season"]), st.integers(1, 5_000), st.data())
def test_any_history_gives_counts(
    history: list[list[int]], reference: str, rows: int, data: st.DataObject
) -> None:
    history = [counts if sum(counts) else flat(1) for counts in history]
    first = data.draw(st.sampled_from(["2023-01-01", "2023-11-20"]))
    keys = days(first, KIOSK.calendar.shift(first, len(history)))
    split = data.draw(st.integers(0, len(history)))
    cells = cells_of(
        {key: [float(c) for c in counts] for key, counts in zip(keys[:split], history, strict=False)}
    )
    records = [record(key, counts) for key, counts in zip(keys[split:], history[split:], strict=False)]
    spec = spec_of(reference=reference, rows=rows)
    own = night(spec, cells, keys[-1], 30, records)
    found = held(spec, cells, keys[-1], 30, records)
    for sample, most in ((own.sample, own.cells.rows.sum()), (found, sum(map(sum, history)))):
        assert np.isfinite(sample.counts["x"]).all()
        assert (sample.counts["x"] >= 0).all()
        assert sample.effective <= most * (1 + 1e-9)
        assert sample.counts["x"].sum() == pytest.approx(sample.effective) or not sample.effective
    assert own.cells.rows[-1] == 30


@given(st.integers(10, 80), st.sampled_from(["window", "trailing", "season"]), st.integers(1, 3_000))
def test_nothing_of_a_later_partition_counts(at: int, reference: str, rows: int) -> None:
    draw = np.random.default_rng(at)
    keys = days("2024-01-01", "2024-03-31")
    cells = of_months(YEAR)
    records = [record(key, draw.integers(0, 40, BINS).tolist()) for key in keys]
    spec = spec_of(reference=reference, rows=rows)
    now = held(spec, cells, keys[at], 40, records[:at])
    wild = [replace(one, counts={"x": [0, 0, 0, 0, 0, 99_999]}) for one in records[at:]]
    later = held(spec, cells, keys[at], 40, [*records[:at], *wild])
    assert later.effective == now.effective
    assert later.counts["x"].tolist() == now.counts["x"].tolist()
    ours, theirs = (night(spec, cells, keys[at], 40, r) for r in (records[:at], [*records[:at], *wild]))
    assert ours.sample.counts["x"].tolist() == theirs.sample.counts["x"].tolist()


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("window", YEAR),
        ("season", ["2023-01-02", "2023-01-09", "2023-01-16", "2023-12-11", "2023-12-18", "2023-12-25"]),
        ("trailing", ["2023-12-04", "2023-12-11", "2023-12-18", "2023-12-25"]),
    ],
)
def test_rows_for_a_classifier(reference: str, expected: list[str]) -> None:
    alike = rows_like(spec_of(reference=reference), YEAR, "2024-01-01")
    assert [key for key, taken in zip(YEAR, alike, strict=True) if taken] == expected
