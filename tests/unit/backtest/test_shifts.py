"""Shifts: what each does to its column by its own yardstick, and what none of them ever touches."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evergreen.backtest.shifts import FORMS, NEW_CATEGORY, apply_shifts, parse_shift
from evergreen.errors import SpecError
from evergreen.rows.frame import to_frame
from evergreen.spec import Spec, Task, parse_spec

KIOSK = parse_spec(Path(__file__).parents[2] / "pipelines" / "kiosk" / "pipeline.yaml").model_copy(
    update={"key": ("at", "shop")}
)
DAYS = list(KIOSK.calendar.between("2024-01-01", "2024-06-30"))
OF_CLASSES = KIOSK.model_copy(update={"task": Task.CLASSIFICATION, "target": "kind"})

NUMBERS = ["+0.5sd", "-2sd", "+3", "-0.25", "x1.5", "x0", "*1.8+32", "*-1", "creep +0.5sd per 30 partitions"]
EVERY = [
    *(f"{column}={change}" for column in ("temperature", "sold") for change in (*NUMBERS, "missing 5%")),
    *(f"{column}=missing 30%" for column in ("condition", "holiday", "seen")),
    "condition=new 2%",
    "kind=flip 10%",
]


def table(days: int = 60, each: int = 50, seed: int = 3) -> pd.DataFrame:
    """Rows as the lake gives them: numbers, whole numbers, text, booleans, times; some values missing."""
    draw, rows = np.random.default_rng(seed), days * each
    stamp = datetime(2024, 1, 1, tzinfo=UTC)
    temperature = draw.normal(12, 8, rows)
    columns = {
        "at": pa.array([stamp + pd.Timedelta(minutes=n) for n in range(rows)]),
        "shop": pa.array(draw.integers(0, 9, rows)),
        "temperature": pa.array(np.where(draw.random(rows) < 0.01, np.nan, temperature), from_pandas=True),
        "sold": pa.array(draw.poisson(40, rows)),
        "condition": pa.array(draw.choice(["clear", "mist", "rain"], rows).tolist()),
        "holiday": pa.array(draw.random(rows) < 0.1),
        "seen": pa.array([stamp] * rows),
        "kind": pa.array(draw.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]).tolist()),
        "partition": pa.array(np.repeat(DAYS[:days], each).tolist()),
    }
    return to_frame(pa.table(columns))


ROWS = table()
AT = DAYS[30]


def shifted(*texts: str, rows: pd.DataFrame = ROWS, at: str = AT, seed: int = 0) -> pd.DataFrame:
    return apply_shifts(OF_CLASSES, rows, [parse_shift(text) for text in texts], at, seed)


def parts(rows: pd.DataFrame, column: str, at: str = AT) -> tuple[pd.Series, pd.Series]:
    """A column before the partition and from it on."""
    before = rows["partition"] < at
    return rows.loc[before, column], rows.loc[~before, column]


@given(
    texts=st.lists(st.sampled_from(EVERY), min_size=1, max_size=4),
    days=st.integers(2, 8),
    each=st.integers(2, 6),
    at=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
)
@example(texts=["sold=missing 5%", "sold=+0.5sd", "sold=x1.5", "sold=*1.8+32"], days=4, each=3, at=2, seed=1)
@example(texts=["kind=flip 10%"], days=2, each=2, at=9, seed=0)
def test_nothing_else_changes(texts: list[str], days: int, each: int, at: int, seed: int) -> None:
    rows = table(days, each, seed).sample(frac=1, random_state=seed % 1000)
    rows["temperature"] = rows["temperature"].fillna(1.0)
    rows.loc[rows.index[:2], ["kind"]] = [["a"], ["b"]]
    rows["partition"] = np.where(rows.index.isin(rows.index[:2]), DAYS[0], rows["partition"])
    as_given = rows.copy(deep=True)
    found = shifted(*texts, rows=rows, at=DAYS[at], seed=seed)
    pd.testing.assert_frame_equal(rows, as_given)
    named = {text.partition("=")[0] for text in texts}
    assert list(found.columns) == list(rows.columns)
    assert found.index.equals(rows.index)
    for column in rows.columns:
        if column not in named:
            pd.testing.assert_series_equal(found[column], rows[column])
        else:
            earlier = rows["partition"] < DAYS[at]
            left, right = found.loc[earlier, column], rows.loc[earlier, column]
            pd.testing.assert_series_equal(left, right, check_dtype=False, check_exact=True)
    pd.testing.assert_frame_equal(found, shifted(*texts, rows=rows, at=DAYS[at], seed=seed))


@pytest.mark.parametrize(
    ("change", "mean", "deviation"),
    [
        ("+0.5sd", lambda m, s: m + 0.5 * s, 1.0),
        ("-2sd", lambda m, s: m - 2 * s, 1.0),
        ("+3", lambda m, s: m + 3, 1.0),
        ("-0.25", lambda m, s: m - 0.25, 1.0),
        ("*1.8+32", lambda m, s: 1.8 * m + 32, 1.8),
        ("*0.5", lambda m, s: 0.5 * m, 0.5),
        ("*-2-1", lambda m, s: -2 * m - 1, 2.0),
    ],
)
def test_mean_and_spread_of_numbers_change_exactly(change: str, mean, deviation: float) -> None:
    before, after = parts(ROWS, "temperature")
    changed = parts(shifted(f"temperature={change}"), "temperature")[1]
    assert changed.mean() == pytest.approx(mean(after.mean(), before.std(ddof=0)), rel=1e-12)
    assert changed.std() == pytest.approx(deviation * after.std(), rel=1e-12)
    assert changed.isna().equals(after.isna())
    # every row for itself, not only on average
    assert np.corrcoef(changed.dropna(), after.dropna())[0, 1] == pytest.approx(-1 if "*-" in change else 1)


def test_the_spread_is_about_the_mean_before() -> None:
    rows = ROWS.copy()
    rows.loc[rows["partition"] >= AT, "temperature"] += 10  # the later mean is another one
    before, after = parts(rows, "temperature")
    changed = parts(shifted("temperature=x1.5", rows=rows), "temperature")[1]
    assert changed.std() == pytest.approx(1.5 * after.std(), rel=1e-12)
    assert changed.mean() == pytest.approx(before.mean() + 1.5 * (after.mean() - before.mean()), rel=1e-12)
    assert parts(shifted("temperature=x0"), "temperature")[1].dropna().to_numpy() == pytest.approx(
        before.mean() if rows is ROWS else parts(ROWS, "temperature")[0].mean()
    )


def test_a_creep_grows_by_the_partition_and_goes_on() -> None:
    rows = ROWS[ROWS["partition"] != DAYS[40]]  # one that is not published counts as gone by
    before, _ = parts(rows, "temperature")
    moved = (
        shifted("temperature=creep +0.5sd per 20 partitions", rows=rows)["temperature"] - rows["temperature"]
    )
    by_day = moved.groupby(rows["partition"]).mean() / before.std(ddof=0)
    for day in (30, 31, 39, 41, 49, 59):
        assert by_day[DAYS[day]] == pytest.approx(0.5 * (day - 29) / 20)
    assert by_day[DAYS[49]] == pytest.approx(0.5)  # the twentieth partition
    in_units = shifted("temperature=creep -3 per 2 partitions")["temperature"] - ROWS["temperature"]
    assert in_units.groupby(ROWS["partition"]).mean()[[AT, DAYS[31]]].to_list() == pytest.approx([-1.5, -3.0])


@pytest.mark.parametrize("change", ["+0.3", "+0.5sd", "*1.1", "x1.5", "+3", "creep +1 per 10 partitions"])
def test_whole_numbers_stay_whole_and_keep_the_mean(change: str) -> None:
    as_float = ROWS.astype({"sold": float})
    exact = parts(shifted(f"sold={change}", rows=as_float), "sold")[1]
    whole = parts(shifted(f"sold={change}"), "sold")[1]
    assert whole.dtype == np.int64
    assert (whole - exact).abs().max() < 1
    # rounding at random: at most 0.5 of standard deviation a row; five of them
    assert abs(whole.mean() - exact.mean()) < 5 * 0.5 / np.sqrt(len(whole))
    if change == "+3":
        assert whole.to_list() == exact.to_list()


def test_whole_numbers_of_any_width_refuse_what_they_cannot_hold() -> None:
    rows = ROWS.astype({"sold": np.int8})
    assert shifted("sold=+3", rows=rows)["sold"].dtype == np.int8
    for change in ("*100", "-500"):
        with pytest.raises(SpecError, match=r"shift 'sold=.*what int8 can hold: write a smaller change"):
            shifted(f"sold={change}", rows=rows)
    nullable = ROWS.astype({"sold": "Int64"})
    nullable.loc[nullable.index[-1], "sold"] = pd.NA
    found = shifted("sold=+3", rows=nullable)["sold"]
    assert found.dtype == "Int64"
    assert found.isna().sum() == 1


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("temperature=missing 5%", lambda values: values.isna()),
        ("sold=missing 5%", lambda values: values.isna()),
        ("condition=missing 30%", lambda values: values.isna()),
        ("holiday=missing 30%", lambda values: values.isna()),
        ("seen=missing 5%", lambda values: values.isna()),
        ("condition=new 2%", lambda values: values == NEW_CATEGORY),
    ],
)
def test_a_share_of_rows_is_drawn(text: str, hit) -> None:
    column, share = text.partition("=")[0], float(text.partition("%")[0].split()[-1]) / 100
    rows = table(days=60, each=400)
    rows["temperature"] = rows["temperature"].fillna(0.0)
    before, after = parts(shifted(text, rows=rows), column)
    assert not hit(before).any()
    n = len(after)
    assert abs(hit(after).mean() - share) < 5 * np.sqrt(share * (1 - share) / n)
    # drawn row by row, so evenly over the partitions: no day has none or all, at 400 rows a day
    by_day = hit(after).groupby(rows["partition"]).mean()
    assert 0 < by_day.min() <= by_day.max() < 3 * share
    untouched = ~hit(after)
    assert after[untouched].astype(object).equals(rows.loc[after.index[untouched], column].astype(object))


@pytest.mark.parametrize("percent", ["0", "100"])
def test_none_and_all_of_the_rows(percent: str) -> None:
    found = shifted(f"temperature=missing {percent}%", f"condition=new {percent}%", f"kind=flip {percent}%")
    _, temperature = parts(found, "temperature")
    _, kind = parts(found, "kind")
    assert temperature.isna().mean() == (
        1 if percent == "100" else parts(ROWS, "temperature")[1].isna().mean()
    )
    assert (kind != ROWS.loc[kind.index, "kind"]).all() == (percent == "100")
    assert (found["condition"] == NEW_CATEGORY).sum() == (len(kind) if percent == "100" else 0)


@pytest.mark.parametrize(
    ("column", "expected"),
    [("sold", "float64"), ("holiday", "object"), ("condition", "str"), ("seen", "datetime64[us, UTC]")],
)
def test_a_column_that_loses_values_has_the_type_arrow_gives_it(column: str, expected: str) -> None:
    found = shifted(f"{column}=missing 30%")[column]
    arrow = pa.Table.from_pandas(ROWS[[column]], preserve_index=False)
    values = [
        None if lost else value for value, lost in zip(arrow[column].to_pylist(), found.isna(), strict=True)
    ]
    read = to_frame(pa.table({column: pa.array(values, type=arrow.schema.field(column).type)}))[column]
    assert read.dtype == expected
    pd.testing.assert_series_equal(found, read)


def test_a_new_category_is_one_that_was_never_there() -> None:
    rows = ROWS.copy()
    rows.loc[rows.index[[0, -1]], "condition"] = [NEW_CATEGORY, f"({NEW_CATEGORY})"]
    found = parts(shifted("condition=new 50%", rows=rows), "condition")[1]
    assert set(found) - set(rows["condition"]) == {f"(({NEW_CATEGORY}))"}


@pytest.mark.parametrize("of", ["text", "whole numbers", "booleans"])
def test_labels_flip_to_each_other_class_alike(of: str) -> None:
    rows = table(days=60, each=400)
    names = {"text": "abc", "whole numbers": (0, 1, 2), "booleans": (False, True, True)}[of]
    rows["kind"] = rows["kind"].map(dict(zip("abc", names, strict=True)))
    if of == "text":
        rows["kind"] = rows["kind"].mask(rows.index % 7 == 0)  # a label that is not known stays unknown
    before, after = parts(rows, "kind")
    changed = parts(shifted("kind=flip 10%", rows=rows), "kind")[1]
    assert changed.dtype == after.dtype
    assert changed.isna().equals(after.isna())
    known = after.notna()
    flips = pd.crosstab(after[known], changed[known])
    assert list(flips.columns) == sorted(before.dropna().unique())
    for label, row in flips.iterrows():
        total = row.sum()
        assert abs(row.drop(label).sum() / total - 0.1) < 5 * np.sqrt(0.09 / total)
        for count in row.drop(label):
            share = 0.1 / (len(row) - 1)
            assert abs(count / total - share) < 5 * np.sqrt(share / total)


def test_one_class_has_none_to_flip_to() -> None:
    with pytest.raises(
        SpecError, match=r"kiosk: shift 'kind=flip 10%': the history before has 1 classes, .* --at"
    ):
        shifted("kind=flip 10%", rows=ROWS.assign(kind="a"))


def test_shifts_follow_one_another_in_the_order_given() -> None:
    values = ROWS.loc[ROWS["partition"] >= AT, "temperature"]
    first = shifted("temperature=+3", "temperature=*2")["temperature"].loc[values.index]
    second = shifted("temperature=*2", "temperature=+3")["temperature"].loc[values.index]
    np.testing.assert_allclose(first, (values + 3) * 2)
    np.testing.assert_allclose(second, values * 2 + 3)
    both = shifted("temperature=*2", "sold=missing 30%", "temperature=+3")
    alone = shifted("temperature=*2", "temperature=+3")
    pd.testing.assert_series_equal(both["temperature"], alone["temperature"])
    # the same form twice draws other rows
    twice = shifted("condition=missing 30%", "kind=missing 30%")
    assert twice["condition"].isna().ne(twice["kind"].isna()).any()


def test_a_longer_stretch_draws_the_same_rows() -> None:
    texts = ("temperature=missing 30%", "condition=new 20%", "kind=flip 20%", "sold=+0.3")
    short = ROWS[ROWS["partition"] <= DAYS[45]]
    whole = shifted(*texts).loc[short.index]
    pd.testing.assert_frame_equal(shifted(*texts, rows=short), whole)


def test_a_seed_draws_other_rows() -> None:
    first, second = (shifted("condition=new 20%", seed=seed)["condition"] for seed in (0, 1))
    assert 0.1 < first.eq(second).mean() < 0.95


@pytest.mark.parametrize(
    ("text", "spec", "message"),
    [
        ("temprature=+3", KIOSK, "no column 'temprature': name one of temperature, sold, condition, holiday"),
        ("at=+3", KIOSK, "'at' is a key or the time of a row: name one of temperature, sold"),
        ("shop=+3", KIOSK, "'shop' is a key or the time of a row"),
        ("partition=missing 5%", KIOSK, "'partition' is a key or the time of a row"),
        ("condition=+0.5sd", KIOSK, "'condition' holds text, .* write one of new 2%, missing 5%$"),
        ("holiday=x2", KIOSK, "'holiday' holds booleans, .* for numbers: write one of missing 5%$"),
        ("seen=*2", KIOSK, "'seen' holds times, .* write one of missing 5%$"),
        ("temperature=new 2%", KIOSK, r"holds numbers, .* change for text: write one of \+0.5sd, -3, x1.5"),
        ("sold=flip 10%", KIOSK, r"target of a regression has no classes .* scale it, like 'sold=\*1.5'"),
        (
            "condition=flip 10%",
            OF_CLASSES,
            "'condition' holds text, .* for labels: write one of new 2%, miss",
        ),
        ("kind=+1", OF_CLASSES, "'kind' holds text, .* write one of new 2%, flip 10%, missing 5%"),
    ],
)
def test_a_shift_that_does_not_fit_is_refused(text: str, spec: Spec, message: str) -> None:
    with pytest.raises(
        SpecError, match=rf"^kiosk: shift '{text.replace('*', '[*]').replace('+', '[+]')}': .*{message}"
    ):
        apply_shifts(spec, ROWS, [parse_shift(text)], AT)


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        (
            "temperature=+0.5sd",
            3.0,
            r"does not vary in the history before: write the change in its unit, like '\+3'",
        ),
        ("temperature=x1.5", np.nan, "has no values in the history before: choose a later --at"),
        ("temperature=-1sd", np.nan, "has no values in the history before"),
    ],
)
def test_a_history_that_gives_no_yardstick(text: str, value: float, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        shifted(text, rows=ROWS.assign(temperature=value))


def test_every_form_that_is_shown_is_understood() -> None:
    for form in FORMS:
        shift = parse_shift(f"a column={form}")
        assert (shift.column, str(shift)) == ("a column", f"a column={form}")
    assert str(parse_shift(" x =  missing   5 % ")) == "x=missing 5 %"
    assert parse_shift("a=b=+3").column == "a=b"


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "x=", "=+3", "x=3", "x=0.5sd", "x=+sd", "x=+1e5", "x=+1 sd", "x=missing", "x=new 5"),
        *("x=missing -5%", "x=x-2", "x=*", "x=*2+3sd", "x=lose 5%", "x=creep +1", "x=creep +1 per 30 days"),
    ],
)
def test_what_is_not_understood_shows_what_is(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_shift(text)
    assert str(caught.value) == (
        f"shift '{text}': write COLUMN=CHANGE, the change like one of: +0.5sd, -3, x1.5, *1.8+32, "
        "creep +0.5sd per 30 partitions, missing 5%, new 2%, flip 10%"
    )


@pytest.mark.parametrize("word", ["missing", "new", "flip"])
def test_a_share_of_more_than_all(word: str) -> None:
    with pytest.raises(SpecError, match="101% is more than all rows: write a share from 0% to 100%"):
        parse_shift(f"x={word} 101%")
    with pytest.raises(SpecError, match="at least 1 partition"):
        parse_shift("x=creep +1 per 0 partitions")
