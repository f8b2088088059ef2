"""Streams of an endpoint: where they end, and how they fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tako_http_generic import HttpGeneric, NdJson, OpenAiSse, ToolCalls

from tako import ChatRequest, ChatResponse, ContentPart, FinishReason, Message, Usage, errors
from tako.errors import ResponseError, StreamTruncatedError
from tako.testing.server import reply, serve, sse

RequestStream = Callable[..., ChatResponse]
Acme = Callable[..., HttpGeneric]
LINES = NdJson(content_pointer="/text", finish_reason_pointer="/why", usage_pointer="/count")


def lines(*items: Any) -> bytes:
    return b"".join(msgspec.json.encode(item) + b"\n" for item in items)


def test_the_defaults_of_openai_sse_are_those_of_chat_completions(request_stream: RequestStream) -> None:
    events = sse(
        {"id": "r", "choices": [{"index": 0, "delta": {"content": "a"}}]},
        {"choices": [{"index": 0, "delta": {"content": "b"}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    )
    response = request_stream(reply(events), stream_config={"kind": "openai_sse"})
    assert (response.text, response.finish_reason, response.usage) == ("ab", FinishReason.LENGTH, Usage(1, 2))
    assert OpenAiSse().content_pointer == "/choices/0/delta/content"


def test_ndjson_is_read_to_the_end_for_usage_that_follows_the_finish(request_stream: RequestStream) -> None:
    body = lines({"text": "a"}, {"why": "stop"}, {"count": {"input_tokens": 3, "output_tokens": 4}})
    response = request_stream(reply([*body.splitlines(keepends=True)], pause=0.06), stream_config=LINES)
    assert (response.text, response.usage) == ("a", Usage(3, 4))


def test_ndjson_may_have_the_content_type_of_json(request_stream: RequestStream) -> None:
    body = lines({"text": "a"}, {"why": "stop"})
    assert request_stream(reply(body, headers={"content-type": "application/json"}), stream_config=LINES).text == "a"


def test_a_server_may_answer_a_request_for_a_stream_with_a_complete_reply(request_stream: RequestStream) -> None:
    assert request_stream(reply(json={"text": "all of it"}), stream_config=OpenAiSse()).text == "all of it"


def test_without_stream_settings_a_stream_is_one_call(acme: Acme) -> None:
    with serve(reply(json={"text": "all"})) as server:
        provider = acme(server)
        assert provider.capabilities.supports_streaming is False
        assert provider.blocking.stream("hi").response().text == "all"
        assert server.requests[0].json["stream"] is False


def test_an_incomplete_stream_is_an_error_with_the_partial_response(acme: Acme) -> None:
    body = lines({"text": "a"}, {"text": "b"})
    for ending in ("end", "cut", "reset"):
        with serve(reply([body], ending=ending)) as server:
            stream = acme(server, stream_config=LINES).blocking.stream("hi")
            with pytest.raises(
                StreamTruncatedError, match="acme:m: the stream ended without a finish reason"
            ) as raised:
                list(stream)
        assert raised.value.partial is not None
        assert raised.value.partial.text == "ab"


def test_a_clean_end_is_enough_with_require_finish_false(request_stream: RequestStream) -> None:
    lenient = msgspec.structs.replace(LINES, require_finish=False)
    response = request_stream(reply(lines({"text": "a"})), stream_config=lenient)
    assert (response.text, response.finish_reason) == ("a", FinishReason.OTHER)
    assert [notice.code for notice in response.notices] == ["finish_missing"]
    with pytest.raises(StreamTruncatedError):
        request_stream(reply([lines({"text": "a"})], ending="cut"), stream_config=lenient)


@pytest.mark.parametrize("event", [{"choices": []}, {"choices": [{}]}, {"usage": {"prompt_tokens": 1}}, {}])
def test_a_stream_without_any_choice_is_an_error(request_stream: RequestStream, event: Any) -> None:
    with pytest.raises(ResponseError, match="acme:m: the stream has neither text nor a finish reason"):
        request_stream(reply(sse(event)), stream_config=OpenAiSse())


@pytest.mark.parametrize("event", [{"t": ""}, {"t": None}])
def test_a_stream_may_have_an_empty_text(request_stream: RequestStream, event: Any) -> None:
    config = OpenAiSse(content_pointer="/t", finish_reason_pointer=None)
    assert request_stream(reply(sse(event)), stream_config=config).text == ""


def test_the_stop_marker_is_data_or_the_name_of_an_event(request_stream: RequestStream) -> None:
    config = OpenAiSse(content_pointer="/t", finish_reason_pointer=None, stop_marker="over")
    for end in (b"data: over\n\n", b"event: over\ndata: {}\n\n"):
        response = request_stream(reply([b'data: {"t": "a"}\n\n', end]), stream_config=config)
        assert (response.text, [notice.code for notice in response.notices]) == ("a", ["finish_missing"])


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}\n\n',
        b'event: error\ndata: {"message": "slow down", "code": "rate_limit_exceeded"}\n\n',
    ],
)
def test_an_error_inside_a_stream_is_the_same_class_as_before_it(request_stream: RequestStream, event: bytes) -> None:
    with pytest.raises(errors.RateLimitError, match="acme:m: 429 rate_limit_exceeded: slow down"):
        request_stream(
            reply([b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', event]), stream_config=OpenAiSse()
        )


def test_an_error_event_may_be_plain_text(request_stream: RequestStream) -> None:
    with pytest.raises(errors.ProviderError, match="out of luck"):
        request_stream(reply([b"event: error\ndata: out of luck\n\n"]), stream_config=OpenAiSse())


def test_a_line_of_ndjson_may_be_an_error(request_stream: RequestStream) -> None:
    with pytest.raises(errors.ProviderError, match="model runner has stopped"):
        request_stream(reply(lines({"text": "a"}, {"error": "model runner has stopped"})), stream_config=LINES)


def test_a_stream_that_is_not_json_is_an_error(request_stream: RequestStream) -> None:
    with pytest.raises(ResponseError, match="isn't JSON"):
        request_stream(reply([b"data: {oops\n\n", b"data: [DONE]\n\n"]), stream_config=OpenAiSse())


def test_complete_calls_of_a_stream_are_separate_calls_even_if_their_ids_are_equal(
    request_stream: RequestStream,
) -> None:
    calls = ToolCalls(pointer="/calls", name_pointer="/n", arguments_pointer="/a")
    config = msgspec.structs.replace(LINES, tool_calls=calls)
    body = lines(
        {"calls": [{"id": "x", "n": "f", "a": {}}]},
        {"calls": [{"id": "x", "n": "f", "a": {"b": 1}}, {"n": "g", "a": {}}]},
    )
    response = request_stream(reply(body + lines({"why": "tool_calls"})), stream_config=config)
    assert [(call.name, call.args) for call in response.tool_calls] == [("f", {}), ("f", {"b": 1}), ("g", {})]
    assert len({call.id for call in response.tool_calls}) == 3


def test_chat_and_stream_return_the_notices_of_the_request(acme: Acme) -> None:
    request = ChatRequest([Message.user([ContentPart.text("hi"), ContentPart.text("")])], seed=1)
    with serve(reply(lines({"text": "a"}, {"why": "stop"})), reply(json={"text": "a"})) as server:
        provider = acme(server, stream_config=LINES)
        for response in (provider.blocking.stream(request).response(), provider.blocking.chat(request)):
            assert sorted(notice.code for notice in response.notices) == ["empty_text", "unsupported_parameter"]
