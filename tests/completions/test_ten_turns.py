"""Ten turns with a server that refuses a request which is not the one before it and what has come since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tako import ChatRequest, ContentPart, Message, Role
from tako.providers import AzureOpenAI, Mistral, OpenAI
from tako.testing.server import reply, serve

from .replies import WEATHER, call, full_reply, stream

if TYPE_CHECKING:
    from tako import Provider
    from tako.testing.server import Received, Reply

STATE = {"google": {"thought_signature": "AbCd+/=="}}
DETAILS = [
    {"type": "reasoning.text", "text": "1", "signature": "EqQB", "format": "claude", "index": 0},
    {"type": "reasoning.encrypted", "data": "gAAAA", "format": "responses", "index": 1},
]
GATEWAY: list[dict[str, Any]] = [
    {
        "reasoning": "1",
        "reasoning_details": DETAILS,
        "tool_calls": [call("a" * 60), call("b", extra_content=STATE)],
    },
    {"content": "It is dry.", "extra_content": STATE},
    {"reasoning_content": "Two.", "content": "I look.", "tool_calls": [call("c")]},
    {"content": "So it is.", "annotations": [{"type": "file", "file": {"hash": "h"}}]},
    {"tool_calls": [{"id": "d", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}]},
    {"content": "Here:", "images": [{"type": "image_url", "image_url": {"url": "https://img.example/a.png"}}]},
    {"tool_calls": [call("e"), {"id": "f", "type": "hologram", "hologram": {"a": 1}}]},
    {"content": "No.", "refusal": "Not that."},
    {"content": "cut o", "seal": "s-1"},
    {"reasoning": "Last.", "content": "The end."},
]


def thinking(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **more}


def text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


REFERENCE = {"type": "reference", "reference_ids": [1, "b"]}
MISTRAL: list[dict[str, Any]] = [
    {"content": [thinking("1", closed=True, signature="S1")], "tool_calls": [call("aaaaaaaaa"), call("bbbbbbbbb")]},
    {"content": [thinking("2"), text("It is dry."), REFERENCE, text("So it is.")]},
    {"content": "I look.", "tool_calls": [call("not-nine")]},
    {"content": [text("Here:"), {"type": "image_url", "image_url": "https://img.example/a.png"}]},
    {"content": [{"type": "document_url", "document_url": "https://files.example/a.pdf"}, text("See there.")]},
    {"tool_calls": [call("ccccccccc")]},
    {"content": [{"type": "of_next_year", "depth": [1, {"a": "b"}]}, text("Odd.")]},
    {"content": [{"type": "thinking", "thinking": [text("As in "), REFERENCE], "closed": True}, text("cut o")]},
    {"content": "Plain."},
    {"content": [thinking("9", signature="S9"), text("The end.")]},
]


@pytest.mark.parametrize("streams", [False, True], ids=["chat", "stream"])
@pytest.mark.parametrize("vendor", ["openai", "azure", "mistral"])
def test_ten_turns_go_back_without_one_change(vendor: str, streams: bool) -> None:
    script = Strict(MISTRAL if vendor == "mistral" else GATEWAY, streams=streams)
    history: list[Message] = [Message.system("Be brief."), Message.user("What is the weather?")]
    with serve(script) as server:
        provider = provider_of(vendor, server.url).blocking
        for _ in range(10):
            request = ChatRequest(list(history), tools=[WEATHER])
            response = provider.stream(request).response() if streams else provider.chat(request)
            results = [ContentPart.tool_result(one.id, "18 °C") for one in response.tool_calls]
            history += [response.message, Message(Role.TOOL, [*results]) if results else Message.user("So?")]
            assert {notice.code for notice in response.notices} <= {"blocked"}
    assert len(server.requests) == 10


def provider_of(vendor: str, url: str) -> Provider:
    if vendor == "azure":
        return AzureOpenAI("m", endpoint=url, api_key="k-123456", max_retries=0)
    cls = Mistral if vendor == "mistral" else OpenAI
    return cls("m", base_url=url, api_key="k-123456", max_retries=0)


class Strict:
    """Says its turns one after the other; answers 400 to a request that isn't the one before with what came since."""

    def __init__(self, turns: list[dict[str, Any]], *, streams: bool) -> None:
        self.turns = iter(turns)
        self.streams = streams
        self.before: list[Any] = []

    def __call__(self, request: Received) -> Reply:
        messages = request.json["messages"]
        if messages[: len(self.before)] != self.before:
            return reply(json={"error": {"message": f"{messages} is not {self.before}"}}, status=400)
        turn = next(self.turns)
        self.before = [*messages, {"role": "assistant", **turn}]
        return stream(*deltas_of(turn)) if self.streams else full_reply(**turn)


def deltas_of(turn: dict[str, Any]) -> list[dict[str, Any]]:
    """Servers stream reasoning first, then content and calls, and then whatever else there is."""
    fields = [{name: turn[name]} for name in ("reasoning", "reasoning_content") if name in turn]
    content = turn.get("content", [])
    chunks = [{"content": [chunk]} for chunk in content] if isinstance(content, list) else [{"content": content}]
    calls = [{"tool_calls": [{"index": n, **one}]} for n, one in enumerate(turn.get("tool_calls", ()))]
    known = ("reasoning", "reasoning_content", "content", "tool_calls")
    return [*fields, *chunks, *calls, *({name: value} for name, value in turn.items() if name not in known)]
