"""A partition key comes from a form, an address, an API and a shell: whatever is none is refused in a line.

What is accepted is plain: it may stand in a path, a pattern, a template and a message as it is.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Calendar, Grain, PartitionError

PLAIN = re.compile(r"[0-9A-Za-z-]{4,24}")
NONE = (
    "",
    " ",
    ".",
    "..",
    "../../etc/passwd",
    "2024-01-01/../../x",
    "2024-01-01'; DROP TABLE rentals; --",
    "2024-01-01' OR '1'='1",
    "{{ var.value.secret }}",
    "{{ 7 * 7 }}",
    "${AWS_SECRET_ACCESS_KEY}",
    "$(id)",
    "{partition}",
    "{partition.__class__}",
    "%(partition)s",
    "*",
    "2024-01-0?",
    "[0-9]*",
    "2024-01-01\n",
    " 2024-01-01",
    "2024-01-01 ",
    "2024-01-01\x00",
    "\x1b[2J\x1b[H2024-01-01",
    "２０２４-０１-０１",  # noqa: RUF001 - digits that Python takes for such
    "2024-01-01T00\u0660",
    "<script>alert(1)</script>",
    "2024-01-32",
    "0000-01-01",
    "99999-01-01",
    "2024-W01",
    "s3://other/bucket",
    "http://169.254.169.254/",
)
CALENDARS = [Calendar(grain) for grain in Grain]


@pytest.mark.parametrize("key", NONE, ids=ascii)
def test_what_is_no_key_is_refused_whatever_the_grain(key: str) -> None:
    for calendar in CALENDARS:
        with pytest.raises(PartitionError) as refused:
            calendar.check(key)
        assert str(refused.value).isprintable()


@given(st.one_of(st.text(max_size=30), st.from_regex(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?(T[0-9]{2}[ab]?)?.?")))
def test_what_is_accepted_is_plain(key: str) -> None:
    for calendar in CALENDARS:
        try:
            accepted = calendar.check(key)
        except PartitionError:
            continue
        assert PLAIN.fullmatch(accepted), calendar.grain
        assert accepted == key
