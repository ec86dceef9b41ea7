"""What is told of columns: event time and grain, key, target and task, and what is no feature."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pandas as pd
import pyarrow as pa
import pytest

from evergreen.calendar import Grain
from evergreen.draft.columns import Columns
from evergreen.draft.keys import key_of, nearly_a_key
from evergreen.draft.left_out import left_out
from evergreen.draft.model import metric_of, model_of
from evergreen.draft.plan import plan_of
from evergreen.draft.target import Target, last_target, target_by_name
from evergreen.draft.times import Times, times_of
from evergreen.errors import SpecError
from evergreen.sources.look.found import Look
from evergreen.sources.look.profile import profile
from evergreen.task import Task

N = 240
UNTIMED = Times(Grain.SNAPSHOT, "")


def columns(**values: object) -> Columns:
    rows = pa.table({name: pa.array(list(one)) for name, one in values.items()})  # type: ignore[call-overload]
    return Columns(rows, {one.name: one for one in profile(rows)})


def every(frequency: str, count: int = N) -> list[datetime]:
    return list(pd.date_range("2021-02-01", periods=count, freq=frequency).to_pydatetime())


@pytest.mark.parametrize(
    ("times", "grain", "partitions"),
    [
        (every("D"), Grain.DAILY, 240),
        (every("h"), Grain.DAILY, 10),
        (every("h", 100), Grain.HOURLY, 100),
        (every("W-WED"), Grain.WEEKLY, 240),
        (every("MS"), Grain.MONTHLY, 240),
        (every("QS"), Grain.SNAPSHOT, 1),  # a third of the months have rows
        (every("D", 9), Grain.SNAPSHOT, 1),
        ([*every("D", 239), every("D", 1)[0].replace(year=9000)], Grain.SNAPSHOT, 1),
    ],
)
def test_the_grain_is_as_short_as_the_rows_fill(times: list[datetime], grain: Grain, partitions: int) -> None:
    found = times_of(columns(at=times), {})
    assert (found.grain, found.partitions) == (grain, partitions)
    assert (found.column is None) == (grain is Grain.SNAPSHOT)


def test_a_change_or_a_birth_is_no_event() -> None:
    days = every("D")
    found = times_of(columns(updated_at=days, birth_date=days, closed=days, opened=days), {})
    assert (found.column, found.changed, found.others) == ("closed", "updated_at", ("opened",))
    assert times_of(columns(at=[None, *days[1:]]), {}).column is None


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"x": range(5, 5 + 3 * N, 3), "order_id": range(N)}, ("order_id",)),
        ({"at": every("D"), "n": range(N)}, ("n",)),  # counts the rows
        ({"at": every("D"), "x": [n % 7 for n in range(N)]}, ("at",)),
        ({"x": range(5, 5 + 3 * N, 3)}, ("x",)),
        ({"at": every("D", N // 2) * 2, "shop": ["a"] * (N // 2) + ["b"] * (N // 2)}, ("at", "shop")),
        ({"at": every("D", N // 4) * 4, "shop": "aabb" * (N // 4), "till_id": [n * 4 // N for n in range(N)]},
         ("at", "till_id")),
        ({"a": [n % 15 for n in range(N)], "b": [n // 15 for n in range(N)]}, None),  # measured, perhaps
        ({"x": [n + 0.5 for n in range(N)]}, None),
        ({"id": [None, *range(1, N)]}, None),
    ],
)  # fmt: skip
def test_the_key(values: dict[str, object], key: tuple[str, ...] | None) -> None:
    found = key_of(columns(**values), "at" if "at" in values else None, set())
    assert (found and found.columns) == key


@pytest.mark.parametrize(
    ("name", "values", "task"),
    [
        ("target", [n % 2 for n in range(N)], Task.CLASSIFICATION),
        ("quality", [n % 6 for n in range(N)], Task.CLASSIFICATION),
        ("count", [n % 6 for n in range(N)], Task.REGRESSION),
        ("SalePrice", [n % 50 for n in range(N)], Task.REGRESSION),
        ("y", [n / 7 for n in range(N)], Task.REGRESSION),
        ("label", ["no", "yes"] * (N // 2), Task.CLASSIFICATION),
        ("is_fraud", [True, False] * (N // 2), Task.CLASSIFICATION),
    ],
)
def test_the_task_follows_from_the_values(name: str, values: list[object], task: Task) -> None:
    both = columns(**{name: values, "other": range(N)})
    found = target_by_name(both) or last_target(both, {"other"})
    assert found is not None
    assert (found.column, found.task) == (name, task)


def test_an_id_is_not_taken_for_a_target() -> None:
    found = last_target(columns(y2=[n / 3 for n in range(N)], shop_id=[n % 3 for n in range(N)]), set())
    assert found is not None
    assert found.column == "y2"


def test_what_tells_the_target_is_left_out() -> None:
    a, b = [n % 7 for n in range(N)], [n % 11 for n in range(N)]
    days = every("D")
    both = columns(
        at=days, a=a, b=b, c=[n % 5 for n in range(N)],
        cents=[100 * (x + y) for x, y in zip(a, b, strict=True)],
        remark=[f"said {n}" for n in range(N)], same=["x"] * N, paid=[day.replace(year=2030) for day in days],
        tags=[["t"]] * N, total=[x + y for x, y in zip(a, b, strict=True)],
    )  # fmt: skip
    target = Target("total", Task.REGRESSION, "")
    found = left_out(both, ("at",), replace(UNTIMED, column="at"), target)
    assert list(found) == ["a", "b", "cents", "remark", "same", "paid", "tags"]
    assert found["a"] == "'total' is 'a' + 'b', so it is known no earlier"


def test_a_code_of_the_class_is_left_out_and_a_hint_of_it_is_not() -> None:
    kinds = ["a", "b", "c"] * (N // 3)
    both = columns(code=[kind.upper() for kind in kinds], hint=["x", "y", "x", "x"] * (N // 4), kind=kinds)
    target = Target("kind", Task.CLASSIFICATION, "", tuple(both.counts("kind")))
    assert left_out(both, (), UNTIMED, target) == {"code": "tells 'kind' without exception"}


@pytest.mark.parametrize(
    ("classes", "metric"),
    [
        ((), "mae"),
        ((("no", 60), ("yes", 40)), "roc_auc"),
        ((("no", 95), ("yes", 5)), "pr_auc"),
        ((("a", 40), ("b", 35), ("c", 25)), "accuracy"),
        ((("a", 70), ("b", 20), ("c", 10)), "f1"),
    ],
)
def test_the_metric_follows_from_the_classes(classes: tuple[tuple[str, int], ...], metric: str) -> None:
    task = Task.CLASSIFICATION if classes else Task.REGRESSION
    assert metric_of(Target("y", task, "", classes)).name == metric


@pytest.mark.parametrize(("rows", "margin"), [(50, "30%"), (500, "10%"), (50_000, "2%")])
def test_the_margin_follows_from_the_hold_out(rows: int, margin: str) -> None:
    """1 / sqrt(blocks), by hand: 10 rows give 0.32, 100 give 0.1, 10,000 give 0.01; from 2 % to 30 %."""
    assert model_of(Target("y", Task.REGRESSION, ""), UNTIMED, rows).margin == margin


@pytest.mark.parametrize("names", [["x", "y"], ["Row", "row_2", "y"]])
def test_only_the_rows_of_a_file_are_numbered(names: list[str]) -> None:
    sample = pa.table(
        {name: [n % 7 + 0.5 for n in range(N)] for name in names[:-1]} | {"y": [1.5, 2.0] * (N // 2)}
    )
    look = Look("a", "file", N, True, [], [], [], [], "", "a", {"path": "a.csv"}, sample)
    plan = plan_of("p", look)
    number = "row" if "x" in names else "row_3"
    assert (plan.key.columns, plan.config["row_number"]) == ((number,), number)
    assert number not in plan.features
    with pytest.raises(SpecError, match="rows of postgres have no lasting order"):
        plan_of("p", replace(look, kind="postgres", config={}))


def test_a_measured_number_that_differs_by_chance_is_known_as_one() -> None:
    found = key_of(columns(x=range(5, 5 + 3 * N, 3)), None, set())
    assert found is not None
    assert found.is_measured


def test_what_names_nearly_all_rows_is_told_beside_those_that_it_does_not() -> None:
    shipment = [f"S{number}" for number in range(N - 3)] + ["S1", "S2", "S3"]
    order, line = [None, None, *(n // 2 for n in range(N - 2))], [n % 2 for n in range(N)]
    measured = [n * 1.5 for n in range(N)]
    assert nearly_a_key(columns(x=measured, shipment=shipment), None) == (
        " ('shipment' nearly is: 3 rows repeat a value or lack one)"
    )
    assert nearly_a_key(columns(at=every("D"), order_id=order, line_no=line), "at") == (
        " ('order_id' and 'line_no' nearly are: 2 rows lack one)"
    )
    assert nearly_a_key(columns(x=measured, kind=["a", "b"] * (N // 2)), None) == ""
