"""What comes back: pointers into whole replies and streams, in every shape; and the streaming contract."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tako_http_generic import EXAMPLES, HttpGeneric, NdJson, OpenAiSse, ToolCalls
from tako_http_generic.stream import PointerDecoder

from tako import ChatRequest, ChatResponse, ContentPart, FinishReason, Message, Usage, errors
from tako.errors import ResponseError, StreamTruncatedError
from tako.fold import fold
from tako.kit.exchange import Exchange
from tako.testing.server import reply, serve, sse

if TYPE_CHECKING:
    from tako.testing.server import Reply, Server

TEMPLATE = {"m": "{{ messages }}", "stream": "{{ stream }}"}
LINES = NdJson(content_pointer="/text", finish_reason_pointer="/why", usage_pointer="/count")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "CO_API_KEY"):
        monkeypatch.setenv(name, "k-12345")


def acme(server: Server, **options: Any) -> HttpGeneric:
    return HttpGeneric("acme", "m", server.url, TEMPLATE, **{"max_retries": 0, **options})


def example(name: str, server: Server) -> HttpGeneric:
    return HttpGeneric.from_file(EXAMPLES / f"{name}.toml", "m", url=server.url, max_retries=0)


def asked(answer: Reply, **options: Any) -> ChatResponse:
    with serve(answer) as server:
        return acme(server, **options).blocking.chat("hi")


def streamed(answer: Reply, **options: Any) -> ChatResponse:
    with serve(answer) as server:
        return acme(server, **options).blocking.stream("hi").response()


def lines(*items: Any) -> bytes:
    return b"".join(msgspec.json.encode(item) + b"\n" for item in items)


def named(event: dict[str, Any]) -> bytes:
    """Write an event that bears its type as a name."""
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), msgspec.json.encode(event))


WHOLE = {
    "openai": {
        "id": "r1",
        "model": "m-1",
        "choices": [
            {
                "message": {
                    "content": "Sunny.",
                    "reasoning_content": "hm",
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    },
    "anthropic": {
        "id": "r1",
        "model": "m-1",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "server_tool_use", "id": "s1", "name": "web", "input": {}},
            {"type": "text", "text": "Sun"},
            {"type": "text", "text": "ny."},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "usage": {
            "input_tokens": 5,
            "output_tokens": 5,
            "cache_read_input_tokens": 4,
            "cache_creation_input_tokens": 1,
            "output_tokens_details": {"thinking_tokens": 2},
        },
    },
    "ollama": {
        "model": "m-1",
        "created_at": "r1",
        "message": {
            "content": "Sunny.",
            "thinking": "hm",
            "tool_calls": [{"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}],
        },
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 10,
        "eval_count": 5,
    },
    "cohere": {
        "id": "r1",
        "model": "m-1",
        "finish_reason": "TOOL_CALL",
        "message": {
            "tool_plan": "hm",
            "content": [{"type": "text", "text": "Sunny."}],
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
        },
        "usage": {"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 10, "output_tokens": 5}},
    },
}
STREAMED: dict[str, bytes] = {
    "openai": b"".join(
        sse(
            {"id": "r1", "model": "m-1", "choices": []},
            {"id": "r1", "model": "m-1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
            {"choices": [{"index": 1, "delta": {"content": "another answer"}}]},
            {"choices": [{"index": 0, "delta": {"reasoning": "hm"}}]},
            {"choices": [{"index": 0, "delta": {"content": "Sunny."}}]},
            {
                "choices": [
                    {
                        "delta": {
                            "tool_calls": [
                                {"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}},
                                {"index": 1, "id": "c2", "function": {"name": "g", "arguments": "{}"}},
                            ]
                        }
                    }
                ]
            },
            {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}}]},
            {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}}]},
            {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
            {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}},
        )
    ),
    "anthropic": b"".join(
        named(event)
        for event in (
            {"type": "message_start", "message": {"id": "r1", "model": "m-1", "usage": {"input_tokens": 10}}},
            {"type": "ping"},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
            {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Sunny."}},
            {
                "type": "content_block_start",
                "index": 2,
                "content_block": {"type": "server_tool_use", "id": "s1", "name": "web", "input": {}},
            },
            {
                "type": "content_block_delta",
                "index": 2,
                "delta": {"type": "input_json_delta", "partial_json": '{"q": 1}'},
            },
            {
                "type": "content_block_start",
                "index": 3,
                "content_block": {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
            },
            {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": ""}},
            {
                "type": "content_block_delta",
                "index": 3,
                "delta": {"type": "input_json_delta", "partial_json": '{"a": 1}'},
            },
            {
                "type": "content_block_start",
                "index": 4,
                "content_block": {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
            },
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        )
    ),
    "ollama": lines(
        {"model": "m-1", "created_at": "r1", "message": {"content": "", "thinking": "hm"}, "done": False},
        {"model": "m-1", "created_at": "r2", "message": {"content": "Sunny."}, "done": False},
        {
            "message": {
                "content": "",
                "tool_calls": [
                    {"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}},
                    {"id": "c2", "function": {"name": "g", "arguments": {}}},
                ],
            },
            "done": False,
        },
        {"message": {"content": ""}, "done": True, "done_reason": "stop", "prompt_eval_count": 10, "eval_count": 5},
    ),
    "cohere": b"".join(
        named(event)
        for event in (
            {"id": "r1", "model": "m-1", "type": "message-start", "delta": {"message": {"role": "assistant"}}},
            {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "hm"}}},
            {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Sunny."}}}},
            {
                "type": "tool-call-start",
                "index": 0,
                "delta": {"message": {"tool_calls": {"id": "c1", "function": {"name": "f", "arguments": ""}}}},
            },
            {
                "type": "tool-call-delta",
                "index": 0,
                "delta": {"message": {"tool_calls": {"function": {"arguments": '{"a": 1}'}}}},
            },
            {
                "type": "tool-call-start",
                "index": 1,
                "delta": {"message": {"tool_calls": {"id": "c2", "function": {"name": "g", "arguments": "{}"}}}},
            },
            {
                "type": "message-end",
                "delta": {
                    "finish_reason": "TOOL_CALL",
                    "usage": {"tokens": {"input_tokens": 10, "output_tokens": 5}, "cached_tokens": 0},
                },
            },
        )
    ),
}


def ids(name: str) -> str:
    """Ollama's replies have none."""
    return "" if name == "ollama" else "r1"


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_whole_reply_in_every_shape_that_ships(name: str) -> None:
    with serve(reply(json=WHOLE[name])) as server:
        response = example(name, server).blocking.chat("hi")
    call = response.tool_calls[0]
    assert (response.text, response.reasoning, response.id, response.model) == ("Sunny.", "hm", ids(name), "m-1")
    assert (call.id, call.name, call.args, len(response.tool_calls)) == ("c1", "f", {"a": 1}, 1)
    assert response.finish_reason is FinishReason.TOOL_CALLS
    assert (response.usage.input_tokens, response.usage.output_tokens) == (10, 5)
    assert response.raw == WHOLE[name]
    assert response.notices == []


@pytest.mark.parametrize("name", sorted(STREAMED))
def test_a_streamed_reply_in_every_shape_that_ships_wherever_it_is_split(name: str) -> None:
    body = STREAMED[name]
    kind = {"content-type": "text/event-stream"}
    with serve(
        reply(body, headers=kind), reply([body[i : i + 7] for i in range(0, len(body), 7)], headers=kind)
    ) as server:
        provider = example(name, server)
        whole, split = [provider.blocking.stream("hi").response() for _ in range(2)]
    assert whole == split
    assert (whole.text, whole.reasoning, whole.id, whole.model) == ("Sunny.", "hm", ids(name), "m-1")
    assert [(call.id, call.name, call.args) for call in whole.tool_calls] == [("c1", "f", {"a": 1}), ("c2", "g", {})]
    assert whole.finish_reason is FinishReason.TOOL_CALLS
    assert whole.usage == Usage(10, 5)
    assert whole.notices == []


@pytest.mark.parametrize("name", ["openai", "anthropic", "ollama", "cohere"])
def test_every_stream_that_is_cut_is_an_error_wherever_it_is_cut(name: str) -> None:
    body = STREAMED[name]
    provider = HttpGeneric.from_file(EXAMPLES / f"{name}.toml", "m")
    assert provider.stream_reader is not None
    for size in range(len(body)):
        decoder = PointerDecoder(provider, Exchange("", {}), provider.stream_reader)
        chunks = list(decoder.feed(body[:size]))
        try:
            chunks += decoder.finish(clean=True)
        except StreamTruncatedError:
            assert all(chunk.kind == "delta" for chunk in chunks)
        else:  # only what follows the last word may be missing
            assert [chunk.kind for chunk in chunks].count("end") == 1
            got = fold(chunks, "acme", "m")
            assert (got.text, len(got.tool_calls), got.finish_reason.value) == ("Sunny.", 2, "tool_calls")


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, len(STREAMED["anthropic"])), max_size=8))
def test_pieces_of_any_size_make_the_same_reply(cuts: list[int]) -> None:
    body = STREAMED["anthropic"]
    places = [0, *sorted(cuts), len(body)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTHROPIC_API_KEY", "k-12345")
        provider = HttpGeneric.from_file(EXAMPLES / "anthropic.toml", "m")
    assert provider.stream_reader is not None
    decoder = PointerDecoder(provider, Exchange("", {}), provider.stream_reader)
    chunks = [chunk for start, stop in pairwise(places) for chunk in decoder.feed(body[start:stop])]
    got = fold([*chunks, *decoder.finish(clean=True)], "acme", "m")
    assert (got.text, got.reasoning, [call.args for call in got.tool_calls]) == ("Sunny.", "hm", [{"a": 1}, {}])


def test_own_reasoning_of_a_stream_goes_back_as_it_came() -> None:
    with serve(reply(STREAMED["anthropic"], headers={"content-type": "text/event-stream"})) as server:
        provider = example("anthropic", server)
        first = provider.blocking.stream("hi").response()
        history = [Message.user("hi"), first.message, Message.tool("c1", "x"), Message.tool("c2", "y")]
        provider.blocking.stream(history).response()
    assert server.requests[1].json["messages"][1]["content"][0] == {
        "type": "thinking",
        "thinking": "hm",
        "signature": "sig",
    }


def test_the_defaults_of_openai_sse_are_those_of_chat_completions() -> None:
    events = sse(
        {"id": "r", "choices": [{"index": 0, "delta": {"content": "a"}}]},
        {"choices": [{"index": 0, "delta": {"content": "b"}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    )
    response = streamed(reply(events), stream_config={"kind": "openai_sse"})
    assert (response.text, response.finish_reason, response.usage) == ("ab", FinishReason.LENGTH, Usage(1, 2))
    assert OpenAiSse().content_pointer == "/choices/0/delta/content"


def test_ndjson_is_read_to_the_end_for_usage_that_follows_the_finish() -> None:
    body = lines({"text": "a"}, {"why": "stop"}, {"count": {"input_tokens": 3, "output_tokens": 4}})
    response = streamed(reply([body[:9], body[9:]], pause=0.02), stream_config=LINES)
    assert (response.text, response.usage) == ("a", Usage(3, 4))
    late = streamed(reply([*body.splitlines(keepends=True)], pause=0.1), stream_config=LINES)
    assert late.usage == Usage(3, 4)


def test_lines_may_call_themselves_json() -> None:
    body = lines({"text": "a"}, {"why": "stop"})
    assert streamed(reply(body, headers={"content-type": "application/json"}), stream_config=LINES).text == "a"


def test_a_server_that_answers_whole_where_a_stream_was_asked_for_is_understood() -> None:
    assert streamed(reply(json={"text": "all of it"}), stream_config=OpenAiSse()).text == "all of it"


def test_a_stream_that_breaks_off_is_an_error_with_what_has_come() -> None:
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


def test_a_clean_end_is_enough_where_the_settings_say_so() -> None:
    loose = msgspec.structs.replace(LINES, require_finish=False)
    response = streamed(reply(lines({"text": "a"})), stream_config=loose)
    assert (response.text, response.finish_reason) == ("a", FinishReason.OTHER)
    assert [notice.code for notice in response.notices] == ["finish_missing"]
    with pytest.raises(StreamTruncatedError):
        streamed(reply([lines({"text": "a"})], ending="cut"), stream_config=loose)


def test_the_stop_marker_is_data_or_the_name_of_an_event() -> None:
    config = OpenAiSse(content_pointer="/t", finish_reason_pointer=None, stop_marker="over")
    for end in (b"data: over\n\n", b"event: over\ndata: {}\n\n"):
        response = streamed(reply([b'data: {"t": "a"}\n\n', end]), stream_config=config)
        assert (response.text, [notice.code for notice in response.notices]) == ("a", ["finish_missing"])


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}\n\n',
        b'event: error\ndata: {"message": "slow down", "code": "rate_limit_exceeded"}\n\n',
    ],
)
def test_an_error_inside_a_stream_is_the_same_class_as_before_it(event: bytes) -> None:
    with pytest.raises(errors.RateLimitError, match="acme:m: 429 rate_limit_exceeded: slow down"):
        streamed(reply([b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', event]), stream_config=OpenAiSse())


def test_an_error_event_may_be_plain_text() -> None:
    with pytest.raises(errors.ProviderError, match="out of luck"):
        streamed(reply([b"event: error\ndata: out of luck\n\n"]), stream_config=OpenAiSse())


def test_a_line_of_error_in_ndjson() -> None:
    with pytest.raises(errors.ProviderError, match="model runner has stopped"):
        streamed(reply(lines({"text": "a"}, {"error": "model runner has stopped"})), stream_config=LINES)


CODES = {
    "418": "OverloadedError",
    "E17": "ContextLengthError",
    "no_money": "PermissionDeniedError",
}


@pytest.mark.parametrize(
    ("answer", "expected", "said"),
    [
        (
            reply(json={"problem": {"code": "E17", "message": "too long"}}, status=400),
            errors.ContextLengthError,
            "too long",
        ),
        (reply(json={"problem": {"code": "E17", "message": "too long"}}), errors.ContextLengthError, "too long"),
        (reply(json={"nope": 1}, status=418), errors.OverloadedError, "418"),
        (reply(b"teapot", status=418), errors.OverloadedError, "teapot"),
        (reply(json={"problem": "no"}, status=404), errors.NotFoundError, "no"),
        (reply(json={}, status=503), errors.OverloadedError, "503"),
    ],
)
def test_statuses_and_codes_become_classes(answer: Reply, expected: type[Exception], said: str) -> None:
    with pytest.raises(expected, match=said) as raised:
        asked(answer, error_pointer="/problem", error_codes=CODES)
    assert type(raised.value) is expected


def test_where_an_error_says_what_and_which() -> None:
    with pytest.raises(errors.PermissionDeniedError, match="acme:m: 403 no_money: pay first"):
        asked(
            reply(json={"ok": 0, "fault": {"kind": "no_money"}, "text": None, "say": ["pay first"]}),
            error_pointer="/fault",
            error_code_pointer="/fault/kind",
            error_message_pointer="/say/0",
            error_codes=CODES,
        )


def test_retry_after_is_told() -> None:
    with pytest.raises(errors.RateLimitError) as raised:
        asked(reply(json={"error": "wait"}, status=429, headers={"retry-after": "7"}))
    assert raised.value.retry_after == 7


@pytest.mark.parametrize(
    ("pointer", "body", "said"),
    [
        ("/text", {"output": "x"}, r"/text leads nowhere: the reply is an object with 'output'"),
        ("/a/0/b", {"a": []}, r"/a/0/b leads nowhere: /a is an array of 0"),
        ("/a/b/c", {"a": {"b": None}}, r"/a/b/c leads nowhere: /a/b is null"),
        ("/a/b", {"a": "text"}, r"/a/b leads nowhere: /a is text"),
        ("/a~1b/c", {"a/b": 3}, r"/a~1b/c leads nowhere: /a~1b is a number"),
        ("/a", {"a": 3}, r"response_text_pointer leads to a number, which is no text"),
    ],
)
def test_a_pointer_that_leads_nowhere_says_how_far_it_got(pointer: str, body: Any, said: str) -> None:
    with pytest.raises(ResponseError, match=said) as raised:
        asked(reply(json=body), response_text_pointer=pointer)
    assert str(raised.value).startswith("acme:m: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"", b'{"text": "a', b'{"text": "\xff"}', b"[" * 5000])
def test_a_reply_that_is_no_json_is_one_line(body: bytes) -> None:
    with pytest.raises(ResponseError, match=r"^acme:m: the reply is ") as raised:
        asked(reply(body))
    assert "\n" not in str(raised.value)


def test_a_stream_that_is_no_json_is_an_error() -> None:
    with pytest.raises(ResponseError, match="not JSON"):
        streamed(reply([b"data: {oops\n\n", b"data: [DONE]\n\n"]), stream_config=OpenAiSse())


def test_without_stream_settings_a_stream_is_one_call() -> None:
    with serve(reply(json={"text": "all"})) as server:
        provider = acme(server)
        assert provider.capabilities.supports_streaming is False
        assert provider.blocking.stream("hi").response().text == "all"
        assert server.requests[0].json["stream"] is False


def test_the_first_pointer_that_leads_to_something_counts() -> None:
    pointers = ["/a", "/b/0", "/c"]
    assert asked(reply(json={"a": None, "b": [""], "c": "third"}), response_text_pointer=pointers).text == "third"
    assert asked(reply(json={"a": "first", "c": "third"}), response_text_pointer=pointers).text == "first"


def test_the_words_and_counts_of_an_endpoint_can_be_told() -> None:
    response = asked(
        reply(json={"text": "a", "why": "budget", "meter": {"in": 2, "more": {"in": 3}, "out": 4}}),
        finish_reason_pointer="/why",
        finish_reasons={"budget": "length"},
        usage_pointer="/meter",
        usage_fields={"input_tokens": ["/in", "/more/in"], "output_tokens": "/out"},
    )
    assert (response.finish_reason, response.usage) == (FinishReason.LENGTH, Usage(5, 4))


def test_a_finish_reason_that_is_missing_or_unknown_is_other() -> None:
    response = asked(reply(json={"text": "a"}), finish_reason_pointer="/why")
    assert response.finish_reason is FinishReason.OTHER
    assert [notice.code for notice in response.notices] == ["finish_missing"]
    assert asked(reply(json={"text": "a", "why": "moon"}), finish_reason_pointer="/why").finish_reason == "other"
    assert asked(reply(json={"text": "a"})).finish_reason is FinishReason.STOP


def test_calls_without_or_with_equal_ids_get_unique_ones() -> None:
    calls = ToolCalls(pointer="/calls", name_pointer="/n", arguments_pointer="/a")
    body = {"calls": [{"n": "f", "a": {}}, {"id": "x", "n": "f", "a": "{}"}, {"id": "x", "n": "g", "a": '{"b'}]}
    response = asked(reply(json=body), tool_calls=calls)
    ids = [call.id for call in response.tool_calls]
    assert len(set(ids)) == 3
    assert all(ids)
    assert [call.args for call in response.tool_calls] == [{}, {}, '{"b']
    assert response.finish_reason is FinishReason.TOOL_CALLS


def test_notices_of_the_request_are_on_the_reply_of_both_faces() -> None:
    request = ChatRequest([Message.user([ContentPart.text("hi"), ContentPart.text("")])], seed=1)
    with serve(reply(lines({"text": "a"}, {"why": "stop"})), reply(json={"text": "a"})) as server:
        provider = acme(server, stream_config=LINES)
        for response in (provider.blocking.stream(request).response(), provider.blocking.chat(request)):
            assert sorted(notice.code for notice in response.notices) == ["empty_text", "unsupported_parameter"]


def test_whole_calls_of_a_stream_are_calls_of_their_own_whatever_their_ids() -> None:
    calls = ToolCalls(pointer="/calls", name_pointer="/n", arguments_pointer="/a")
    config = msgspec.structs.replace(LINES, tool_calls=calls)
    body = lines(
        {"calls": [{"id": "x", "n": "f", "a": {}}]},
        {"calls": [{"id": "x", "n": "f", "a": {"b": 1}}, {"n": "g", "a": {}}]},
    )
    response = streamed(reply(body + lines({"why": "tool_calls"})), stream_config=config)
    assert [(call.name, call.args) for call in response.tool_calls] == [("f", {}), ("f", {"b": 1}), ("g", {})]
    assert len({call.id for call in response.tool_calls}) == 3
