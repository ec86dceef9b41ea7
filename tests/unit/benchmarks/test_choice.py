"""Leave-one-out and sensitivity, on numbers made by hand."""

from __future__ import annotations

from benchmarks.histories.choice import (
    LeftOut,
    Score,
    as_changes,
    choose,
    grid,
    leave_one_out,
    sensitivity,
)

KNOBS = {
    "gate.champion.margin": ["0%", "10%"],
    "monitoring.retrain.cooldown": ["5 partitions", "9 partitions"],
}
A, B, C, D = grid(KNOBS)


def scores(**of: list[tuple[int, float]]):
    names = ("bakery", "river", "taxi")
    settings = {"a": A, "b": B, "c": C, "d": D}
    return {
        settings[key]: {name: Score(*score) for name, score in zip(names, values, strict=True)}
        for key, values in of.items()
    }


def test_a_grid_is_every_combination_and_a_setting_is_a_part_of_a_description():
    assert A == (("gate.champion.margin", "0%"), ("monitoring.retrain.cooldown", "5 partitions"))
    assert [dict(one)["gate.champion.margin"] for one in (A, B, C, D)] == ["0%", "0%", "10%", "10%"]
    assert as_changes(D) == {
        "gate": {"champion": {"margin": "10%"}},
        "monitoring": {"retrain": {"cooldown": "9 partitions"}},
    }
    assert as_changes(()) == {}


def test_first_come_the_lines_that_are_broken_then_the_distance_then_the_order():
    found = scores(
        a=[(0, 0.02), (1, 0.0), (0, 0.0)],
        b=[(0, 0.03), (0, 0.03), (0, 0.03)],
        c=[(0, 0.03), (0, 0.01), (0, 0.06)],
        d=[(0, 0.03), (0, 0.03), (0, 0.03)],
    )
    assert choose(found, ["bakery", "taxi"]) == A
    assert choose(found, ["bakery", "river", "taxi"]) == B
    assert choose({key: found[key] for key in (D, B)}, ["bakery"]) == D


def test_what_is_chosen_does_not_see_the_history_left_out():
    # b is by far the best on taxi alone, a everywhere else.
    found = scores(a=[(0, 0.0), (0, 0.0), (0, 0.5)], b=[(0, 0.1), (0, 0.1), (0, -0.9)])
    assert choose(found, ["bakery", "river", "taxi"]) == B
    assert leave_one_out(found) == [
        LeftOut("bakery", B, Score(0, 0.1)),
        LeftOut("river", B, Score(0, 0.1)),
        LeftOut("taxi", A, Score(0, 0.5)),
    ]


def test_each_knob_is_turned_alone():
    found = scores(
        a=[(0, 0.0), (0, 0.3), (0, 0.0)],
        b=[(1, 0.1), (0, 0.1), (1, 0.1)],
        c=[(0, 0.2), (0, 0.2), (0, 0.2)],
        d=[(9, 9.0), (9, 9.0), (9, 9.0)],
    )
    turned = sensitivity(found, A)
    assert set(turned) == set(KNOBS)
    margin, cooldown = (turned[name] for name in KNOBS)
    assert (set(margin), set(cooldown)) == ({"0%", "10%"}, {"5 partitions", "9 partitions"})
    assert margin["0%"] == cooldown["5 partitions"]
    assert (margin["0%"][0], round(margin["0%"][1], 9)) == (0, 0.1)
    assert (cooldown["9 partitions"][0], round(cooldown["9 partitions"][1], 9)) == (2, 0.1)
    assert round(margin["10%"][1], 9) == 0.2
