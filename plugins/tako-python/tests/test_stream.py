"""Functions for `stream`, and what they may yield."""

from __future__ import annotations

import asyncio
import threading

import pytest
from tako_python import PythonProvider

import tako
from tako.errors import ContentFilterError, ProviderError, ResponseError, UnsupportedError

HANG = 120.0


def never(request):
    raise AssertionError("chat was called")


def stream_of(stream, chat=never):
    """Run a stream to its end; returns its chunks and the folded reply."""

    async def main():
        async with PythonProvider("mine", chat, stream=stream).stream("Hello") as running:
            chunks = [chunk async for chunk in running]
        return chunks, await running.response()

    return asyncio.run(main())


async def in_pieces(request):
    yield "Hel"
    yield tako.Delta("lo")
    yield {"kind": "delta", "text": "!"}


def test_str_deltas_and_dicts_are_chunks_and_the_end_is_added() -> None:
    chunks, response = stream_of(in_pieces)
    assert [chunk.kind for chunk in chunks] == ["delta", "delta", "delta", "end"]
    assert (response.text, response.finish_reason, response.model) == ("Hello!", "stop", "mine")


def test_a_plain_generator_function_streams_from_a_worker_thread() -> None:
    threads = set()

    def stream(request):
        for text in request.messages[0].text, "there":
            threads.add(threading.current_thread())
            yield text

    _, response = stream_of(stream)
    assert response.text == "Hellothere"
    assert threading.current_thread() not in threads


def test_any_iterable_works() -> None:
    async def coroutine(request):
        return in_pieces(request)

    assert stream_of(lambda request: ["a", "b"])[1].text == "ab"
    assert stream_of(lambda request, more="": in_pieces(request))[1].text == "Hello!"
    assert stream_of(coroutine)[1].text == "Hello!"


def test_an_end_from_the_generator_is_used() -> None:
    def stream(request):
        yield "Hi"
        yield {"kind": "end", "finish_reason": "length", "usage": {"input_tokens": 2, "output_tokens": 1}}

    chunks, response = stream_of(stream)
    assert [chunk.kind for chunk in chunks] == ["delta", "end"]
    assert (response.finish_reason, response.usage.total) == ("length", 3)


def test_calls_in_fragments_end_with_tool_calls() -> None:
    def stream(request):
        yield {"tool_calls": [{"index": 0, "id": "c1", "name": "weather", "arguments_fragment": '{"city": '}]}
        yield {"tool_calls": [{"index": 0, "arguments_fragment": '"Paris"}'}]}

    _, response = stream_of(stream)
    assert response.finish_reason == "tool_calls"
    assert [(call.id, call.args) for call in response.tool_calls] == [("c1", {"city": "Paris"})]


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (5, "stream yielded an int; expected a chunk, a str or a dict like a chunk"),
        ({"kind": "delta", "txt": "Hi"}, "stream yielded a dict with 'txt'; it may have audio, citations, kind, part"),
        ({"kind": "stop"}, "'kind' is 'stop'; expected 'delta' or 'end'"),
        ({"kind": ["end"]}, "'kind' is ['end']"),
        ({"text": 5}, "isn't a chunk: Expected `str | null`, got `int` - at `$.text`"),
    ],
)
def test_a_wrong_chunk_is_one_clear_error(item: object, text: str) -> None:
    with pytest.raises(ResponseError) as caught:
        stream_of(lambda request: [item])
    assert str(caught.value).startswith("python:mine: ")
    assert text in str(caught.value)


@pytest.mark.parametrize(("result", "kind"), [(None, "None"), ("text", "a str"), ({"a": 1}, "a dict"), (7, "an int")])
def test_a_function_without_a_generator_is_one_clear_error(result: object, kind: str) -> None:
    with pytest.raises(ResponseError, match=f"returned {kind}; stream= must be a generator function"):
        stream_of(lambda request: result)


def test_a_chunk_after_the_end_is_refused() -> None:
    with pytest.raises(ResponseError, match="after the end"):
        stream_of(lambda request: [tako.End(), "more"])


def test_an_error_of_a_generator_is_the_cause_of_a_provider_error_after_its_chunks() -> None:
    problem = KeyError("weights")

    def plain(request):
        yield "Hi"
        raise problem

    async def asynchronous(request):
        yield "Hi"
        raise problem

    async def main(stream):
        running = PythonProvider("mine", never, stream=stream).stream("Hello")
        with pytest.raises(ProviderError) as caught:
            async for _ in running:
                pass
        return running.partial.text, caught.value

    for stream in (plain, asynchronous):
        text, error = asyncio.run(main(stream))
        assert text == "Hi"
        assert error.__cause__ is problem
        assert str(error) == f"python:mine: {stream.__qualname__} raised KeyError: 'weights'"


def test_a_tako_error_of_a_generator_passes() -> None:
    def stream(request):
        yield "Hi"
        raise ContentFilterError("no")

    with pytest.raises(ContentFilterError, match=r"^python:mine: no"):
        stream_of(stream)


def test_the_loop_runs_while_a_plain_generator_blocks() -> None:
    started, may_go = threading.Event(), threading.Event()

    def stream(request):
        started.set()
        assert may_go.wait(HANG)
        yield "Hi"

    async def main():
        running = PythonProvider("mine", never, stream=stream).stream("Hello")
        first = asyncio.ensure_future(anext(running))
        assert await asyncio.to_thread(started.wait, HANG)
        assert not first.done()
        may_go.set()
        assert (await first).text == "Hi"
        return await running.response()

    assert asyncio.run(main()).text == "Hi"


def test_a_plain_generator_is_never_ahead_of_its_reader() -> None:
    numbers = []

    def stream(request):
        for number in range(1000):
            numbers.append(number)
            yield str(number)

    async def main():
        async with PythonProvider("mine", never, stream=stream).stream("Hello") as running:
            for number in range(100):
                assert (await anext(running)).text == str(number)
                assert len(numbers) == number + 1

    asyncio.run(main())
    assert len(numbers) == 100


def test_leaving_early_closes_the_generator() -> None:
    closed = []

    def plain(request):
        try:
            while True:
                yield "more"
        finally:
            closed.append("plain")

    async def asynchronous(request):
        try:
            while True:
                yield "more"
        finally:
            await asyncio.sleep(0)
            closed.append("async")

    async def main(stream):
        async with PythonProvider("mine", never, stream=stream).stream("Hello") as running:
            assert (await anext(running)).text == "more"
        return list(closed)

    assert asyncio.run(main(plain)) == ["plain"]
    assert asyncio.run(main(asynchronous)) == ["plain", "async"]


def test_cancelling_while_a_plain_generator_blocks_returns_soon_and_closes_it_later() -> None:
    may_end, closed, started = threading.Event(), threading.Event(), threading.Event()
    waited = []

    def stream(request):
        try:
            started.set()
            waited.append(may_end.wait(HANG))
            yield "late"
        finally:
            closed.set()

    async def main():
        async def read():
            async with PythonProvider("mine", never, stream=stream).stream("Hello") as running:
                await anext(running)

        task = asyncio.ensure_future(read())
        assert await asyncio.to_thread(started.wait, HANG)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not waited
        may_end.set()

    asyncio.run(main())
    assert closed.wait(HANG)


def test_a_failure_while_closing_is_named_too() -> None:
    def stream(request):
        try:
            yield "Hi"
            yield "more"
        finally:
            raise ValueError("cannot close")

    async def main():
        running = PythonProvider("mine", never, stream=stream).stream("Hello")
        await anext(running)
        with pytest.raises(ProviderError, match="raised ValueError: cannot close"):
            await running.aclose()

    asyncio.run(main())


def test_without_stream_a_stream_is_one_call_of_chat() -> None:
    provider = PythonProvider("mine", lambda request: {"text": "Hi", "output_tokens": 1})
    assert provider.capabilities.supports_streaming is False

    async def main():
        async with provider.stream("Hello") as running:
            return [chunk async for chunk in running]

    delta, end = asyncio.run(main())
    assert (delta.text, end.usage.output_tokens) == ("Hi", 1)


def test_without_stream_a_strict_stream_is_refused() -> None:
    async def main():
        request = tako.ChatRequest([tako.Message.user("Hi")], strict=True)
        async with PythonProvider("mine", never).stream(request) as running:
            await anext(running)

    with pytest.raises(UnsupportedError, match="can't stream"):
        asyncio.run(main())


def test_capabilities_are_worked_out_unless_they_are_passed() -> None:
    capabilities = PythonProvider("mine", never, stream=in_pieces).capabilities
    assert (capabilities.supports_streaming, capabilities.max_context_tokens) == (True, 32_000)
    assert PythonProvider("mine", never, max_context_tokens=10).capabilities.max_context_tokens == 10
    capabilities = tako.Capabilities(supports_tools=True, supports_streaming=False)
    assert PythonProvider("mine", never, stream=in_pieces, capabilities=capabilities).capabilities is capabilities


def test_many_streams_at_once_do_not_wait_for_one_another() -> None:
    together = threading.Barrier(20)

    def stream(request):
        for _ in range(3):
            together.wait(HANG)  # waits until all have arrived
            yield "x"

    async def main():
        provider = PythonProvider("mine", never, stream=stream)
        return await asyncio.gather(*[provider.stream("Hello").response() for _ in range(20)])

    assert [response.text for response in asyncio.run(main())] == ["xxx"] * 20


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_both_event_loops_work(anyio_backend: str) -> None:
    def stream(request):
        yield "Hi"

    provider = PythonProvider("mine", lambda request: "Hello", stream=stream)
    assert (await provider.chat("?")).text == "Hello"
    async with provider.stream("?") as running:
        assert [chunk.kind async for chunk in running] == ["delta", "end"]
