"""Replies of a gateway that a test scripts, and what goes out after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako_openai import OpenAI

from tako import ChatResponse, Message, Tool
from tako.testing.server import reply, serve, sse

if TYPE_CHECKING:
    from tako.testing.server import Reply

WEATHER = Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})
ANSWER = {"choices": [{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}


def call(id: str = "call_1", **more: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}, **more}


def full_reply(finish: str = "stop", **message: Any) -> Reply:
    return reply(json={"choices": [{"message": {"role": "assistant", **message}, "finish_reason": finish}]})


def stream(*deltas: Any, finish: str = "stop", **facts: Any) -> Reply:
    events = [{"choices": [{"index": 0, "delta": delta}], **facts} for delta in deltas]
    return reply(sse(*events, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **facts}))


def ask(script: Reply, *, streams: bool = False, model: str = "m", **options: Any) -> ChatResponse:
    with serve(script) as server:
        provider = OpenAI(model, api_key="k", base_url=server.url, max_retries=0, **options).blocking
        return provider.stream("Hi").response() if streams else provider.chat("Hi")


def answered(response: ChatResponse) -> list[Message]:
    return [Message.user("Hi"), response.message, *[Message.tool(one.id, "18 °C") for one in response.tool_calls]]


def goes_back(script: Reply, *, streams: bool = False, model: str = "m", **options: Any) -> dict[str, Any]:
    """The message of a reply, as it goes out in the next request to the same server."""
    with serve(script, reply(json=ANSWER)) as server:
        provider = OpenAI(model, api_key="k", base_url=server.url, max_retries=0, **options).blocking
        first = provider.stream("Hi").response() if streams else provider.chat("Hi")
        assert provider.chat(answered(first)).notices == []
    message: dict[str, Any] = server.requests[1].json["messages"][1]
    return message
