"""What a stream keeps of what you've read: pieces of one text, of reasoning or of arguments become one."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import tracemalloc
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tako import ChatRequest, Delta, Message
from tako.errors import StreamTruncatedError
from tako.fold import fold
from tako.parts import Citation, FilePart, TextPart
from tako.providers import OpenAI
from tako.state import BLOCK_END
from tako.stream import AT_ONCE, JOINED, ChatStream
from tako.testing.server import reply, serve, sse
from tako.types import ToolCallDelta

from .scripts import delta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from tako.types import Chunk

NUMBERS = [f"{number:04} " for number in range(40 * JOINED)]


def text_of(number: str) -> Delta:
    return Delta(number)


def reasoning_of(number: str) -> Delta:
    return Delta(reasoning=number)


def arguments_of(number: str) -> Delta:
    return Delta(tool_calls=[ToolCallDelta(3, arguments_fragment=number)])


def stream_of(chunks: Iterable[Chunk], *, pace: float = 0, error: Exception | None = None) -> ChatStream:
    """Make a stream of chunks, which come in bundles of ``JOINED`` with a pause after each, and then of an error."""

    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        for number, chunk in enumerate(chunks):
            if number % JOINED == 0:
                await asyncio.sleep(pace)
            yield chunk
        if error is not None:
            raise error

    return ChatStream(stream, ChatRequest([Message.user("hi")]), OpenAI("m", api_key="k"))


@pytest.mark.parametrize("piece_of", [text_of, reasoning_of, arguments_of])
def test_it_keeps_what_was_said_and_not_each_piece(piece_of: Any) -> None:
    async def main() -> None:
        async with stream_of(map(piece_of, NUMBERS), pace=1.2 * AT_ONCE) as stream:
            await anext(stream)
            tracemalloc.start()
            try:
                async for _ in stream:
                    pass
                assert tracemalloc.get_traced_memory()[0] < 60 * len(NUMBERS)  # five letters each; a Delta adds 190
            finally:
                tracemalloc.stop()
            assert stream.partial == fold([*map(piece_of, NUMBERS)], "openai:m", "m")

    asyncio.run(main())


pieces = st.text("ab ", max_size=3)
chunks_in_runs = st.lists(
    st.lists(st.builds(Delta, pieces), min_size=JOINED, max_size=JOINED + 4)
    | st.lists(st.builds(reasoning_of, pieces), min_size=JOINED, max_size=JOINED + 4)
    | st.lists(st.builds(arguments_of, pieces), min_size=JOINED, max_size=JOINED + 4)
    | st.lists(
        st.sampled_from(
            [
                Delta(),
                Delta("no", refusal=True),
                Delta("a", state=BLOCK_END),
                Delta("b", reasoning="c"),
                Delta(citations=(Citation("https://a.example"),)),
                Delta(tool_calls=[ToolCallDelta(3, "1", "f", "{")]),
                Delta(tool_calls=[ToolCallDelta(4, None, None, "{"), ToolCallDelta(3, None, None, "}")]),
                Delta(part=TextPart("whole")),
                Delta("d", audio=FilePart("audio/wav", "AAAA")),
            ]
        ),
        max_size=2,
    ),
    max_size=5,
).map(lambda runs: [*chain(*runs)])


@given(chunks_in_runs)
def test_the_reply_so_far_is_that_of_all_pieces(chunks: list[Chunk]) -> None:
    async def main() -> None:
        stream = stream_of(chunks, error=StreamTruncatedError("cut"))
        for number in range(len(chunks)):
            await anext(stream)
            assert stream.partial == fold(chunks[: number + 1], "openai:m", "m")
        with pytest.raises(StreamTruncatedError) as caught:
            await anext(stream)
        assert caught.value.partial == fold(chunks, "openai:m", "m")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tako.stream.AT_ONCE", -1)
        asyncio.run(main())


def test_another_thread_sees_no_reply_with_a_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocking face reads ahead in the background, and joins pieces while somebody looks at the reply so far."""
    monkeypatch.setattr("tako.stream.AT_ONCE", -1)

    async def read() -> None:
        async for _ in stream:
            await asyncio.sleep(0)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        stream = stream_of([*map(text_of, NUMBERS * 10)])
        reader = threading.Thread(target=asyncio.run, args=[read()])
        reader.start()
        while reader.is_alive():
            assert "".join(NUMBERS * 10).startswith(stream.partial.text)
        reader.join()
    finally:
        sys.setswitchinterval(interval)
    assert stream.partial.text == "".join(NUMBERS * 10)


def test_an_open_stream_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of tako's own memory: the connection, what reads it, and the reply so far. asyncio takes some more."""
    monkeypatch.setattr("tako.stream.AT_ONCE", -1)
    streams = 50

    async def main() -> None:
        async with OpenAI("m", api="chat", api_key="k", base_url=server.url) as provider:
            opened = [await open_stream(provider)]
            tracemalloc.start()
            try:
                opened += await asyncio.gather(*[open_stream(provider) for _ in range(streams)])
                gc.collect()
                snapshot = tracemalloc.take_snapshot()
            finally:
                tracemalloc.stop()
            for stream in opened:
                await stream.aclose()
        own = [tracemalloc.Filter(True, "*/tako/*"), tracemalloc.Filter(False, "*/tako/testing/*")]
        size = sum(statistic.size for statistic in snapshot.filter_traces(own).statistics("filename"))
        assert size < 20_000 * streams

    async def open_stream(provider: OpenAI) -> ChatStream:
        stream = provider.stream("hi")
        for _ in range(40):
            await anext(stream)
        return stream

    pieces = sse(*[delta(content=number) for number in NUMBERS[:40]], done=False)
    with serve(reply(pieces, pause=0.005, ending="hang")) as server:  # one by one, so that none waits to be read
        asyncio.run(main())
