"""What differs between two versions, told from what is stored of them."""

from __future__ import annotations

from typing import Any

from evergreen.features.stored import StoredFeatures
from evergreen.registry.history import State
from evergreen.side_by_side.compare import compare, counts
from evergreen.side_by_side.lines import Line, Part
from evergreen.side_by_side.read import Side
from tests.unit.monitoring.kiosk_records import KIOSK

OLD, NEW = "2024-02-01-aaaaaaaaaaaa", "2024-03-01-bbbbbbbbbbbb"


def side(version: str, mae: float, **changes: Any) -> Side:
    features = StoredFeatures.of(KIOSK, changes.pop("columns", ["hour", "wind"]))
    evaluation = {
        "metric": "mae",
        "rows": 28,
        "intervals": {"mae": {"low": mae - 1, "high": mae + 1}},
        "baseline": {"mae": 50.0},
        "champion": None,
        "slices": [{"column": "weekend", "value": "yes", "rows": 8, "comparison": None}],
        **changes.pop("evaluation", {}),
    }
    found: dict[str, Any] = {
        "lineage": {
            "as_of": version[:10],
            "window": {"first": "2024-01-01", "last": version[:10], "partitions": 31, "rows": 124},
            "candidate": {"estimator": "sklearn.linear_model.Ridge", "params": {"alpha": mae / 10}},
            "digests": {"data": version[-4:] * 16, "spec": "5" * 64, "code": "c" * 64},
            "packages": {"scikit-learn": "1.9.0"},
        },
        "metrics": {"mae": mae, "r2": 0.5, "evaluation": evaluation},
        "gate": {"outcome": "promoted", "sentence": "promoted: all 3 checks passed"},
        "explanation": {
            "metric": "mae",
            "window": {"known": 96, "held": 28, "missing": {"count": 0}, "features": []},
            "importance": {"features": [{"name": "wind", "loss": mae}, {"name": "hour", "loss": 2 * mae}]},
        },
        "features": features,
        "code": {"features.py:build": b"hour = 1\n"},
    }
    return Side(version, State.PROMOTED, **{**found, **changes})


def part(name: str, first: Side, second: Side) -> Part:
    return next(one for one in compare(first, second).parts if one.name == name)


def named(name: str, found: Part) -> Line:
    return next(line for line in found.lines if line.name == name)


def paired(champion: str) -> dict[str, Any]:
    """The evaluation of a gate that compared the version with a champion on the same rows."""
    loss = {"metric": "mae", "rows": 20, "loss": -2.0, "low": -3.0, "high": -1.0, "confidence": 0.95}
    return {
        "champion": {"version": champion, "metrics": {"mae": 12.0}},
        "challenger_on_champion_rows": {"mae": 10.0},
        "compared_rows": 20,
        "comparison": loss,
        "slices": [
            {
                "column": "weekend",
                "value": "yes",
                "rows": 8,
                "comparison": {"challenger": 9.0, "champion": 7.0},
            }
        ],
    }


def test_what_is_the_same_is_told_apart_from_what_differs():
    data = part("Data", side(OLD, 12.0), side(NEW, 10.0))
    assert [line.name for line in data.differing] == ["as of", "last partition", "digest of the rows"]
    assert "rows trained on" in [line.name for line in data.equal]
    assert counts(data) == f"3 of {len(data.lines)} differ"
    assert counts(part("Gate", side(OLD, 12.0), side(NEW, 10.0))) == "all 2 the same"


def test_digests_that_begin_alike_differ():
    one, other = (side(OLD, 1.0, lineage={"digests": {"data": "a" * 63 + end}}) for end in "xy")
    line = named("digest of the rows", part("Data", one, other))
    assert (line.first, line.second, line.same) == ("a" * 12, "a" * 12, False)


def test_features_that_came_and_went_and_code_that_changed():
    first = side(OLD, 12.0)
    second = side(NEW, 10.0, columns=["hour", "rain"], code={"features.py:build": b"hour = 2\x1b\n"})
    found = part("Features", first, second)
    assert [(line.name, line.first, line.second) for line in found.differing] == [
        ("wind", "yes", "-"),
        ("rain", "-", "yes"),
    ]
    diff = compare(first, second).code["features.py:build"]
    assert diff[:2] == [f"--- {OLD}", f"+++ {NEW}"]
    assert {"-hour = 1", "+hour = 2\N{REPLACEMENT CHARACTER}"} <= set(diff)
    assert compare(first, side(NEW, 10.0)).code == {}


def test_metrics_of_their_own_hold_outs_have_intervals_and_say_whose_rows():
    found = part("Metrics", side(OLD, 12.0), side(NEW, 10.0))
    line = named("mae", found)
    assert (line.first, line.second) == ("12 (11 to 13)", "10 (9 to 11)")
    assert (line.change, line.better) == ("-2", True)
    assert named("r2", found).same
    assert "its own hold-out, of 28 and 28 rows" in found.note
    assert [one.name for one in compare(side(OLD, 12.0), side(NEW, 10.0)).parts].count(
        "Metrics on the same rows"
    ) == 0


def test_a_metric_of_which_more_is_better_is_worse_when_it_falls():
    first, second = (side(name, 1.0, metrics={"r2": r2}) for name, r2 in ((OLD, 0.9), (NEW, 0.7)))
    assert named("r2", part("Metrics", first, second)).better is False


def test_what_a_gate_compared_stands_in_the_order_that_was_asked_for():
    old, new = side(OLD, 12.0), side(NEW, 10.0, evaluation=paired(OLD))
    found = part("Metrics on the same rows", old, new)
    assert (named("mae", found).first, named("mae", found).second) == ("12", "10")
    assert "on the same 20 rows: its loss in mae is -2, -3 to -1 at 95% confidence" in found.note
    turned = part("Metrics on the same rows", new, old)
    assert (named("mae", turned).first, named("mae", turned).second) == ("10", "12")
    line = named("weekend = yes (8 rows)", part("Slices", old, new))
    assert (line.first, line.second, line.better) == ("7", "9", False)


def test_the_most_important_features_stand_first():
    found = part("Importance of features", side(OLD, 12.0), side(NEW, 10.0))
    assert [line.name for line in found.lines] == ["hour", "wind"]
    assert named("hour", found).change == "-4"


def test_contributions_take_the_place_of_importance_where_both_have_them():
    def contributed(unit: str) -> dict[str, Any]:
        return {"contributions": {"unit": unit, "features": [{"name": "hour", "size": 3.0}]}}

    both = [side(name, 9.0, explanation=contributed("sold")) for name in (OLD, NEW)]
    assert part("Importance of features", *both).note.startswith("Mean absolute contribution in sold")
    other = side(NEW, 9.0, explanation=contributed("log of sold"))
    assert "Importance of features" not in [one.name for one in compare(both[0], other).parts]


def test_a_version_that_kept_nothing_has_no_parts():
    nothing = Side(OLD, State.COMMITTED, problems=("kiosk: it is gone",))
    assert compare(nothing, nothing).parts == ()
