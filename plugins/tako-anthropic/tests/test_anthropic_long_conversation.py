"""Ten turns with a server that answers 400 to any change of earlier turns, as Claude does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tako import ChatRequest, FinishReason, Message, Tool
from tako.parts import Part, TextPart
from tako.providers import Anthropic
from tako.testing.dialects.messages import block_events, event
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from tako import ChatResponse
    from tako.testing.server import Received, Reply

WEATHER = Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}}, cache="1h")
SEARCH = Tool.vendor("anthropic", {"type": "web_search_20260318", "name": "web_search"})


def thinking(n: int) -> dict[str, Any]:
    return {"type": "thinking", "thinking": f"Step {n}." if n % 2 else "", "signature": f"Eq{n}=="}


def text(value: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **fields}


def call(n: int, **fields: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{n}", "name": "weather", "input": {"city": f"City{n}"}, **fields}


def search(n: int) -> dict[str, Any]:
    return {"type": "server_tool_use", "id": f"srvtoolu_{n}", "name": "web_search", "input": {"query": f"q{n}"}}


def results(n: int) -> dict[str, Any]:
    result = {"type": "web_search_result", "url": "https://e.org", "title": "T", "encrypted_content": f"Enc{n}"}
    return {"type": "web_search_tool_result", "tool_use_id": f"srvtoolu_{n}", "content": [result]}


CITATION = {"type": "web_search_result_location", "cited_text": "dry", "url": "https://e.org", "encrypted_index": "Eo8"}
CALLER = {"caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_7"}}
TURNS: list[tuple[str, list[dict[str, Any]]]] = [
    ("tool_use", [thinking(1), text("I look."), call(1), call(2)]),
    ("end_turn", [thinking(2), text("It is "), text("dry", citations=[CITATION]), text(".")]),
    ("pause_turn", [thinking(3), search(3), results(3), search(4)]),
    ("pause_turn", [results(4), text("Still searching. ")]),
    ("tool_use", [{"type": "redacted_thinking", "data": "Emw"}, search(7), call(3, **CALLER)]),
    ("end_turn", [results(7), thinking(6), text("So it is.")]),
    ("compaction", [{"type": "compaction", "content": "So far.", "encrypted_content": "Ep", "signature": "Eq"}]),
    ("end_turn", [text("Going on."), {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}}, text("On.")]),
    ("max_tokens", [thinking(9), {"type": "of_next_year", "depth": {"a": [1, None]}}, text("cut o")]),
    ("end_turn", [thinking(10), text("The end.")]),
]


class Claude:
    """Answers with its turns in order, and refuses a request that doesn't begin with the messages of the one before."""

    def __init__(self) -> None:
        self.last_body: dict[str, Any] = {"messages": []}
        self.last_turn: list[dict[str, Any]] = []
        self.turns = iter(TURNS)

    def __call__(self, request: Received) -> Reply:
        body = request.json
        path = self.find_change(body)
        if path:
            message = (
                f"{path}: Invalid `signature` in `thinking` block. The block is bound to a different conversation."
            )
            return reply(
                json={"type": "error", "error": {"type": "invalid_request_error", "message": message}}, status=400
            )
        reason, turn = next(self.turns)
        self.last_body = body
        paused = body["messages"][-1]["role"] == "assistant"
        self.last_turn = [*body["messages"][-1]["content"], *turn] if paused else turn
        message = {"id": "msg_1", "role": "assistant", "model": body["model"], "usage": {"input_tokens": 1}}
        if not body.get("stream"):
            return reply(json={**message, "content": turn, "stop_reason": reason})
        events = [event("message_start", message={**message, "content": []})]
        for n, block in enumerate(turn):
            events += block_events(n, block, lambda value: [value[:3], value[3:]])
        return reply([*events, event("message_delta", delta={"stop_reason": reason}), event("message_stop")])

    def find_change(self, body: dict[str, Any]) -> str:
        """Return the path of the first change since the last request, or ""."""
        previous, messages = self.last_body["messages"], body["messages"]
        if previous and (body["tools"], body["system"]) != (self.last_body["tools"], self.last_body["system"]):
            return "tools or system"
        if previous and previous[-1]["role"] == "assistant":  # it was paused, so the turn continues
            previous = previous[:-1]
        for n, message in enumerate(previous):
            if messages[n] != message:
                return f"messages.{n}"
        if self.last_turn:
            content = messages[len(previous)]["content"]
            blocks = [text(content)] if isinstance(content, str) else content
            if blocks != self.last_turn:
                return f"messages.{len(previous)}.content.0"
        return ""


@pytest.mark.parametrize("is_stream", [False, True])
def test_ten_turns_go_back_without_a_refusal(is_stream: bool) -> None:
    system: list[Part] = [TextPart("Be brief.", cache="1h")]
    history = [Message.system(system), Message.user("What is the weather?")]
    with serve(Claude()) as server:
        provider = Anthropic("claude-opus-5-5", api_key="k-123", base_url=server.url, on_altered_thinking="error")
        for n, (stop_reason, _) in enumerate(TURNS):
            request = ChatRequest(list(history), tools=[WEATHER, SEARCH])
            response = _send(provider, request, is_stream=is_stream)
            assert response.finish_word == stop_reason
            assert response.notices == []
            history.append(response.message)
            history += [Message.tool(call.id, {"celsius": n}) for call in response.tool_calls]
            if response.finish_reason in (FinishReason.STOP, FinishReason.LENGTH):
                history += [Message.user(f"And then? {n}"), *([Message.system("In French.")] if n == 1 else [])]
        assert len(server.requests) == len(TURNS)


def _send(provider: Anthropic, request: ChatRequest, *, is_stream: bool) -> ChatResponse:
    return provider.blocking.stream(request).response() if is_stream else provider.blocking.chat(request)
