"""Bounds: of sizes, and of silence."""

from __future__ import annotations

import asyncio
import gzip
import socket
import zlib

import pytest

from tako import Delta
from tako.errors import ProviderTimeoutError, ResponseError
from tako.providers import OpenAI
from tako.testing.server import reply, serve, sse

from .scripts import ALL_EVENTS, HANGING, PACES, TEXTS, at_some_pace, collect, delta, finish, provider, stream_of


def test_a_giant_event_is_refused() -> None:
    with pytest.raises(ResponseError, match="100000 bytes"):
        stream_of(reply([b"data: ", *[b"x" * 10_000] * 30]), max_event_bytes=100_000)


def test_endless_text_is_refused() -> None:
    with pytest.raises(ResponseError, match="max_reply_bytes=100000"):
        stream_of([delta(content="x" * 1000)] * 200, max_reply_bytes=100_000)


@pytest.mark.parametrize("streamed", [True, False])
def test_a_gzip_bomb_is_refused(streamed: bool) -> None:
    bomb = gzip.compress(b": " + b"x" * 20_000_000)
    kind = "text/event-stream" if streamed else "application/json"
    with serve(reply(bomb, headers={"content-encoding": "gzip", "content-type": kind})) as server:
        client = provider(server, max_reply_bytes=1_000_000)
        with pytest.raises(ResponseError, match="larger than max_reply_bytes=1000000"):
            asyncio.run(collect(client) if streamed else client.chat("hi"))


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_replies_are_read(coding: str) -> None:
    body = (
        gzip.compress(ALL_EVENTS[:300]) + gzip.compress(ALL_EVENTS[300:])
        if coding == "gzip"
        else zlib.compress(ALL_EVENTS)
    )
    pieces = [body[i : i + 7] for i in range(0, len(body), 7)]
    chunks = stream_of(reply(pieces, headers={"content-encoding": coding}))
    assert "".join(chunk.text for chunk in chunks if chunk.kind == "delta" and chunk.text) == "".join(TEXTS)


def test_endless_keep_alives_end() -> None:
    for pace in PACES:
        with pytest.raises(ProviderTimeoutError) as caught:
            stream_of(reply([b": still here\n\n"] * 500, pause=0.01 * pace), timeout=0.1 * pace)
        if "keep-alives" in str(caught.value):  # if not, the machine was silent for so long
            return
    raise AssertionError("only silence ended it")


def test_keep_alives_between_chunks_do_no_harm() -> None:
    chunks = stream_of([b": ping\n\n", delta(content="a"), b": ping\n\n", b"event: ping\ndata: {}\n\n", finish()])
    assert chunks[0] == Delta("a")


def test_silence_ends_after_the_timeout_and_not_before() -> None:
    def lasting_longer_than_the_timeout(pace: int) -> None:
        slow = reply(sse(*[delta(content="a")] * 8, finish()), pause=0.04 * pace)
        assert len(stream_of(slow, timeout=0.2 * pace)) == 9

    at_some_pace(lasting_longer_than_the_timeout)
    with pytest.raises(ProviderTimeoutError, match=r"timeout=0\.1 s"):
        stream_of(HANGING, timeout=0.1)
    with pytest.raises(ProviderTimeoutError, match=r"timeout=0\.1 s"):
        stream_of(reply(sse(finish()), delay=lambda: False), timeout=0.1)


def test_connecting_has_a_limit_of_its_own() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(3)]  # fill the queue, so that the next one gets no answer
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        client = OpenAI(
            "m",
            api_key="k",
            base_url=f"http://127.0.0.1:{listening.getsockname()[1]}",
            connect_timeout=0.2,
            max_retries=0,
        )
        with pytest.raises(ProviderTimeoutError, match=r"connect_timeout=0\.2 s"):
            asyncio.run(client.chat("hi"))
        for one in waiting:
            one.close()
