"""Which columns hold codes, and what is drafted for them."""

from __future__ import annotations

from random import Random

import pyarrow as pa
import pytest

from evergreen.validation.codes import Codes, codes_of, is_named_like_codes
from evergreen.validation.suggest import draft


def column(*values, times=20):
    return pa.chunked_array([list(values) * times])


NAMES = {
    True: "VendorID PULocationID vendor pickup_zone payment_type RatecodeID store_nbr zip shop_code kindCode "
    "season state",
    False: "trip_distance store_sales paid humid ozone zone_temperature type_count x 12 fare_amount "
    "passenger_count",
}


def test_names_of_codes():
    for expected, names in NAMES.items():
        found = {name: is_named_like_codes(name) for name in names.split()}
        assert found == dict.fromkeys(names.split(), expected)


CASES = [
    ("x", column(1, 2), [1, 2]),  # a flag
    ("x", column(0.0, 1.0), [0, 1]),  # as text formats have it
    ("x", column(4, 12, 13, 43, 79, 90, 261, 263), [4, 12, 13, 43, 79, 90, 261, 263]),  # scattered
    ("x", column(100, 300, 400, 900, 1500), None),  # rounded quantities
    ("x", column(0, 1, 2, 3, 4, 5), None),  # counts
    ("x", column(2**62), None),  # always the same
    ("x", column(2**62, 2**62 + 1), [2**62, 2**62 + 1]),
    ("vendor", column(1, 2, 6), [1, 2, 6]),
    ("zone", column(*range(1, 266)), [*range(1, 266)]),
    ("zone", column(1.5, 2.0), None),
    ("x", column(0.5, 1.0), None),
    ("x", column("a", "b"), None),  # text has a rule of its own, but for names
    ("zone", column(*(f"z{n:03}" for n in range(100))), [f"z{n:03}" for n in range(100)]),
    ("x", column("01234", "90210"), ["01234", "90210"]),  # digits that no number keeps
    ("x", column("4111111111111111"), ["4111111111111111"]),
    ("x", column("1234", "90210"), None),
    ("x", column(None, None), None),
]


def test_codes_are_told_from_quantities():
    for name, values, expected in CASES:
        found = codes_of(values, name)
        assert (found and found.values) == expected, (name, values[:8])


def test_codes_that_are_too_many_make_no_set():
    assert codes_of(column(*range(600)), "trip_id") == Codes(None)
    assert codes_of(column(*range(40), times=1), "trip_id") == Codes(None, grow=True)


def test_new_codes_of_the_last_half_are_noticed():
    rows = pa.chunked_array([[1, 2, 3] * 20 + [1, 2, 3, 7] * 15])
    assert codes_of(rows, "vendor") == Codes([1, 2, 3, 7], grow=True)
    assert codes_of(column(7, 1, 2), "vendor") == Codes([1, 2, 7])


@pytest.fixture
def lines(spec):
    """The draft's lines for each column of a table."""

    def lines(**columns):
        count = len(next(iter(columns.values())))
        table = pa.table({"at": pa.array(range(count)), **columns, "partition": ["2011-01-01"] * count})
        found = {}
        for block in draft(spec("[]"), table, 28).text.split("\n\n"):
            if block.startswith("# -- "):
                title, *rest = block.splitlines()
                found[title.removeprefix("# -- ").partition(":")[0]] = [title, *rest]
        return found

    return lines


def test_a_draft_expects_sets_of_codes_and_notices_a_first_value(lines):
    draws = Random(1)
    zones = sorted({draws.randrange(1, 265) for _ in range(60)})
    count = 600
    found = lines(
        zone=pa.array([draws.choice(zones) for _ in range(count)]),
        vendor=pa.array([draws.choice([1.0, 2.0]) for _ in range(count)]),
        trip_id=pa.array(range(count)),
        empty=pa.nulls(count, pa.float64()),
        y=pa.array([draws.choice([3.0, 5.0]) for _ in range(count)]),  # the target is a quantity
        amount=pa.array([draws.random() for _ in range(count)]),
    )
    said = "\n".join
    assert f"in_set: {{column: zone, value_set: {zones}}}\n  severity: warning" in said(found["zone"])
    assert "in_set: {column: vendor, value_set: [1, 2]}" in said(found["vendor"])
    assert "between" not in said(found["zone"] + found["vendor"] + found["trip_id"])
    assert "# Codes: they are too many for a set" in said(found["trip_id"])
    assert found["empty"] == [
        "# -- empty: double, no value so far: the first one is reported",
        "- expect_column_values_to_be_null: {column: empty}",
        "  severity: info",
    ]
    assert "in_set" not in said(found["y"])
    assert "to_be_between: {column: amount" in said(found["amount"])
