"""Replies, streams and refusals as Anthropic sends them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import tako
from tako import ChatRequest, FinishReason, Message, Origin, State, Usage
from tako.errors import (
    AuthenticationError,
    BadRequestError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    ResponseError,
    ServerError,
    StreamTruncatedError,
)
from tako.parts import Part, ReasoningPart, TextPart, ToolCallPart, VendorPart
from tako.providers import Anthropic
from tako.testing.server import Reply, reply, serve

REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgB"}
SEARCH = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "tako"}}
SEARCH_RESULT = {
    "type": "web_search_tool_result",
    "tool_use_id": "srv_1",
    "content": [{"type": "web_search_result", "url": "u"}],
}
HOLOGRAM = {"type": "hologram", "depth": 3}
CONTENT = [
    {"type": "thinking", "thinking": "Let me see.", "signature": "sig=="},
    REDACTED,
    SEARCH,
    SEARCH_RESULT,
    {"type": "text", "text": "Looking."},
    HOLOGRAM,
    {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Zürich"}},
    {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
]
USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 1000,
    "output_tokens": 50,
    "output_tokens_details": {"thinking_tokens": 20},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": CONTENT,
    "usage": USAGE,
}


def parts(origin: Origin) -> list[Part]:
    """Return CONTENT as parts of this origin."""
    return [
        ReasoningPart("Let me see.", State(origin, {"signature": "sig=="})),
        ReasoningPart("", State(origin, REDACTED)),
        VendorPart("server_tool_use", State(origin, SEARCH)),
        VendorPart("web_search_tool_result", State(origin, SEARCH_RESULT)),
        TextPart("Looking."),
        VendorPart("hologram", State(origin, HOLOGRAM)),
        ToolCallPart("toolu_1", "weather", {"city": "Zürich"}),
        ToolCallPart("toolu_2", "now", {}),
    ]


def origin_of(response: tako.ChatResponse) -> Origin:
    """Return the origin of a reply's first part."""
    state = response.message.parts[0].state
    assert state is not None
    return state.origin


def event(kind: str, **fields: Any) -> bytes:
    """Return one event of a stream."""
    return f"event: {kind}\ndata: ".encode() + msgspec.json.encode({"type": kind, **fields}) + b"\n\n"


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    """Return the events of one content block."""
    return [
        event("content_block_start", index=index, content_block=start),
        *[event("content_block_delta", index=index, delta=delta) for delta in deltas],
        event("content_block_stop", index=index),
    ]


def text(*fragments: str, index: int = 0) -> list[bytes]:
    return block(
        index, {"type": "text", "text": ""}, *[{"type": "text_delta", "text": fragment} for fragment in fragments]
    )


START = event(
    "message_start", message={"id": "msg_1", "model": "claude-x", "content": [], "usage": {"input_tokens": 10}}
)
STOP = event("message_stop")


def end(reason: str | None = "end_turn", **usage: Any) -> list[bytes]:
    return [event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage), STOP]


def arguments(*fragments: str) -> list[dict[str, Any]]:
    return [{"type": "input_json_delta", "partial_json": fragment} for fragment in ("", *fragments)]


STREAM = [
    START,
    event("ping"),
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Let me "},
        {"type": "thinking_delta", "thinking": "see."},
        {"type": "signature_delta", "signature": "sig=="},
    ),
    *block(1, REDACTED),
    *block(2, {**SEARCH, "input": {}}, *arguments('{"query": ', '"tako"}')),
    *block(3, SEARCH_RESULT),
    *block(
        4,
        {"type": "text", "text": ""},
        {"type": "text_delta", "text": "Look"},
        {"type": "text_delta", "text": "ing."},
    ),
    event("aurora"),
    *block(5, HOLOGRAM),
    *block(
        6, {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}, *arguments('{"city": "Zü', 'rich"}')
    ),
    *block(7, {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}}, *arguments()),
    *end("tool_use", **USAGE),
]


def provider_at(url: str, **options: Any) -> Anthropic:
    """Return a provider for a scripted server."""
    return Anthropic("claude-x", api_key="sk-ant-123", base_url=url, **{"max_retries": 0, **options})


def chat(script: Reply) -> tako.ChatResponse:
    with serve(script) as server:
        return provider_at(server.url).blocking.chat("Hi")


def stream(events: list[bytes], **script: Any) -> tako.ChatResponse:
    with serve(reply(events, **script)) as server:
        live = provider_at(server.url).blocking.stream("Hi")
        list(live)
        return live.response()


def test_a_whole_reply_has_a_part_for_each_block() -> None:
    response = chat(reply(json={**MESSAGE, "stop_reason": "tool_use"}))
    assert response.message.parts == parts(origin_of(response))
    assert (response.finish_reason, response.finish_word) == (FinishReason.TOOL_CALLS, "tool_use")
    assert (response.id, response.model, response.notices) == ("msg_1", "claude-x", [])
    assert response.raw["content"] == CONTENT
    assert [call.name for call in response.tool_calls] == ["weather", "now"]


def test_state_has_the_origin_of_its_reply() -> None:
    with serve(reply(json={**MESSAGE, "stop_reason": "tool_use"})) as server:
        response = provider_at(server.url + "/gateway").blocking.chat(ChatRequest([Message.user("Hi")], model="other"))
        assert origin_of(response) == Origin("anthropic", "other", server.url)
        assert response.provider == "anthropic:other"


def test_usage_includes_tokens_read_from_the_cache_and_written_to_it() -> None:
    complete = chat(reply(json={**MESSAGE, "stop_reason": "end_turn"}))
    assert complete.usage == Usage(1110, 50, 100, 1000, 20)
    assert stream(STREAM).usage == complete.usage
    with_late_usage = stream([START, *text("Hi"), *end(input_tokens=None, output_tokens=2, cache_read_input_tokens=5)])
    assert with_late_usage.usage == Usage(15, 2, 5)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_stream_gives_the_same_response_for_any_chunk_size(size: int) -> None:
    body = b"".join(STREAM)
    response = stream([body[i : i + size] for i in range(0, len(body), size)])
    assert response.message.parts == parts(origin_of(response))
    assert (response.finish_reason, response.finish_word) == (FinishReason.TOOL_CALLS, "tool_use")
    assert (response.id, response.model, response.notices) == ("msg_1", "claude-x", [])


def test_thinking_without_text_is_a_part_with_its_signature() -> None:
    thinking = block(
        1, {"type": "thinking", "thinking": "", "signature": ""}, {"type": "signature_delta", "signature": "s"}
    )
    texts = stream([START, *text("A"), *thinking, *text("B", index=2), *end()]).message.parts
    assert [part.text for part in texts if isinstance(part, TextPart | ReasoningPart)] == ["A", "", "B"]
    assert texts[1].state is not None
    assert texts[1].state.data == {"signature": "s"}


@pytest.mark.parametrize(
    ("vendor_reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause"),
        ("compaction", "pause"),
        ("whatever", "other"),
    ],
)
def test_every_stop_reason_is_a_finish_reason(vendor_reason: str, expected: str) -> None:
    streamed, complete = (
        stream([START, *text("Hi"), *end(vendor_reason)]),
        chat(reply(json={**MESSAGE, "stop_reason": vendor_reason})),
    )
    for response in (streamed, complete):
        assert (response.finish_reason, response.finish_word) == (expected, vendor_reason)


def test_a_reply_without_a_stop_reason_has_a_notice() -> None:
    complete = chat(reply(json={"id": "m", "content": []}))
    streamed = stream([START, STOP])
    for response in (complete, streamed):
        assert (response.text, response.finish_reason) == ("", "other")
        assert [notice.code for notice in response.notices] == ["finish_missing"]


def test_calls_of_compatible_servers_get_ids_and_keep_complete_arguments() -> None:
    start = {"type": "tool_use", "id": "", "name": "f", "input": {"x": 1}}
    response = stream(
        [START, *block(0, start), *block(1, {**start, "id": "c"}), *block(2, {**start, "id": "c"}), *end()]
    )
    assert [call.args for call in response.tool_calls] == [{"x": 1}] * 3
    assert len({call.id for call in response.tool_calls}) == 3


def test_events_without_names_are_read_by_their_type() -> None:
    unnamed = [data.split(b"\n", 1)[1] for data in [START, *text("Hel", "lo"), *end()]]
    assert stream([*unnamed, b"data: [DONE]\n\n"]).text == "Hello"


def test_a_whole_reply_to_a_stream_request_is_accepted() -> None:
    with serve(reply(json={**MESSAGE, "stop_reason": "tool_use"})) as server:
        live = provider_at(server.url).blocking.stream("Hi")
        list(live)
        response = live.response()
        assert response.message.parts == parts(origin_of(response))


def test_a_stop_may_lack_its_blank_line_but_half_an_event_is_an_error() -> None:
    body = b"".join([START, *text("Hi"), *end()])
    assert stream([body.removesuffix(b"\n\n")]).text == "Hi"
    with pytest.raises(StreamTruncatedError, match="middle of an event"):
        stream([body.removesuffix(b'p"}\n\n')])


@pytest.mark.parametrize(
    ("kind", "status", "cls"),
    [
        ("overloaded_error", 529, OverloadedError),
        ("rate_limit_error", 429, RateLimitError),
        ("api_error", 500, ServerError),
        ("timeout_error", 504, ServerError),
        ("invalid_request_error", 400, BadRequestError),
        ("request_too_large", 413, BadRequestError),
        ("authentication_error", 401, AuthenticationError),
    ],
)
def test_an_error_has_the_same_class_before_and_within_a_reply(
    kind: str, status: int, cls: type[ProviderError]
) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "It went wrong"}, "request_id": "req_1"}
    for script in (reply(json=error, status=status), reply(json=error)):
        with pytest.raises(ProviderError, match="It went wrong") as caught:
            chat(script)
        assert type(caught.value) is cls
        assert (caught.value.status_code, caught.value.code) == (status, kind)
    with pytest.raises(ProviderError, match="It went wrong") as caught:
        stream([START, *text("Hi"), event("error", **{key: error[key] for key in ("error", "request_id")})])
    assert type(caught.value) is cls
    assert (caught.value.status_code, caught.value.code, caught.value.request_id) == (status, kind, "req_1")


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"null", b'{"content": 3}'],
)
def test_an_invalid_reply_is_a_response_error(body: bytes) -> None:
    with pytest.raises(ResponseError):
        chat(reply(body))


@pytest.mark.parametrize(
    "data",
    [
        b'event: content_block_delta\ndata: {"delta": {"type": "text_delta", "text": 3}}\n\n',
        b"event: content_block_delta\ndata: {oops\n\n",
        b"event: content_block_start\ndata: [1]\n\n",
        b"event: message_delta\ndata: \xff\n\n",
    ],
)
def test_an_invalid_event_is_a_response_error(data: bytes) -> None:
    with pytest.raises(ResponseError):
        stream([START, data])


@pytest.mark.parametrize(
    "unknown",
    [
        event("content_block_start", index="x", content_block=None),
        event("content_block_start", content_block={"type": "thinking", "thinking": None, "signature": 4}),
        event("content_block_stop"),
        event("content_block_stop", index=99),
        event("message_start", message=None),
        event("message_delta", delta="odd", usage=[]),
        event("content_block_delta", index=0, delta="odd"),
        event("content_block_delta", index=7, delta={"type": "input_json_delta", "partial_json": "{}"}),
        b"event: aurora\ndata: not json\n\n",
        b"event: ping\ndata:\n\n",
    ],
)
def test_unknown_events_are_ignored(unknown: bytes) -> None:
    assert stream([START, unknown, *text("Hi"), *end()]).text == "Hi"
