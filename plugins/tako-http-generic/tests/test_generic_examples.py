"""Replies of the endpoints in the example files, complete and streamed."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tako_http_generic import EXAMPLES, HttpGeneric, tako_translator
from tako_http_generic.stream import PointerDecoder

from tako import ChatRequest, FinishReason, Message, Usage
from tako.errors import StreamTruncatedError
from tako.fold import fold
from tako.kit.exchange import Exchange
from tako.testing.server import reply, serve, sse

if TYPE_CHECKING:
    from tako.testing.server import Server


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "CO_API_KEY"):
        monkeypatch.setenv(name, "k-12345")


def example(name: str, server: Server) -> HttpGeneric:
    return HttpGeneric.from_file(EXAMPLES / f"{name}.toml", "m", url=server.url, max_retries=0)


def lines(*items: Any) -> bytes:
    return b"".join(msgspec.json.encode(item) + b"\n" for item in items)


def named(event: dict[str, Any]) -> bytes:
    """Return an event with its type as its name."""
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), msgspec.json.encode(event))


COMPLETE = {
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


@pytest.mark.parametrize("name", sorted(COMPLETE))
def test_a_complete_reply_of_every_example(name: str) -> None:
    with serve(reply(json=COMPLETE[name])) as server:
        response = example(name, server).blocking.chat("hi")
    call = response.tool_calls[0]
    assert (response.text, response.reasoning, response.id, response.model) == ("Sunny.", "hm", ids(name), "m-1")
    assert (call.id, call.name, call.args, len(response.tool_calls)) == ("c1", "f", {"a": 1}, 1)
    assert response.finish_reason is FinishReason.TOOL_CALLS
    assert (response.usage.input_tokens, response.usage.output_tokens) == (10, 5)
    assert response.raw == COMPLETE[name]
    assert response.notices == []


@pytest.mark.parametrize("name", sorted(STREAMED))
def test_a_streamed_reply_of_every_example_in_pieces_of_any_size(name: str) -> None:
    body = STREAMED[name]
    kind = {"content-type": "text/event-stream"}
    with serve(
        reply(body, headers=kind), reply([body[i : i + 7] for i in range(0, len(body), 7)], headers=kind)
    ) as server:
        provider = example(name, server)
        response, split = [provider.blocking.stream("hi").response() for _ in range(2)]
    assert response == split
    assert (response.text, response.reasoning, response.id, response.model) == ("Sunny.", "hm", ids(name), "m-1")
    assert [(call.id, call.name, call.args) for call in response.tool_calls] == [("c1", "f", {"a": 1}), ("c2", "g", {})]
    assert response.finish_reason is FinishReason.TOOL_CALLS
    assert response.usage == Usage(10, 5)
    codes = ["lost_part"] if name == "openai" else []  # its stream has another choice, too
    assert [notice.code for notice in response.notices] == codes


def decoder_of(provider: HttpGeneric) -> PointerDecoder:
    context = provider.context(ChatRequest([Message.user("hi")]))
    assert provider.stream_reader is not None
    return PointerDecoder(provider, Exchange("", {}, context), tako_translator(provider), provider.stream_reader)


@pytest.mark.parametrize("name", ["openai", "anthropic", "ollama", "cohere"])
def test_every_stream_that_is_cut_is_an_error_wherever_it_is_cut(name: str) -> None:
    body = STREAMED[name]
    provider = HttpGeneric.from_file(EXAMPLES / f"{name}.toml", "m")
    for size in range(len(body)):
        decoder = decoder_of(provider)
        chunks = list(decoder.feed(body[:size]))
        try:
            chunks += decoder.finish(clean=True)
        except StreamTruncatedError:
            assert all(chunk.kind == "delta" for chunk in chunks)
        else:  # only what follows the last word may be missing
            assert [chunk.kind for chunk in chunks].count("end") == 1
            response = fold(chunks, "acme", "m")
            assert (response.text, len(response.tool_calls), response.finish_reason.value) == (
                "Sunny.",
                2,
                "tool_calls",
            )


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, len(STREAMED["anthropic"])), max_size=8))
def test_pieces_of_any_size_make_the_same_reply(cuts: list[int]) -> None:
    body = STREAMED["anthropic"]
    offsets = [0, *sorted(cuts), len(body)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTHROPIC_API_KEY", "k-12345")
        provider = HttpGeneric.from_file(EXAMPLES / "anthropic.toml", "m")
    decoder = decoder_of(provider)
    chunks = [chunk for start, stop in pairwise(offsets) for chunk in decoder.feed(body[start:stop])]
    response = fold([*chunks, *decoder.finish(clean=True)], "acme", "m")
    assert (response.text, response.reasoning, [call.args for call in response.tool_calls]) == (
        "Sunny.",
        "hm",
        [{"a": 1}, {}],
    )


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
