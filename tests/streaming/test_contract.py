"""The streaming contract: deltas and one end, errors inside, and what a stream offers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tako import Capabilities, ChatRequest, Delta, End, FinishReason, Message, Usage
from tako.errors import (
    AuthenticationError,
    ContextLengthError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    ResponseError,
    ServerError,
    StreamTruncatedError,
    TransportError,
    UnsupportedError,
)
from tako.fold import chunks_of
from tako.parts import TextPart, ToolCallPart
from tako.testing.server import Reply, reply, serve, sse

from .scripts import ALL_EVENTS, TEXTS, USAGE, collect, delta, finish, provider, stream_of

if TYPE_CHECKING:
    from tako import ChatResponse


def test_a_stream_is_deltas_and_one_end() -> None:
    chunks = stream_of([delta(role="assistant", content=""), delta(content="a"), delta(content="b"), finish(), USAGE])
    assert chunks[:-1] == [Delta("a"), Delta("b")]
    raw = {"usage": USAGE["usage"]}
    end = End(FinishReason.STOP, Usage(5, 7), "m-1", "c1", "openai:m", "stop", raw=raw)
    assert chunks[-1] == end


def test_a_stream_cut_between_any_two_bytes_means_the_same() -> None:
    async def main() -> None:
        async with provider(server) as client:
            for _ in range(len(ALL_EVENTS) // 3):
                response = await client.stream("hi").response()
                assert response == expected

    sizes = iter(range(1, len(ALL_EVENTS)))
    with serve(reply([ALL_EVENTS])) as server:
        expected = asyncio.run(provider(server).stream("hi").response())
    assert expected.text == "".join(TEXTS)

    def split(received: Any) -> Reply:
        at = next(sizes)
        return reply([ALL_EVENTS[:at], ALL_EVENTS[at : at + 1], ALL_EVENTS[at + 1 :]])

    with serve(split) as server:
        asyncio.run(main())


@pytest.mark.parametrize("ending", ["end", "cut", "reset"])
def test_a_stream_that_ends_early_anywhere_is_truncated_and_never_a_short_success(ending: Any) -> None:
    step = {"end": 1, "cut": 2, "reset": 5}[ending]  # connections that break cost the most
    finished = ALL_EVENTS.index(b'"finish_reason":"tool_calls"')
    whole_calls = ALL_EVENTS.index(b'\\"this\\"}') + len(b'\\"this\\"}')
    cuts = list(range(0, len(ALL_EVENTS), step))
    left = iter(cuts)
    complete = [
        TextPart("".join(TEXTS)),
        ToolCallPart("a", "look", {"at": "this"}),
        ToolCallPart("b", "count", {"n": 12}),
    ]

    async def main() -> None:
        async with provider(server) as client:
            for at in cuts:
                stream = client.stream("hi")
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
        sent = ALL_EVENTS[:at]
        arrived = [text for text in TEXTS if msgspec.json.encode(delta(content=text)) + b"\n\n" in sent]
        assert "".join(TEXTS).startswith(partial.text)
        if ending != "reset":  # what a reset destroys may have been on its way
            assert len(partial.text) >= len("".join(arrived))
        for call in partial.tool_calls:
            assert call in complete
        if at < whole_calls:
            assert partial.tool_calls == []

    with serve(lambda received: reply([ALL_EVENTS[: next(left)]], ending=ending)) as server:
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
    with pytest.raises(ResponseError, match=r"\$\.choices\[0\]\.delta"):
        stream_of([{"choices": [{"delta": 7}]}])
    with pytest.raises(ResponseError, match="isn't JSON"):
        stream_of([b"data: nonsense\n\n"])


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

    with serve(reply([ALL_EVENTS])) as server:
        asyncio.run(main())


def test_what_has_come_so_far_is_there_while_it_comes() -> None:
    async def main() -> list[str]:
        stream = provider(server).stream("hi")
        return [stream.partial.text async for _ in stream.text]

    with serve(reply([ALL_EVENTS])) as server:
        assert asyncio.run(main()) == ["Grüße ", "Grüße from ", "Grüße from \u2028 here"]


def test_a_whole_reply_where_a_stream_was_asked_for_is_understood() -> None:
    body = {"id": "c", "model": "m-1", "choices": [{"message": {"content": "all"}, "finish_reason": "stop"}]}
    with serve(reply(json=body)) as server:
        response = asyncio.run(provider(server).chat("hi"))
        assert asyncio.run(collect(provider(server))) == chunks_of(response)
    with pytest.raises((TransportError, StreamTruncatedError)):
        stream_of(reply(msgspec.json.encode(body)[:-5], ending="cut"))


def test_a_model_that_cannot_stream_is_asked_for_a_whole_reply() -> None:
    body = {"choices": [{"message": {"content": "all"}, "finish_reason": "stop"}]}
    with serve(reply(json=body)) as server:
        client = provider(server, capabilities=Capabilities(supports_streaming=False))
        assert [chunk.kind for chunk in asyncio.run(collect(client))] == ["delta", "end"]
        assert "stream" not in server.requests[0].json
        with pytest.raises(UnsupportedError):
            asyncio.run(collect(client, ChatRequest([Message.user("hi")], strict=True)))
        assert len(server.requests) == 1
