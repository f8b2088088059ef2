"""Newline-delimited JSON: the rules one by one, then any bytes in any pieces against a plain parser."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tako.errors import ResponseError
from tako.kit.ndjson import NdJsonDecoder

BOM = b"\xef\xbb\xbf"
CAP = 6  # small enough for generated bodies to go over it

CASES = {
    "lines": (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
    "CRLF": (b"{}\r\n[]\r\n", [b"{}", b"[]"]),
    "a CR within a line is text": (b"{\r}\n", [b"{\r}"]),
    "blank lines": (b"\n\r\n \t\n{}\n\n\n", [b"{}"]),
    "white space around a line": (b" {} \t\n", [b"{}"]),
    "byte order mark": (BOM + b"{}\n", [b"{}"]),
    "two byte order marks": (BOM + BOM + b"{}\n", [BOM + b"{}"]),
    "byte order mark further in": (b"{}\n" + BOM + b"{}\n", [b"{}", BOM + b"{}"]),
    "half a byte order mark": (b"\xef\xbb{}\n", [b"\xef\xbb{}"]),
    "Unicode's line ends are text": ("a\u2028b\u2029c\u0085d\n".encode(), ["a\u2028b\u2029c\u0085d".encode()]),
    "a line without an end": (b"{}\n[", [b"{}"]),
    "nothing": (b"", []),
}


def decode(pieces, cap=16 * 1024 * 1024):
    """Feed the pieces and return what can be seen: the lines, and `pending` and the flushed lines at the end."""
    decoder = NdJsonDecoder(cap)
    lines = [line for piece in pieces for line in decoder.feed(piece)]
    return lines, decoder.pending, decoder.flush()


def outcome(pieces, cap):
    try:
        return decode(pieces, cap)
    except ResponseError:
        return "too large"


def reference(body, cap):
    """Parse a whole body in the plainest way."""
    *lines, rest = body.removeprefix(BOM).split(b"\n")
    if any(len(line) > cap for line in [*lines, rest]):
        return "too large"
    return [line.strip() for line in lines if line.strip()], bool(rest.strip()), [rest.strip()] if rest.strip() else []


def bytewise(body):
    return [body[at : at + 1] for at in range(len(body))]


FRAGMENTS = st.sampled_from(
    [b"\n", b"\r", b"\r\n", b" ", b"{}", b"{}\n", b"{}\r\n", BOM, BOM[:1], BOM[:2], b"\xe2\x80\xa8"]
)
BODIES = st.lists(FRAGMENTS | st.binary(max_size=3), max_size=16).map(b"".join)


@st.composite
def cut_bodies(draw):
    body = draw(BODIES)
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=8)))
    return body, [body[start:end] for start, end in itertools.pairwise([0, *cuts, len(body)])]


@pytest.mark.parametrize("case", CASES)
def test_each_rule_holds_for_a_body_in_one_piece_in_two_and_in_single_bytes(case):
    body, lines = CASES[case]
    at_once = decode([body])
    assert at_once[0] == lines
    assert decode([b"", *(piece for byte in bytewise(body) for piece in (byte, b""))]) == at_once
    for at in range(len(body)):
        assert decode([body[:at], body[at:]]) == at_once


@given(cut_bodies())
@example((b"", [b""]))
def test_any_body_in_any_pieces_gives_what_a_plain_parser_gives(body_and_pieces):
    body, pieces = body_and_pieces
    assert decode(pieces) == decode([body]) == decode(bytewise(body)) == reference(body, len(body))


@given(cut_bodies())
@example((b"\xef234567", [b"\xef", b"234567"]))
def test_whether_a_body_is_too_large_depends_on_no_cut(body_and_pieces):
    body, pieces = body_and_pieces
    assert outcome(pieces, CAP) == outcome([body], CAP) == outcome(bytewise(body), CAP) == reference(body, CAP)


@given(st.lists(st.binary()), st.integers(0, 40))
def test_random_bytes_raise_nothing_but_a_response_error(pieces, cap):
    outcome(pieces, cap)


@pytest.mark.parametrize("body", [b"{", b"{}", b"{}\n[]", b" {}\r", BOM + b"{}"])
def test_a_line_that_has_begun_is_pending_until_it_is_flushed_once(body):
    decoder = NdJsonDecoder()
    decoder.feed(body)
    assert decoder.pending
    assert len(decoder.flush()) == 1
    assert not decoder.pending
    assert decoder.flush() == []


@pytest.mark.parametrize("body", [b"", b"\n", b"{}\n", b"{}\n \r", BOM])
def test_blank_lines_are_neither_pending_nor_flushed(body):
    decoder = NdJsonDecoder()
    decoder.feed(body)
    assert not decoder.pending
    assert decoder.flush() == []


@pytest.mark.parametrize("body", [b"a" * 101 + b"\n", b"a" * 101, b"{}\n" + b" " * 101 + b"\n{}\n"])
def test_a_line_over_the_cap_is_a_response_error_that_names_the_cap(body):
    for pieces in ([body], bytewise(body), [body[:50], body[50:]]):
        with pytest.raises(ResponseError, match=r"more than 100 bytes"):
            decode(pieces, 100)


def test_lines_at_the_cap_may_go_on_for_ever():
    body = (b"a" * 100 + b"\n") * 20
    assert decode([body], 100) == decode(bytewise(body), 100) == ([b"a" * 100] * 20, False, [])


def test_a_line_in_many_pieces_is_copied_a_fixed_number_of_times():
    decoder = NdJsonDecoder()
    total = 0
    tracemalloc.start()
    try:
        for piece in [b"a" * 1024] * 2048:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            decoder.feed(piece)
            total += tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert total < 8 * 2048 * 1024  # copying what is held at each piece would be a thousand times the line
    assert decoder.feed(b"\n") == [b"a" * 1024 * 2048]
