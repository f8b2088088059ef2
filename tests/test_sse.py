"""Server-Sent Events: the rules of the standard one by one, then any bytes in any pieces against a plain parser."""

from __future__ import annotations

import itertools
import re
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tako.errors import ResponseError
from tako.kit.sse import Event, SseDecoder

BOM = b"\xef\xbb\xbf"
CAP = 24  # small enough for generated streams to go over it

CASES = {
    "an error in a field of its own": (
        b'data: a\n\nerror: {"code": 1}\n\n',
        [("message", b"a"), ("error", b'{"code": 1}')],
    ),
    "an error without a space": (b"error:no\r\n\r\n", [("error", b"no")]),
    "JSON without a field": (
        b'data: a\n\n{"error":\n  {}}\n\ndata: b\n\n',
        [("message", b"a"), ("message", b'{"error":\n  {}}'), ("message", b"b")],
    ),
    "one event": (b"data: a\n\n", [("message", b"a")]),
    "CRLF": (b"event: x\r\ndata: a\r\n\r\n", [("x", b"a")]),
    "CR": (b"event: x\rdata: a\r\r", [("x", b"a")]),
    "all line ends in one event": (b"event: x\rdata: a\r\ndata: b\ndata: c\n\r\n", [("x", b"a\nb\nc")]),
    "CRLF after LF is a blank line": (b"data: a\n\r\ndata: b\n\n", [("message", b"a"), ("message", b"b")]),
    "CR CRLF is one blank line": (b"data: a\r\r\nevent: x\r\rdata: b\r\r", [("message", b"a"), ("message", b"b")]),
    "CRLF and a lone CR in one piece": (
        b"data: a\r\n\r\ndata: b\rdata: c\r\n\r\n",
        [("message", b"a"), ("message", b"b\nc")],
    ),
    "LF before CR is two line ends": (b"data: a\n\rdata: b\n\r", [("message", b"a"), ("message", b"b")]),
    "byte order mark": (BOM + b"data: a\n\n", [("message", b"a")]),
    "two byte order marks": (BOM + BOM + b"data: a\ndata: b\n\n", [("message", b"b")]),
    "byte order mark further in": (b"data: a\n\n" + BOM + b"data: b\n\n", [("message", b"a")]),
    "half a byte order mark": (b"\xef\xbbdata: a\ndata: b\n\n", [("message", b"b")]),
    "comments": (b": hello\n\n:\n:data: no\ndata: a\n: in the midst\ndata: b\n\n", [("message", b"a\nb")]),
    "blank lines first": (b"\n" * 300 + b"data: a\n\n\n\n", [("message", b"a")]),
    "data without a space": (b"data:a\n\n", [("message", b"a")]),
    "one space goes, the second stays": (b"event:  x\ndata:  a \n\n", [(" x", b" a ")]),
    "a tab stays": (b"data:\ta\n\n", [("message", b"\ta")]),
    "a colon in the data": (b"data: a: b\n\n", [("message", b"a: b")]),
    "data after data": (b"data: a\ndata\ndata:\ndata: b\n\n", [("message", b"a\n\n\nb")]),
    "field without colon": (b"data\n\ndata\ndata\n\n", [("message", b""), ("message", b"\n")]),
    "empty data": (b"event: error\ndata:\n\n", [("error", b"")]),
    "no data field": (b"event: x\n\ndata: a\n\n", [("message", b"a")]),
    "the type ends with its event": (b"event: x\ndata: a\n\ndata: b\n\n", [("x", b"a"), ("message", b"b")]),
    "the type after the data": (b"data: a\nevent: x\n\n", [("x", b"a")]),
    "the last type counts": (b"event: x\nevent: y\ndata: a\n\n", [("y", b"a")]),
    "an empty type": (b"event: x\nevent\ndata: a\n\n", [("message", b"a")]),
    "a type again and again": (b"event: x\ndata: a\n\n" * 2 + b"data: a\nevent: x\n\n", [("x", b"a")] * 3),
    "a type in bad UTF-8": (b"event: \xff\ndata: \xff\n\n", [("\ufffd", b"\xff")]),
    "unknown fields": (b"retry: 10\nfoo: bar\nDATA: no\ndata : no\n data: no\ndata: a\n\n", [("message", b"a")]),
    "Unicode's line ends are text": (
        "data: a\u2028b\u2029c\u0085d\x0b\x0c\x1ce\n\n".encode(),
        [("message", "a\u2028b\u2029c\u0085d\x0b\x0c\x1ce".encode())],
    ),
    "an error that tells nothing": (b"event: error\n\nevent: other\n\n", [("error", b"")]),
    "not an event stream": (b'{"error": "no"}\n', []),
    "nothing": (b"", []),
}


def decode(pieces, cap=16 * 1024 * 1024):
    """Feed the pieces and return what can be seen: the events, and `pending`, flushed events and ids at the end."""
    decoder = SseDecoder(cap)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    pending, before = decoder.pending, decoder.id
    return events, pending, before, decoder.flush(), decoder.id


def outcome(pieces, cap):
    try:
        return decode(pieces, cap)
    except ResponseError:
        return "too large"


def reference(body, cap):  # noqa: C901 - one loop, as the standard has it
    """Parse a whole body as the standard is written, with errors as servers tell them."""
    *lines, rest = re.split(rb"\r\n|\n|\r", body.removeprefix(BOM))
    ends = [(line, True) for line in lines] + [(rest, False), (b"", False)]
    done, flushed, data, kind, last_id, next_id, ids, begun, pending = [], [], [], "", "", "", None, False, None
    bare = False
    for line, ended in ends:
        if not ended and ids is None:
            ids, pending = last_id, begun or bool(line and not line.startswith(b":"))
        if line and len(b"\n".join(data)) + len(line) > cap:
            return "too large"
        if not line and (ended or ends[-1][0] is line):
            if data or kind == "error":
                (done if ended else flushed).append(Event(kind or "message", b"\n".join(data)))
            last_id, data, kind, begun, bare = next_id, [], "", False, False
        if line and not line.startswith(b":"):
            begun = True
            name, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            bare = bare or bool(not data and line.startswith(b"{"))
            name, value = (b"data", line) if bare else (name, value)
            if name == b"data":
                data.append(value)
            if name == b"error":
                data, kind = [value], "error"
            if name == b"event":
                kind = value.decode(errors="replace")
            if name == b"id" and b"\0" not in value:
                next_id = value.decode(errors="replace")
    return done, pending, ids, flushed, last_id


def bytewise(body):
    return [body[at : at + 1] for at in range(len(body))]


FRAGMENTS = st.sampled_from(
    [
        *(b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b":", b" ", b"data", b"data:", b"data: ", b"data: a\n\n"),
        *(b"data: a\r\n\r\n", b"event: x\ndata: a\n\n", b"event: x\r\ndata: a\r\n\r\n", b"event: y", b"event:", b"a\0"),
        *(b"id: 1", b"id: \0", b"id", b"retry: 1", b": comment", b"foo", BOM, BOM[:1], BOM[:2], b"{}", b"\xe2\x80\xa8"),
        *(b"error: {}", b"error:", b"event: error", b'{"error":\n{}}'),
    ]
)
BODIES = st.lists(FRAGMENTS | st.binary(max_size=3), max_size=16).map(b"".join)


@st.composite
def cut_bodies(draw):
    body = draw(BODIES)
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=8)))
    return body, [body[start:end] for start, end in itertools.pairwise([0, *cuts, len(body)])]


@pytest.mark.parametrize("case", CASES)
def test_each_rule_of_the_standard_holds_for_a_body_in_one_piece(case):
    body, events = CASES[case]
    assert decode([body])[0] == [Event(*event) for event in events]


@pytest.mark.parametrize("case", CASES)
def test_each_rule_holds_for_a_body_cut_in_two_anywhere_and_for_single_bytes(case):
    body, _ = CASES[case]
    at_once = decode([body])
    assert decode(bytewise(body)) == at_once
    assert decode([b"", *(piece for byte in bytewise(body) for piece in (byte, b""))]) == at_once
    for at in range(len(body)):
        assert decode([body[:at], body[at:]]) == at_once


@given(cut_bodies())
@example((b"", [b""]))
@example((b"data: a\r\n\r\n", [b"data: a\r\n\r", b"\n"]))
def test_any_body_in_any_pieces_gives_what_a_plain_parser_gives(body_and_pieces):
    body, pieces = body_and_pieces
    assert decode(pieces) == decode([body]) == decode(bytewise(body)) == reference(body, len(body))


@given(cut_bodies())
@example(
    (b"event: x\n\ndata: 78901234567890\nevent: x\n\n", [b"event: x\n\n", b"data: 78901234567890\neve", b"nt: x\n\n"])
)
def test_whether_a_body_is_too_large_depends_on_no_cut(body_and_pieces):
    body, pieces = body_and_pieces
    assert outcome(pieces, CAP) == outcome([body], CAP) == outcome(bytewise(body), CAP) == reference(body, CAP)


@given(st.lists(st.binary()), st.integers(0, 40))
def test_random_bytes_raise_nothing_but_a_response_error(pieces, cap):
    outcome(pieces, cap)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r", b"\r\n\r"])
def test_an_event_comes_with_the_byte_that_ends_it(end):
    decoder = SseDecoder()
    first, last = b"data: a" + end[:-1], end[-1:]
    assert decoder.feed(first) == ([Event("message", b"a")] if end == b"\r\n\r\n" else [])
    assert decoder.feed(last) == ([] if end == b"\r\n\r\n" else [Event("message", b"a")])
    assert decoder.feed(b"data: b\n\n") == [Event("message", b"b")]


@pytest.mark.parametrize(
    ("body", "flushed"),
    [
        (b"data: a", [Event("message", b"a")]),
        (b"data: a\n", [Event("message", b"a")]),
        (b"data: a\r", [Event("message", b"a")]),
        (b"event: x\r\ndata: a\r\n", [Event("x", b"a")]),
        (b'data: {"cut": "of', [Event("message", b'{"cut": "of')]),
        (b"data: a\n\ndata: b\nda", [Event("message", b"b")]),
        (b"data: a\n\n", []),
        (b"data: a\n\n: comment", []),
        (b"event: x\n", []),
        (b"\n\n\r\n", []),
        (BOM, []),
        (BOM[:2], []),
        (b"", []),
    ],
)
def test_the_end_of_the_body_hands_over_the_event_that_it_cuts_once(body, flushed):
    decoder = SseDecoder()
    decoder.feed(body)
    assert decoder.flush() == flushed
    assert decoder.flush() == []
    assert not decoder.pending


@pytest.mark.parametrize(
    "body", [b"d", b"data: a", b"data: a\n", b"event: x\n", b"id: 1\n", b"foo\n", b"{}", b"data:\r\n\r\ndata"]
)
def test_an_event_that_has_begun_is_pending(body):
    decoder = SseDecoder()
    decoder.feed(body)
    assert decoder.pending


@pytest.mark.parametrize(
    "body", [b"", b"\n", b"\r", b":", b": comment", b": comment\n", b"data: a\n\n", b"data: a\r\n\r", BOM]
)
def test_comments_and_blank_lines_are_not_pending(body):
    decoder = SseDecoder()
    decoder.feed(body)
    assert not decoder.pending


def test_the_id_is_that_of_the_last_event_with_one():
    decoder = SseDecoder()
    assert decoder.id == ""
    decoder.feed(b"id: 1\ndata: a\n\nid: 2\n")
    assert decoder.id == "1"
    decoder.feed(b"\ndata: b\n\n")
    assert decoder.id == "2"
    decoder.feed(b"id: \x003\ndata: b\n\n")
    assert decoder.id == "2"
    decoder.feed(b"id\n\n")
    assert decoder.id == ""


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"data: " + b"a" * 95 + b"\n\n", id="a whole line"),
        pytest.param(b"data: " + b"a" * 95, id="a line without an end"),
        pytest.param(b":" + b"a" * 100, id="a comment without an end"),
        pytest.param(b":" + b"a" * 100 + b"\n", id="a whole comment"),
        pytest.param(b"data: aaa\n" * 30, id="many lines"),
        pytest.param(b"data\n" * 200, id="many empty lines"),
        pytest.param(b"a" * 101, id="an unknown field"),
    ],
)
def test_an_event_over_the_cap_is_a_response_error_that_names_the_cap(body):
    for pieces in ([body], bytewise(body), [b"data: b\n\n", body], [body[:50], body[50:]]):
        with pytest.raises(ResponseError, match=r"more than 100 bytes"):
            decode(pieces, 100)


def test_an_event_at_the_cap_is_read():
    body = b"data: " + b"a" * 94 + b"\r\n\r\n"
    assert decode([body], 100) == decode(bytewise(body), 100)
    assert decode([body], 100)[0] == [Event("message", b"a" * 94)]


def test_small_events_comments_and_blank_lines_may_go_on_for_ever():
    body = (b": keep-alive\n" * 20 + b"data: a\n\n" + b"\n" * 20 + b": keep-alive\r\n\r\n") * 20
    for pieces in ([body], bytewise(body)):
        assert decode(pieces, 20)[0] == [Event("message", b"a")] * 20


def test_many_event_types_are_read_alike_whether_remembered_or_not():
    kinds = [str(number) for number in range(200)] + ["long" * 50]
    body = "".join(f"event: {kind}\ndata: a\n\n" for kind in kinds).encode()
    assert decode([body, body])[0] == [Event(kind, b"a") for kind in kinds] * 2


def allocated(decoder, pieces):
    """Feed the pieces; return the bytes that all feeds together allocated at their peaks, and those held at the end."""
    total = 0
    tracemalloc.start()
    try:
        for piece in pieces:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            decoder.feed(piece)
            total += tracemalloc.get_traced_memory()[1] - before
        return total, tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "line", [b"a" * 1024, b"a" * 1023 + b"\r", b"a" * 1022 + b"\r\n", b"data:" + b"a" * 1018 + b"\n"]
)
def test_an_event_in_many_pieces_is_copied_a_fixed_number_of_times(line):
    pieces = [b"data: ", *[line] * 2048]
    total, held = allocated(SseDecoder(), pieces)
    assert total < 8 * 2048 * 1024  # copying what is held at each piece would be a thousand times the event
    assert held < 2 * 2048 * 1024


def test_a_comment_without_an_end_is_not_kept():
    total, held = allocated(SseDecoder(), [b": comment", *[b"a" * 1024] * 2048])
    assert total < 8 * 2048 * 1024
    assert held < 64 * 1024
