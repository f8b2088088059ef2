"""Event streams are read as botocore reads them, and refused where a bit is wrong."""

import struct
from itertools import pairwise
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from tako.errors import ResponseError
from tako.kit.eventstream import EventStreamDecoder
from tako.testing.eventstream import event, frame

numbers = st.one_of(
    *[
        st.integers(-(1 << (8 * size - 1)), (1 << (8 * size - 1)) - 1).map(
            lambda n, size=size, kind=kind: bytes([kind]) + n.to_bytes(size, "big", signed=True)
        )
        for kind, size in ((2, 1), (3, 2), (4, 4), (5, 8), (8, 8))
    ]
)
values = st.one_of(
    st.text(max_size=20),
    st.binary(max_size=20).map(lambda value: struct.pack(">BH", 6, len(value)) + value),
    numbers,
    st.sampled_from([b"\x00", b"\x01"]),
    st.binary(min_size=16, max_size=16).map(lambda value: b"\x09" + value),
)
names = st.text(max_size=10)
frames = st.builds(frame, st.dictionaries(names, values, max_size=4), st.binary(max_size=60))
TEXT_EVENT = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "café"}})


def read(*chunks, cap=1 << 24):
    decoder = EventStreamDecoder(cap)
    return [(dict(message.headers), message.payload) for chunk in chunks for message in decoder.feed(chunk)]


def read_with_botocore(data):
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


def split(data, positions):
    cuts = [0, *sorted(positions), len(data)]
    return [data[start:end] for start, end in pairwise(cuts)]


@given(st.lists(frames, max_size=4), st.lists(st.integers(0, 400), max_size=6))
def test_any_stream_in_any_chunks_is_read_as_botocore_reads_it(messages, cuts):
    data = b"".join(messages)
    assert read(*split(data, [cut % (len(data) + 1) for cut in cuts])) == read_with_botocore(data)


@given(st.lists(frames, min_size=1, max_size=3), st.data())
def test_a_flipped_bit_is_an_error_after_the_messages_before_it(messages, data):
    raw = bytearray(b"".join(messages))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << (bit % 8)
    messages_read = []
    with pytest.raises(ResponseError, match="event stream is damaged"):
        messages_read.extend(EventStreamDecoder().feed(bytes(raw)))
    ends = [sum(map(len, messages[: k + 1])) for k in range(len(messages))]
    assert len(messages_read) == sum(end * 8 <= bit for end in ends)


def test_a_flip_of_any_bit_of_a_message_is_an_error():
    for bit in range(8 * len(TEXT_EVENT)):
        raw = bytearray(TEXT_EVENT)
        raw[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(ResponseError):
            read(bytes(raw))


def damaged(block, payload=b"{}"):
    """A frame whose CRCs are right, around a header block that is not."""
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    body = prelude + struct.pack(">I", crc32(prelude)) + block + payload
    return body + struct.pack(">I", crc32(body))


@settings(max_examples=300)
@given(st.binary(max_size=24))
def test_accepted_headers_are_read_as_botocore_reads_them(block):
    data = damaged(block)
    try:
        ours = read(data)
    except ResponseError:
        return
    assert ours == read_with_botocore(data)


@pytest.mark.parametrize(
    "block",
    [
        b"\x01a",
        b"\x01a\x0a",
        b"\x01a\x07\x00",
        b"\x01a\x07\x00\x05abc",
        b"\x05a",
        b"\x01a\x00\x01a\x01",
        b"\x01\xff\x00",
    ],
    ids=["no type", "unknown type", "half a length", "cut text", "cut name", "twice", "not UTF-8"],
)
def test_malformed_headers_are_refused(block):
    with pytest.raises(ResponseError, match="malformed"):
        read(damaged(block))


def test_headers_longer_than_their_message_are_refused():
    prelude = struct.pack(">II", 20, 100)
    with pytest.raises(ResponseError, match="longer than the message"):
        read(prelude + struct.pack(">I", crc32(prelude)) + b"\0" * 100)


@pytest.mark.parametrize(("total", "headers"), [(1 << 30, 0), (200 * 1024, 150 * 1024)], ids=["payload", "headers"])
def test_a_message_over_the_cap_is_refused_before_it_is_stored(total, headers):
    prelude = struct.pack(">II", total, headers)
    with pytest.raises(ResponseError, match="more than"):
        read(prelude + struct.pack(">I", crc32(prelude)))


def test_an_event_as_large_as_the_cap_is_accepted_and_one_byte_more_is_not():
    assert len(read(frame({}, b"x" * 100), cap=100)) == 1
    with pytest.raises(ResponseError, match="more than 100 bytes"):
        read(frame({}, b"x" * 101), cap=100)


def test_half_a_message_is_pending():
    decoder = EventStreamDecoder()
    assert len(list(decoder.feed(TEXT_EVENT + TEXT_EVENT[:5]))) == 1
    assert decoder.pending
    assert len(list(decoder.feed(TEXT_EVENT[5:]))) == 1
    assert not decoder.pending
