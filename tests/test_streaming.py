"""The streaming contract, through the OpenAI plugin over loopback sockets."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tako import ChatRequest, Delta, End, FinishReason, Message, Usage
from tako.errors import (
    AuthenticationError,
    ContextLengthError,
    OverloadedError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitError,
    ResponseError,
    ServerError,
    StreamTruncatedError,
    TakoError,
    TransportError,
    UnsupportedError,
)
from tako.fold import chunks_of
from tako.parts import TextPart, ToolCallPart
from tako.providers import OpenAI
from tako.testing.server import Reply, Server, reply, serve, sse

if TYPE_CHECKING:
    from tako import ChatResponse, Provider


def delta(**fields: Any) -> dict[str, Any]:
    return {"id": "c1", "model": "m-1", "choices": [{"index": 0, "delta": fields}]}


def finish(reason: str = "stop") -> dict[str, Any]:
    return {"id": "c1", "model": "m-1", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def call(index: int, text: str, id: str | None = None, name: str | None = None) -> dict[str, Any]:
    return delta(tool_calls=[{"index": index, "id": id, "function": {"name": name, "arguments": text}}])


USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7}}
TEXTS = ["Grüße ", "from ", "\u2028 here"]
WHOLE = b"".join(
    sse(
        *[delta(content=text) for text in TEXTS],
        call(0, "", "a", "look"),
        call(0, '{"at": '),
        call(0, '"this"}'),
        call(1, '{"n": 1', "b", "count"),
        call(1, "2}"),
        finish("tool_calls"),
        USAGE,
    )
)


def provider(server: Server, **options: Any) -> OpenAI:
    return OpenAI("m", api_key="k", base_url=server.url, **{"max_retries": 0, **options})


async def collect(provider: Provider, request: Any = "hi") -> list[Any]:
    return [chunk async for chunk in provider.stream(request)]


def stream_of(script: Reply | list[Any], **options: Any) -> list[Any]:
    with serve(script if isinstance(script, Reply) else reply(sse(*script))) as server:
        return asyncio.run(collect(provider(server, **options)))


# --- deltas, then one end


def test_a_stream_is_deltas_and_one_end() -> None:
    chunks = stream_of([delta(role="assistant", content=""), delta(content="a"), delta(content="b"), finish(), USAGE])
    assert chunks[:-1] == [Delta("a"), Delta("b")]
    assert chunks[-1] == End(FinishReason.STOP, Usage(5, 7), "m-1", "c1")


def test_a_stream_cut_between_any_two_bytes_means_the_same() -> None:
    async def main() -> None:
        async with provider(server) as asked:
            for _ in range(len(WHOLE) // 3):
                response = await asked.stream("hi").response()
                assert response == expected

    sizes = iter(range(1, len(WHOLE)))
    with serve(reply([WHOLE])) as server:
        expected = asyncio.run(provider(server).stream("hi").response())
    assert expected.text == "".join(TEXTS)

    def split(received: Any) -> Reply:
        at = next(sizes)
        return reply([WHOLE[:at], WHOLE[at : at + 1], WHOLE[at + 1 :]])

    with serve(split) as server:
        asyncio.run(main())


@pytest.mark.parametrize("ending", ["end", "cut", "reset"])
def test_a_stream_that_ends_early_anywhere_is_truncated_and_never_a_short_success(ending: Any) -> None:
    step = 5 if ending == "reset" else 1
    finished = WHOLE.index(b'"finish_reason":"tool_calls"')
    whole_calls = WHOLE.index(b'\\"this\\"}') + len(b'\\"this\\"}')
    cuts = list(range(0, len(WHOLE), step))
    left = iter(cuts)
    complete = [
        TextPart("".join(TEXTS)),
        ToolCallPart("a", "look", {"at": "this"}),
        ToolCallPart("b", "count", {"n": 12}),
    ]

    async def main() -> None:
        async with provider(server) as asked:
            for at in cuts:
                stream = asked.stream("hi")
                try:
                    response = await stream.response()
                except StreamTruncatedError as error:
                    assert error.partial == stream.partial  # noqa: PT017 - most cuts raise, not all
                    check_partial(at, error.partial)
                else:
                    assert at > finished, at
                    assert response.message.parts == complete
                    assert response.finish_reason is FinishReason.TOOL_CALLS

    def check_partial(at: int, partial: ChatResponse | None) -> None:
        assert partial is not None
        sent = WHOLE[:at]
        arrived = [text for text in TEXTS if msgspec.json.encode(delta(content=text)) + b"\n\n" in sent]
        assert "".join(TEXTS).startswith(partial.text)
        if ending != "reset":  # what a reset destroys may have been on its way
            assert len(partial.text) >= len("".join(arrived))
        for made in partial.tool_calls:
            assert made in complete
        if at < whole_calls:
            assert partial.tool_calls == []

    with serve(lambda received: reply([WHOLE[: next(left)]], ending=ending)) as server:
        asyncio.run(main())


def test_the_end_of_the_body_is_enough_where_the_user_says_so() -> None:
    chunks = stream_of(reply(sse(delta(content="a"), done=False)), require_finish=False)
    assert chunks[-1].finish_reason is FinishReason.OTHER
    with pytest.raises(StreamTruncatedError):
        stream_of(reply(sse(delta(content="a"), done=False), ending="cut"), require_finish=False)


def test_done_alone_ends_a_stream_with_a_notice() -> None:
    end = stream_of([delta(content="a")])[-1]
    assert end.finish_reason is FinishReason.OTHER
    assert [notice.code for notice in end.notices] == ["finish_missing"]


def test_half_an_event_at_the_end_of_a_clean_body_is_truncated() -> None:
    with pytest.raises(StreamTruncatedError, match="middle of an event") as caught:
        stream_of(reply([*sse(delta(content="a"), done=False), b'data: {"choices": [{"del']))
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a"


# --- errors inside


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, 429, RateLimitError),
        ({"error": {"message": "full", "type": "overloaded_error"}}, 503, OverloadedError),
        ({"error": {"message": "oops", "type": "server_error"}}, 500, ServerError),
        ({"error": {"message": "who?", "code": "invalid_api_key"}}, 401, AuthenticationError),
        ({"error": {"message": "long", "code": "context_length_exceeded"}}, 400, ContextLengthError),
    ],
)
def test_an_error_inside_a_stream_is_the_error_of_the_status(
    body: Any, status: int, error: type[ProviderError]
) -> None:
    with pytest.raises(error) as before:
        stream_of(reply(json=body, status=status))
    with pytest.raises(error) as inside:
        stream_of([delta(content="a"), body])
    assert type(before.value) is type(inside.value) is error
    assert before.value.code == inside.value.code
    assert body["error"]["message"] in str(before.value)
    assert body["error"]["message"] in str(inside.value)


def test_nonsense_inside_a_stream_is_a_response_error_with_its_path() -> None:
    with pytest.raises(ResponseError, match=r"\$\.choices\[0\]\.delta\.content"):
        stream_of([delta(content=7)])
    with pytest.raises(ResponseError, match="not JSON"):
        stream_of([b"data: nonsense\n\n"])


# --- retries


def test_a_failure_before_the_first_chunk_is_retried() -> None:
    refused = reply(json={"error": {"message": "later"}}, status=503, headers={"retry-after-ms": "1"})
    with serve(refused, refused, reply(sse(delta(content="a"), finish()))) as server:
        chunks = asyncio.run(collect(provider(server, max_retries=2)))
    assert chunks[0] == Delta("a")
    assert len(server.requests) == 3


def test_an_error_event_in_place_of_the_first_chunk_is_retried_too() -> None:
    refused = reply(sse({"error": {"message": "full", "type": "overloaded_error"}}))
    with serve(refused, reply(sse(delta(content="a"), finish()))) as server:
        chunks = asyncio.run(collect(provider(server, max_retries=1)))
    assert chunks[0] == Delta("a")


@pytest.mark.parametrize("ending", ["cut", "reset"])
def test_nothing_is_retried_after_the_first_chunk(ending: Any) -> None:
    with serve(reply(sse(delta(content="a"), done=False), ending=ending, pause=0.05)) as server:
        with pytest.raises(StreamTruncatedError):
            asyncio.run(collect(provider(server, max_retries=3)))
        assert len(server.requests) == 1


def test_an_error_event_after_the_first_chunk_is_not_retried() -> None:
    with serve(reply(sse(delta(content="a"), {"error": {"message": "full", "type": "overloaded_error"}}))) as server:
        with pytest.raises(OverloadedError):
            asyncio.run(collect(provider(server, max_retries=3)))
        assert len(server.requests) == 1


def test_what_will_not_pass_is_not_retried() -> None:
    with serve(reply(json={"error": {"message": "no"}}, status=400)) as server:
        with pytest.raises(TakoError):
            asyncio.run(provider(server, max_retries=3).chat("hi"))
        assert len(server.requests) == 1


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9),
        ({"retry-after": "in 30 s"}, 30),
        ({"retry-after": "in -30 s"}, 0),
        ({"retry-after": "3600"}, 3600),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_the_pause_that_a_vendor_asks_for_is_on_the_error(headers: dict[str, str], seconds: float | None) -> None:
    if headers.get("retry-after", "").startswith("in "):
        headers = {"retry-after": in_seconds(float(headers["retry-after"].split()[1]))}
    with pytest.raises(RateLimitError) as caught:
        stream_of(reply(json={"error": {"message": "no"}}, status=429, headers=headers))
    assert caught.value.retry_after == (
        seconds if seconds is None else pytest.approx(seconds, abs=5 if seconds == 30 else 0.01)
    )


def test_a_pause_of_an_hour_is_not_waited_for() -> None:
    with serve(reply(json={"error": {"message": "no"}}, status=429, headers={"retry-after": "3600"})) as server:
        began = time.monotonic()
        with pytest.raises(RateLimitError) as caught:
            asyncio.run(provider(server, max_retries=3).chat("hi"))
    assert caught.value.retry_after == 3600
    assert len(server.requests) == 1
    assert time.monotonic() - began < 2


def test_a_vendors_pause_is_kept() -> None:
    refused = reply(json={"error": {"message": "no"}}, status=429, headers={"retry-after": "0.3"})
    with serve(refused, reply(sse(delta(content="a"), finish()))) as server:
        began = time.monotonic()
        asyncio.run(collect(provider(server, max_retries=1)))
    assert 0.3 <= time.monotonic() - began < 2


def test_after_the_last_retry_the_error_is_the_vendors() -> None:
    refused = reply(json={"error": {"message": "still not"}}, status=500, headers={"retry-after-ms": "1"})
    with serve(refused) as server:
        with pytest.raises(ServerError, match="still not"):
            asyncio.run(provider(server, max_retries=2).chat("hi"))
        assert len(server.requests) == 3


# --- bounds


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
        asked = provider(server, max_reply_bytes=1_000_000)
        with pytest.raises(ResponseError, match="larger than max_reply_bytes=1000000"):
            asyncio.run(collect(asked) if streamed else asked.chat("hi"))


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_replies_are_read(coding: str) -> None:
    import zlib

    body = gzip.compress(WHOLE[:300]) + gzip.compress(WHOLE[300:]) if coding == "gzip" else zlib.compress(WHOLE)
    pieces = [body[i : i + 7] for i in range(0, len(body), 7)]
    chunks = stream_of(reply(pieces, headers={"content-encoding": coding}))
    assert "".join(chunk.text for chunk in chunks if chunk.kind == "delta" and chunk.text) == "".join(TEXTS)


def test_endless_keep_alives_end() -> None:
    with pytest.raises(ProviderTimeoutError, match="keep-alives"):
        stream_of(reply([b": still here\n\n"] * 500, pause=0.01), timeout=0.1)


def test_keep_alives_between_chunks_do_no_harm() -> None:
    chunks = stream_of([b": ping\n\n", delta(content="a"), b": ping\n\n", b"event: ping\ndata: {}\n\n", finish()])
    assert chunks[0] == Delta("a")


def test_silence_ends_after_the_timeout_and_not_before() -> None:
    slow = reply(sse(*[delta(content="a")] * 8, finish()), pause=0.08)
    assert len(stream_of(slow, timeout=0.4)) == 9
    with pytest.raises(ProviderTimeoutError, match=r"timeout=0\.2 s"):
        stream_of(reply(sse(delta(content="a"), done=False), ending="hang"), timeout=0.2)
    with pytest.raises(ProviderTimeoutError):
        stream_of(reply(sse(finish()), delay=5), timeout=0.2)


def test_connecting_has_a_limit_of_its_own() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(3)]  # fill the queue, so that the next one gets no answer
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        asked = OpenAI(
            "m",
            api_key="k",
            base_url=f"http://127.0.0.1:{listening.getsockname()[1]}",
            connect_timeout=0.2,
            max_retries=0,
        )
        began = time.monotonic()
        with pytest.raises(ProviderTimeoutError, match=r"connect_timeout=0\.2 s"):
            asyncio.run(asked.chat("hi"))
        assert time.monotonic() - began < 3
        for one in waiting:
            one.close()


# --- leaving


async def closed(server: Server) -> None:
    for _ in range(200):
        if server.open == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{server.open} connections are still open")


HANGING = reply(sse(delta(content="a"), done=False), ending="hang")


def test_leaving_a_stream_closes_its_connection_at_once() -> None:
    async def main() -> None:
        async with asked.stream("hi") as stream:
            async for _ in stream:
                break
            await asyncio.sleep(0.02)
            assert server.open == 1
        await closed(server)
        assert stream.partial.text == "a"
        with pytest.raises(TakoError, match="left before its end"):
            await stream.response()

    with serve(HANGING) as server:
        asked = provider(server)
        asyncio.run(main())
    assert server.left_early == 1


def test_breaking_out_of_a_bare_loop_closes_it_too() -> None:
    async def main() -> None:
        async for _ in asked.stream("hi"):
            break
        await closed(server)

    with serve(HANGING) as server:
        asked = provider(server)
        asyncio.run(main())


def test_cancelling_closes_the_connection_at_once() -> None:
    async def main() -> None:
        task = asyncio.create_task(collect(asked))
        while not server.requests:  # noqa: ASYNC110 - the server lives in another thread
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await closed(server)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with serve(HANGING) as server:
        asked = provider(server)
        asyncio.run(main())


def test_a_stream_that_nobody_reads_sends_nothing() -> None:
    async def main() -> None:
        stream = asked.stream("hi")
        await stream.aclose()

    with serve(HANGING) as server:
        asked = provider(server)
        asyncio.run(main())
    assert server.requests == []


# --- what a stream offers


def test_a_stream_gives_its_text_and_then_its_response() -> None:
    async def main() -> None:
        stream = provider(server).stream("hi")
        assert [piece async for piece in stream.text] == TEXTS
        response = await stream.response()
        assert response.text == "".join(TEXTS)
        assert response.tool_calls == [ToolCallPart("a", "look", {"at": "this"}), ToolCallPart("b", "count", {"n": 12})]
        assert response.usage == Usage(5, 7)
        assert await stream.response() == response == stream.partial
        assert len(server.requests) == 1

    with serve(reply([WHOLE])) as server:
        asyncio.run(main())


def test_what_has_come_so_far_is_there_while_it_comes() -> None:
    async def main() -> list[str]:
        stream = provider(server).stream("hi")
        return [stream.partial.text async for _ in stream.text]

    with serve(reply([WHOLE])) as server:
        assert asyncio.run(main()) == ["Grüße ", "Grüße from ", "Grüße from \u2028 here"]


def test_a_whole_reply_where_a_stream_was_asked_for_is_understood() -> None:
    body = {"id": "c", "model": "m-1", "choices": [{"message": {"content": "all"}, "finish_reason": "stop"}]}
    with serve(reply(json=body)) as server:
        response = asyncio.run(provider(server).chat("hi"))
        assert asyncio.run(collect(provider(server))) == chunks_of(response)
    with pytest.raises((TransportError, StreamTruncatedError)):
        stream_of(reply(msgspec.json.encode(body)[:-5], ending="cut"))


def test_a_model_that_cannot_stream_is_asked_for_a_whole_reply() -> None:
    from tako import Capabilities

    body = {"choices": [{"message": {"content": "all"}, "finish_reason": "stop"}]}
    with serve(reply(json=body)) as server:
        asked = provider(server, capabilities=Capabilities(supports_streaming=False))
        assert [chunk.kind for chunk in asyncio.run(collect(asked))] == ["delta", "end"]
        assert "stream" not in server.requests[0].json
        with pytest.raises(UnsupportedError):
            asyncio.run(collect(asked, ChatRequest([Message.user("hi")], strict=True)))
        assert len(server.requests) == 1
