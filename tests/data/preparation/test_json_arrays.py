from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.data.preparation import json_arrays
from opabinia.data.preparation.json_arrays import array_items

LARGEST = 1 << 20
TEXTS = st.text(alphabet=st.sampled_from('ab\\"[]{},: \n\t<é€😀\u2028'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


class Trickle(io.BytesIO):
    """Gives a few bytes at a time, so that every token is cut somewhere."""

    def __init__(self, content: bytes, at_once: int) -> None:
        super().__init__(content)
        self.at_once = at_once

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.at_once)


def items(content: bytes, at_once: int = 1 << 16, largest: int = LARGEST) -> list[bytes]:
    return list(array_items(Trickle(content, at_once), "a.json", largest))


@given(st.lists(VALUES, max_size=6), st.integers(1, 9), st.sampled_from([None, 0, 2]), st.booleans())
def test_the_items_of_any_array_are_those_that_json_finds(
    values: list[Any], at_once: int, indent: int | None, escaped: bool
) -> None:
    text = f" \n{json.dumps(values, indent=indent, ensure_ascii=escaped)}\n "
    assert [json.loads(item) for item in items(text.encode(), at_once)] == json.loads(text)


@given(st.lists(VALUES, max_size=4), st.data(), st.integers(1, 9))
def test_what_json_refuses_is_never_taken_for_a_whole_array(
    values: list[Any], data: st.DataObject, at_once: int
) -> None:
    text = json.dumps(values, ensure_ascii=False)
    place = data.draw(st.integers(1, len(text)))
    removed = data.draw(st.integers(0, 2))
    text = (
        text[:place]
        + data.draw(st.sampled_from(["", ",", "]", "}", "[", "{", '"', "\\", "1"]))
        + text[place + removed :]
    )
    try:
        expected = json.loads(text)
    except json.JSONDecodeError:
        # ValueError includes what json says of an item.
        with pytest.raises(ValueError):
            [json.loads(item) for item in items(text.encode(), at_once)]
        return
    assert [json.loads(item) for item in items(text.encode(), at_once)] == expected


def test_a_broken_item_leaves_the_others_whole() -> None:
    assert items(b'[{"a": 1}, {"a": tru}, , {"a" 2], {"a": 3},]') == [
        b'{"a": 1}',
        b'{"a": tru}',
        b"",
        b'{"a" 2]',
        b'{"a": 3}',
        b"",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'[{"a": 1}, {"a": "cut', "the array is not closed"),
        (b'[{"a": 1}, ', "the array is not closed"),
        (b'[{"a": 1}] {"a": 2}', "something follows the end of the array"),
        (b'[{"a": 1}}, {"a": 2}]', "a } closes what was not opened"),
        (b'{"a": 1}', "must begin with a bracket"),
        (b"", "the array is not closed"),
    ],
)
def test_an_array_that_is_damaged_as_a_whole_is_an_error_that_says_where(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^a\.json: .*\(byte [\d,]+\); repair it") as caught:
        items(content)
    assert reason in str(caught.value)


def test_a_quote_that_is_not_closed_does_not_take_the_rest_of_the_file_into_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_arrays, "CHUNK_BYTES", 100)
    stream = io.BytesIO(b'["sound", "open, ' + b"x" * 10_000 + b"]")
    with pytest.raises(ValueError, match=r"an item is larger than 500 bytes.*byte 9\b"):
        list(array_items(stream, "a.json", 500))
    assert stream.tell() < 1000
