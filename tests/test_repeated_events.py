"""Events that differ from the one before in their text alone: read at once, they say what each of them says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tako.errors import ResponseError
from tako.kit.repeated_events import MOST_EXAMPLES, MOST_OTHERS, RepeatedEvents
from tako.kit.sse import SseDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tako.kit.sse import Event

CAP = 4096
Read = list[tuple[str, Any, Any]]
"""Events: their type, their text, and the rest of their fields; of one that can't be read its bytes, and None."""


def event(text: str, *, rest: str = "", before: str = "data: ", end: str = "\n\n") -> bytes:
    return f'{before}{{"id": "r-1", "text": "{text}"{rest}}}{end}'.encode("utf-8", "surrogateescape")


def read_each(pieces: Iterable[bytes]) -> Read:
    """Read events one by one."""
    decoder = SseDecoder(CAP)
    events = [one for piece in pieces for one in decoder.feed(piece)]
    return without_empty(_read(one) for one in [*events, *decoder.flush()])


def read_runs(pieces: Iterable[bytes]) -> tuple[Read, int]:
    """Read events as a vendor's decoder does; return how many of them were read in runs, too."""
    repeated = RepeatedEvents(CAP)
    out: Read = []
    latest: tuple[Any, ...] = ("", "", None)  # the event that's expected
    in_runs = 0
    for piece in pieces:
        for texts, events in steps(repeated, piece):
            assert "" not in texts
            in_runs += len(texts)
            out += [(latest[0], text, latest[2]) for text in texts]
            for one in events:
                out.append(_read(one))
                name, text, rest = out[-1]
                if (name, rest) != (latest[0], latest[2]):
                    repeated.forget()
                if rest is not None:
                    repeated.expect(one.data, "text", text)
                latest = name, text, rest
    return without_empty([*out, *map(_read, repeated.flush())]), in_runs


def steps(repeated: RepeatedEvents, data: bytes) -> Iterator[tuple[list[str], list[Event]]]:
    """Read a piece step by step."""
    at = 0
    while at < len(data):
        texts, events, at = repeated.read(data, at)
        yield texts, events


def _read(one: Event) -> tuple[str, Any, Any]:
    try:
        fields = msgspec.json.decode(one.data)
        if isinstance(fields["text"], str):
            return one.event, fields.pop("text"), fields
    except (msgspec.DecodeError, UnicodeError, KeyError, TypeError):
        pass
    return one.event, one.data, None


def without_empty(events: Iterable[tuple[str, Any, Any]]) -> Read:
    """Leave out events with an empty text, which say nothing."""
    return [one for one in events if one[1] != ""]


odd_texts = st.text(st.sampled_from('ab"\\/é\n\r:,{}\u2028\udcff'), max_size=5) | st.sampled_from(
    [
        "a",
        "b",
        "\\n",
        '\\"',
        "\\",
        "\\\\",
        '","',
        '", "text": "',
        '"}',
        '"}\n\ndata: {"id": "r-1", "text": "',
        "\\ud800",
    ]
)
befores = st.sampled_from(
    ["data: ", "data:", "event: message\ndata: ", "event: a\ndata: ", "id: 7\ndata: ", ": c\ndata: "]
)
ends = st.sampled_from(["\n\n", "\r\n\r\n", "\n: c\n\n", "\n\n: c\n\n"])
others = st.sampled_from(
    [
        b": ping\n\n",
        b"\n",
        b"data: [DONE]\n\n",
        b"data: {\ndata: }\n\n",
        b"event: b\n\n",
        b'data: {"text": "cut',
        b"id: 8\n\n",
    ]
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw a body in which most events are like the one before."""
    pieces: list[bytes] = []
    for _ in range(draw(st.integers(1, 4))):
        before, end, rest = draw(befores), draw(ends), draw(st.sampled_from(["", ', "n": 1', ', "n": 2']))
        texts = draw(st.lists(odd_texts, min_size=1, max_size=5))
        pieces += [event(text, rest=rest, before=before, end=end) for text in ("a", *texts)]
        pieces += draw(st.lists(others, max_size=1))
    return b"".join(pieces)


@settings(max_examples=300, deadline=None)
@given(bodies(), st.data())
def test_events_read_in_runs_say_what_each_of_them_says(body: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=3)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert read_runs(pieces)[0] == read_each(pieces)


A, B = event("a"), event("b")
NAMED, CR = event("a", before="event: b\ndata: "), event("a", end="\r\r")
PING = b": ping\n\n"
PINGS = PING * (MOST_OTHERS + 1)
"""What follows eight of these isn't split."""
TWO_LINES = b'{"id": "r-1",\n"text": "a"}'


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([A, A, event("a\\") + event(',"c')], id="two texts that together would be two others"),
        pytest.param([A, A, event('b","c')], id="a text that would be two"),
        pytest.param([A, A, event("b", rest=', "n": 1')], id="another field follows"),
        pytest.param(
            [event("a", rest=', "n": 1'), event("a", rest=', "n": 1'), event("b", rest=', "n": 2')],
            id="another field differs",
        ),
        pytest.param([A, A[:2], A[2:], B[2:]], id="the expected event was cut"),
        pytest.param([A, A, b"data: [", B], id="a line has begun"),
        pytest.param([A, A, b"data: [\n", B], id="an event has begun"),
        pytest.param(
            [A, PINGS + A + b"data: {", b"}\n\n", PING + B + b"data: {", b"}\n\n"],
            id="the expected event came with the start of another",
        ),
        pytest.param([A, CR + B, CR + B], id="the expected event ends in CR alone, before another"),
        pytest.param([A, CR + B[:20], B[20:], CR + B[:20], B[20:]], id="so, before the start of another"),
        pytest.param([A, PINGS + NAMED + NAMED, B], id="an event of another type came with others"),
        pytest.param([A, b": %b%b" % (A[6:-1], A), b": %b%b" % (B[6:-1], A)], id="a comment repeats the event"),
        pytest.param(
            [
                b"data: %bf%b\n\n" % (TWO_LINES.replace(b"\n", b"\ndata: ") + b"\n", two)
                for two in (TWO_LINES, TWO_LINES, TWO_LINES.replace(b"a", b"b"))
            ],
            id="data of two lines that another field repeats",
        ),
    ],
)
def test_what_only_seems_to_be_like_the_expected_event_is_read_as_it_is(pieces: list[bytes]) -> None:
    assert read_runs(pieces)[0] == read_each(pieces)


@pytest.mark.parametrize("before", ["data: ", "data:", "event: delta\ndata: ", "id: 7\ndata: "])
@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
def test_all_but_the_first_two_events_of_a_run_are_read_at_once(before: str, end: str) -> None:
    events = [event(text, before=before, end=end) for text in ("one", "two", "three", r"\"4\"", "é")]
    assert read_runs([b"".join(events)])[1] == 3
    assert read_runs(events)[1] == 3


def test_a_run_goes_on_in_the_next_piece_behind_another_event_or_one_that_is_cut() -> None:
    assert read_runs([A * 4 + PING + A * 3, A * 2, PING + A * 2])[1] == 6
    assert read_runs([A * 4 + A[:9], A[9:] + A * 3])[1] == 5


def test_a_run_is_looked_for_behind_the_first_few_other_events_alone() -> None:
    other = b"data: {}\n\n"
    assert read_runs([other * (MOST_OTHERS - 2) + A * 4])[1] == 2
    assert read_runs([other * (MOST_OTHERS + 1) + A * 4])[1] == 0


def test_an_event_that_is_not_like_the_next_one_is_no_example() -> None:
    assert read_runs([event("a", rest=', "role": "assistant"') + A * 4])[1] == 2
    repeated = RepeatedEvents(CAP)
    padded = [event("a", rest=f', "padding": "{"x" * size}"') for size in (1, 2, 2)]
    for data in padded:
        for texts, events in steps(repeated, data):
            assert texts == []
            repeated.expect(events[0].data, "text", "a")


def test_two_events_whose_texts_have_an_unknown_place_are_no_examples() -> None:
    repeated = RepeatedEvents(CAP)
    for data in (event(r"\n"), event(r"\n")):
        for _, events in steps(repeated, data):
            repeated.expect(events[0].data, "text", "\n")
    assert [texts for texts, _ in steps(repeated, b'data: "a"\n\n')] == [[]]


def test_no_more_than_the_first_few_events_are_examples() -> None:
    repeated = RepeatedEvents(CAP)
    for number in range(MOST_EXAMPLES):
        repeated.expect(event("a", rest=f', "n": {number}'), "text", "a")
    for _ in range(3):
        for texts, events in steps(repeated, A):
            assert texts == []
            repeated.expect(events[0].data, "text", "a")


def test_events_behind_the_expected_one_are_no_part_of_it() -> None:
    repeated = RepeatedEvents(CAP)
    for piece in (A, PINGS + A + B):
        for _, events in steps(repeated, piece):
            for one in events[:1]:
                repeated.expect(one.data, "text", "a")
    read = [[*texts, *(one.data for one in events)] for texts, events in steps(repeated, PING + A + B)]
    assert read == [[], [A[6:-2]], [B[6:-2]]]


def test_nothing_is_learned_of_an_event_that_was_no_example() -> None:
    repeated = RepeatedEvents(CAP)
    for piece in (A, A[:9], A[9:]):
        for _, events in steps(repeated, piece):
            for one in events:
                repeated.expect(one.data, "text", "a")
    named = event("b", before="event: b\ndata: ")
    assert [len(events) for _, events in steps(repeated, named * 2)] == [1, 1]


def test_an_event_over_the_cap_is_refused_although_it_is_like_the_one_before() -> None:
    repeated = RepeatedEvents(64)
    for _ in range(2):
        for _, events in steps(repeated, A):
            repeated.expect(events[0].data, "text", "a")
    assert [texts for texts, _ in steps(repeated, A)] == [["a"]]
    with pytest.raises(ResponseError):
        next(steps(repeated, event("a" * 100)))
    with pytest.raises(ResponseError):
        next(steps(RepeatedEvents(64), A + event("a" * 100)))
