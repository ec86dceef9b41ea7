"""Which text the lake can hold."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from evergreen.rows.texts import has_nul


@given(
    texts=st.lists(st.none() | st.text("a\0\u00f6", max_size=3), max_size=8),
    kind=st.sampled_from([pa.string(), pa.large_string(), pa.string_view()]),
    begin=st.integers(0, 8),
    length=st.integers(0, 8),
)
def test_a_nul_is_found_in_a_slice_of_any_form_of_text(texts, kind, begin, length):
    there = any("\0" in (text or "") for text in texts[begin : begin + length])
    assert has_nul(pa.array(texts, kind).slice(begin, length)) == there
