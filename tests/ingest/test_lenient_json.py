"""JSON that a stranger wrote."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import InvalidEventError
from tidings.ingest import lenient_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_good_json_is_read_as_it_is(value: object) -> None:
    assert lenient_json.read(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"[NaN, Infinity, -Infinity, 1e999]", [None, None, None, None]),
        (b'"\\ud83d"', "\ufffd"),
        (b'"\\ude00!"', "\ufffd!"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'{"a": "\\ud83dx", "a": 2}', {"a": 2}),
        (b'{"\\ud83d": 1}', {"\ufffd": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"a": "é"}'.encode("utf-16"), {"a": "é"}),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_what_sdks_get_wrong_is_mended(written: bytes, read: object) -> None:
    assert lenient_json.read(written) == read


@pytest.mark.parametrize("written", [b"", b"{", b"{'a': 1}", b'{"a": 1} {"b": 2}', b'"M\xfcller"', b"1" * 5000])
def test_what_is_no_json_is_unreadable(written: bytes) -> None:
    with pytest.raises(InvalidEventError) as caught:
        lenient_json.read(written)
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_hundred_levels_are_read_and_no_more(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    assert lenient_json.read(opening * 100 + b"1" + closing * 100)
    assert lenient_json.read(b"[[]," + opening * 99 + b"1" + closing * 99 + b"]")
    for levels in (101, 900, 5_000, 100_000):
        with pytest.raises(InvalidEventError) as caught:
            lenient_json.read(opening * levels + b"1" + closing * levels)
        assert caught.value.reason == "too_deep"


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert lenient_json.read(b"[" + b",".join([b"{}"] * 500) + b"]") == [{}] * 500


@given(st.binary())
def test_reading_never_fails_in_any_other_way(data: bytes) -> None:
    with contextlib.suppress(InvalidEventError):
        lenient_json.read(data)
