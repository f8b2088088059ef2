"""A call's arguments are text that the model wrote: who made them gets the same text back, others their value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tako import ChatRequest, Message, Tool
from tako.providers import Anthropic, OpenAI
from tako.testing.server import reply, serve, sse

if TYPE_CHECKING:
    from tako.testing.server import Reply

WEATHER = Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})
TEXTS = ['{"city": "Rome"}', '{"city":"Rome"}', '{ "b": 1.0,\n "a": "\\u00e9" }', '{"a": 1e2, "a": 2}', "", "{}"]
INVALID = ['{"city": "Ro', "Rome", "[1, "]


def reply_with_arguments(api: str, text: str) -> Reply:
    if api == "responses":
        call = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": text}
        return reply(json={"id": "r", "status": "completed", "output": [call]})
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": text}}
    return reply(json={"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]})


def streamed(api: str, text: str) -> Reply:
    pieces = [text[:3], text[3:]]
    if api == "responses":
        call: dict[str, Any] = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather"}
        done = {**call, "arguments": text}
        events = [
            {"type": "response.output_item.added", "output_index": 0, "item": {**call, "arguments": ""}},
            *({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": one} for one in pieces),
            {"type": "response.output_item.done", "output_index": 0, "item": done},
            {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [done]}},
        ]
        return reply(sse(*events))
    begin = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    deltas = [begin, *({"index": 0, "function": {"arguments": one}} for one in pieces)]
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [one]}}]} for one in deltas]
    return reply(sse(*chunks, {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}))


def sent(api: str, body: Any) -> str:
    if api == "responses":
        return next(item["arguments"] for item in body["input"] if item.get("type") == "function_call")  # type: ignore[no-any-return]  # JSON
    return body["messages"][1]["tool_calls"][0]["function"]["arguments"]  # type: ignore[no-any-return]  # JSON


@pytest.mark.parametrize("way", [reply_with_arguments, streamed])
@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("text", [*TEXTS, *INVALID])
def test_arguments_go_back_to_their_maker_letter_by_letter(text: str, api: Any, way: Any) -> None:
    with serve(way(api, text), reply_with_arguments(api, "{}")) as server:
        provider = OpenAI("gpt-4o", api_key="k", base_url=server.url, api=api, max_retries=0).blocking
        messages = [Message.user("?")]
        first = provider.stream(messages).response() if way is streamed else provider.chat(messages)
        message = msgspec.json.decode(msgspec.json.encode(first.message), type=Message)
        again = provider.chat(ChatRequest([*messages, message, Message.tool("call_1", "dry")], tools=[WEATHER]))
    assert sent(api, server.requests[1].json) == (text or "{}")
    assert again.notices == []


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("text", TEXTS)
def test_others_get_their_value_without_a_word_about_how_it_was_written(text: str, api: Any) -> None:
    answer = {"type": "message", "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn", "usage": {}}
    with serve(reply_with_arguments(api, text)) as one, serve(reply(json=answer)) as other:
        openai = OpenAI("gpt-4o", api_key="k", base_url=one.url, api=api).blocking
        message = openai.chat("?").message
        claude = Anthropic("claude-opus-5-5", api_key="k", base_url=other.url).blocking
        history = [Message.user("?"), message, Message.tool("call_1", "dry")]
        assert claude.chat(ChatRequest(history, tools=[WEATHER], strict=True)).notices == []
    [call] = message.parts
    assert other.requests[0].json["messages"][1]["content"][0]["input"] == call.args  # type: ignore[union-attr]  # a call
