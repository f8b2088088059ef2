"""Chunks that differ from the one before in their text alone."""

from __future__ import annotations

from tako.kit.repeated_chunks import MOST_MISSES, RepeatedChunk


def chunk(text: str, rest: str = "") -> bytes:
    return f'{{"a": [{{"text": "{text}"}}]{rest}}}'.encode()


def expecting(data: bytes, text: str) -> RepeatedChunk:
    repeated = RepeatedChunk()
    repeated.expect(data, "text", text)
    return repeated


def test_the_text_is_read_with_its_escapes() -> None:
    repeated = expecting(chunk("one"), "one")
    assert repeated.text_of(chunk("two")) == "two"
    assert repeated.text_of(chunk(r"\"}]}\n\u00e9")) == '"}]}\né'
    assert repeated.text_of(chunk("é")) == "é"


def test_any_other_chunk_has_to_be_parsed() -> None:
    repeated = expecting(chunk("one"), "one")
    for data in (
        chunk("two", ', "usage": 1'),
        chunk("two")[:-1],
        b"",
        chunk('two"}, {"text": "three'),
        chunk("\\"),
        chunk("two").replace(b"two", b"\xff"),
        chunk("one").replace(b'"one"', b'"one'),
    ):
        assert repeated.text_of(data) == ""
    repeated.forget()
    assert repeated.text_of(chunk("two")) == ""
    assert repeated.text_of(b'\0{"a": [{"text": "two"}]}') == ""


def test_nothing_is_expected_of_a_chunk_whose_text_may_stand_elsewhere() -> None:
    for data, text in (
        (chunk("one", ', "b": {"text": "x"}'), "one"),
        (chunk(r"a\nb"), "a\nb"),
        (chunk("one"), "two"),
        (b'{"a": 1}', "one"),
    ):
        repeated = expecting(data, text)
        assert [repeated.text_of(data), repeated.text_of(chunk("x"))] == ["", ""]


def test_it_gives_up_where_each_chunk_differs_in_more() -> None:
    repeated = RepeatedChunk()
    for count in range(MOST_MISSES):
        repeated.expect(chunk("one", f', "n": {count}'), "text", "one")
    assert repeated.text_of(chunk("two", f', "n": {MOST_MISSES - 1}')) == "two"
    repeated.expect(chunk("one"), "text", "one")  # a hit has begun the count anew
    assert repeated.text_of(chunk("two")) == "two"
    for count in range(MOST_MISSES + 1):
        repeated.expect(chunk("one", f', "n": {count}'), "text", "one")
    assert repeated.text_of(chunk("two", f', "n": {MOST_MISSES}')) == ""
