"""Logged rows beside published ones: what changed, and why."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import IntegrityError
from evergreen.request_log.columns import logged_columns
from evergreen.skew.compare import Again, Cause, Skew, compare
from evergreen.skew.in_words import in_words
from evergreen.spec import Log, Serving, parse_spec

KIOSK = parse_spec(Path(__file__).parents[2] / "pipelines" / "kiosk" / "pipeline.yaml")
SCHEMA = pa.schema(
    {"key": pa.int64(), "name": pa.string(), "size": pa.float64(), "tags": pa.list_(pa.string())}
)
Row = tuple[int, str | None, float | None, list[str] | None]
A = "2024-01-01-a"


def table(rows: Sequence[Row]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)


def logged(
    rows: Sequence[Row], said: Sequence[float], *, version: str = A, look_back: str | None = None
) -> pa.Table:
    answers = [json.dumps({"prediction": one, "probabilities": [0.5, one]}) for one in said]
    return logged_columns(table(rows), (), [version] * len(rows), [look_back] * len(rows), answers)


def again(
    said: Mapping[int, float], *, look_back: str | None = None, together: bool = False, version: str = A
) -> dict[str, Again]:
    predictions = pa.table(
        {
            "key": list(said),
            "prediction": list(said.values()),
            "probabilities": [[0.5, one] for one in said.values()],
            "version": [version] * len(said),
        }
    )
    return {version: Again(predictions, look_back, together)}


ROWS: list[Row] = [(1, "a", 1.0, []), (2, None, math.nan, ["x"]), (3, "c", None, None)]
SAID = [0.1, 0.2, 0.3]
NOW = dict(zip((1, 2, 3), SAID, strict=True))


def test_what_is_equal_is_no_skew_missing_values_and_rounding_too() -> None:
    rows = [(1, "a", 1.0 + 1e-12, []), *ROWS[1:]]
    found = compare(["key"], logged(rows, [0.1 + 1e-12, 0.2, 0.3]), table(ROWS[::-1]), again(NOW))
    assert found == Skew(rows=3, predicted=3, equal=3)
    assert compare(["key"], pa.table({}), table(ROWS), {}) == Skew()


def test_changed_inputs_are_told_by_column_with_an_example() -> None:
    published = [(1, "b", 1.0, []), (2, None, None, ["y"]), (3, "c", 3.0, [])]
    found = compare(["key"], logged(ROWS, SAID), table(published), again({1: 0.1, 2: 0.9, 3: 0.3}))
    assert found.inputs == 3
    assert {name: changed.rows for name, changed in found.columns.items()} == {
        "name": 1,
        "size": 2,
        "tags": 2,
    }
    assert found.columns["size"].share == pytest.approx(2 / 3)
    assert found.columns["name"].example.key == {"key": 1}
    assert (found.columns["name"].example.served, found.columns["name"].example.published) == ("a", "b")
    assert {cause: changed.rows for cause, changed in found.predictions.items()} == {Cause.INPUTS: 1}
    assert (found.predicted, found.equal) == (3, 0)


def test_a_prediction_that_changed_with_equal_inputs_has_no_explanation() -> None:
    found = compare(["key"], logged(ROWS, SAID), table(ROWS), again({**NOW, 2: 0.25}))
    assert (found.inputs, found.equal) == (0, 3)
    changed = found.predictions[Cause.UNEXPLAINED]
    assert (changed.rows, changed.share, changed.example.key) == (1, 1 / 3, {"key": 2})
    assert changed.example.served == {"prediction": 0.2, "probabilities": [0.5, 0.2]}
    assert changed.example.published == {"prediction": 0.25, "probabilities": [0.5, 0.25]}


@pytest.mark.parametrize(
    ("then", "now", "cause"),
    [("a", "b", Cause.LOOK_BACK), ("a", "a", Cause.UNEXPLAINED), (None, "b", Cause.LOOK_BACK)],
)
def test_another_look_back_explains_it(then: str | None, now: str, cause: Cause) -> None:
    of = again({**NOW, 2: 0.25}, look_back=now)
    found = compare(["key"], logged(ROWS, SAID, look_back=then), table(ROWS), of)
    assert list(found.predictions) == [cause]
    equal = compare(["key"], logged(ROWS, SAID, look_back=then), table(ROWS), again(NOW, look_back=now))
    assert equal.predictions == {}


def test_other_rows_explain_it_only_where_features_look_at_them() -> None:
    published = [(1, "other", 1.0, []), *ROWS[1:]]
    now = {**NOW, 2: 0.25}
    for together, cause in ((True, Cause.TOGETHER), (False, Cause.UNEXPLAINED)):
        found = compare(["key"], logged(ROWS, SAID), table(published), again(now, together=together))
        assert list(found.predictions) == [cause]
        gone = compare(
            ["key"], logged(ROWS, SAID), table(ROWS[1:]), again({2: 0.25, 3: 0.3}, together=together)
        )
        assert list(gone.predictions) == [cause]
    alike = compare(["key"], logged(ROWS, SAID), table(ROWS), again(now, together=True))
    assert list(alike.predictions) == [Cause.UNEXPLAINED]


def test_rows_that_are_not_published_are_counted_and_not_compared() -> None:
    found = compare(["key"], logged(ROWS, SAID), table(ROWS[:1]), again({1: 0.1}))
    assert (found.rows, found.unpublished, found.compared, found.predicted) == (3, 2, 1, 1)
    none = compare(["key"], logged(ROWS, SAID), table([]), again({}))
    assert (none.unpublished, none.compared, none.predicted) == (3, 0, 0)


def test_each_version_is_held_to_itself_and_one_that_is_gone_to_none() -> None:
    b, c = "2024-01-02-b", "2024-01-03-c"
    parts = [logged(ROWS[:1], [0.1]), logged(ROWS[1:2], [0.7], version=b), logged(ROWS[2:], [9.0], version=c)]
    versions = {**again(NOW), **again({1: 0.5, 2: 0.7, 3: 0.9}, version=b)}
    found = compare(["key"], pa.concat_tables(parts), table(ROWS), versions, {c: "is removed"})
    assert (found.predicted, found.predictions, found.unusable) == (2, {}, {c: "is removed"})


def test_dropped_columns_are_not_compared_and_types_must_fit() -> None:
    without = logged(ROWS, SAID).drop_columns(["row.size"])
    changed = [(key, name, 7.0, tags) for key, name, _, tags in ROWS]
    assert compare(["key"], without, table(changed), again(NOW)).inputs == 0
    lake = table(ROWS)
    other = lake.set_column(1, "name", pa.array([1, 2, 3]))
    with pytest.raises(IntegrityError, match="column 'name' was logged as string and is published as int64"):
        compare(["key"], logged(ROWS, SAID), other, again(NOW))


VALUES = st.tuples(st.sampled_from(["a", "b"]), st.none() | st.sampled_from([0.0, 1.5, math.nan]))


@given(
    st.dictionaries(st.integers(0, 6), st.tuples(VALUES, VALUES, st.booleans(), st.booleans()), min_size=1)
)
def test_counts_are_those_of_rows_one_by_one(
    rows: dict[int, tuple[tuple[str, float | None], tuple[str, float | None], bool, bool]],
) -> None:
    served: list[Row] = [(key, *one, []) for key, (one, _, _, _) in rows.items()]
    lake: list[Row] = [(key, *other, []) for key, (_, other, there, _) in rows.items() if there]
    now = {key: 1.0 if changes else 0.0 for key, (_, _, there, changes) in rows.items() if there}
    found = compare(["key"], logged(served, [0.0] * len(served)), table(lake), again(now))
    inputs = {key for key, (one, other, there, _) in rows.items() if there and repr(one) != repr(other)}
    changed = {key for key, value in now.items() if value}
    assert found.unpublished == len(rows) - len(lake)
    assert found.inputs == len(inputs)
    assert found.equal == len(lake) - len(inputs)
    counts = {cause: one.rows for cause, one in found.predictions.items()}
    assert counts.get(Cause.INPUTS, 0) == len(changed & inputs)
    assert counts.get(Cause.UNEXPLAINED, 0) == len(changed - inputs)
    json.dumps(found.figures, allow_nan=False)


def test_words_say_what_changed_and_figures_hold_no_values() -> None:
    published = [(1, "b", 1.0, []), *ROWS[1:]]
    found = compare(["key"], logged(ROWS, SAID), table(published), again({1: 0.4, 2: 0.25, 3: 0.3}))
    assert list(in_words(KIOSK, "2024-01-02", found)) == [
        "kiosk 2024-01-02: 3 rows are logged",
        "inputs: 1 of 3 published rows have other values",
        "  name: 1 (33.3%), as key 1: served a, now b",
        "predictions: 1 of 3 are equal",
        "  1 (33.3%), as key 1: served prediction 0.1, probabilities [0.5, 0.1], now prediction 0.4, "
        "probabilities [0.5, 0.4]: changed because their inputs changed",
        "  1 (33.3%), as key 2: served prediction 0.2, probabilities [0.5, 0.2], now prediction 0.25, "
        "probabilities [0.5, 0.25]: changed though all that is known of their inputs is equal: look at "
        "features and lookups",
    ]
    assert "example" not in json.dumps(found.figures)
    assert found.document["columns"]["name"]["example"] == {
        "key": {"key": 1},
        "served": "a",
        "published": "b",
    }


def test_words_say_why_nothing_is_logged() -> None:
    assert list(in_words(KIOSK, "2024-01-02", Skew())) == [
        "kiosk 2024-01-02: no rows are logged (describe serving.log first)"
    ]
    logging: Any = KIOSK.model_copy(update={"serving": Serving(log=Log())})
    assert list(in_words(logging, "2024-01-02", Skew())) == [
        "kiosk 2024-01-02: no rows are logged (the share of serving.log is 5%)"
    ]
