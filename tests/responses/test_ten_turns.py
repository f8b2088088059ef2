"""Ten turns with a server that refuses a request which is not the one before it and what has come since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tako import ChatRequest, Message, Tool
from tako.errors import StreamTruncatedError
from tako.providers import OpenAI
from tako.testing.server import reply, serve, sse

if TYPE_CHECKING:
    from tako import Provider
    from tako.testing.server import Received, Reply

WEATHER = Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})


def thought(n: int, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": f"rs_{n}", "summary": [], "encrypted_content": f"gAAA{n}", **more}


def said(n: int, text: str, **more: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": f"msg_{n}", "role": "assistant", "status": "completed", "content": [part], **more}


def call(n: int, **more: Any) -> dict[str, Any]:
    fields = {"call_id": f"call_{n}", "name": "weather", "arguments": '{"city":"Rome"}', "status": "completed"}
    return {"type": "function_call", "id": f"fc_{n}", **fields, **more}


TURNS: list[list[dict[str, Any]]] = [
    [thought(1), call(1), call(11, namespace="crm")],
    [thought(2, content=[]), said(2, "It is dry.", phase="final_answer")],
    [said(3, "I look.", phase="commentary"), thought(3), call(3)],
    [{"type": "web_search_call", "id": "ws_4", "status": "completed", "action": {"type": "search", "query": "Rome"}}],
    [thought(5), said(5, "So it is."), said(55, "And more.")],
    [{"type": "custom_tool_call", "id": "ctc_6", "call_id": "call_6", "name": "sql", "input": "select 1"}],
    [{"type": "hologram_call", "id": "holo_7", "beam": {"depth": [1, {"a": "b"}]}}, said(7, "Odd.")],
    [thought(8, summary=[{"type": "summary_text", "text": "Hm."}]), call(8, caller={"type": "direct"})],
    [said(9, "", content=[{"type": "refusal", "refusal": "Not that."}])],
    [thought(10), said(10, "The end.", fingerprint="fp_1")],
]


@pytest.mark.parametrize("stored", [False, True], ids=["as values", "through JSON"])
@pytest.mark.parametrize("streams", [False, True], ids=["chat", "stream"])
def test_ten_turns_go_back_without_one_change(streams: bool, stored: bool) -> None:
    history: list[Message] = [Message.system("Be brief."), Message.user("What is the weather?")]
    with serve(Strict(TURNS, streams=streams)) as server:
        provider = made(server.url).blocking
        for _ in TURNS:
            request = ChatRequest(list(history), tools=[WEATHER])
            response = provider.stream(request).response() if streams else provider.chat(request)
            results = [Message.tool(one.id, "18 °C") for one in response.tool_calls]
            history += [response.message, *(results or [Message.user("So?")])]
            if stored:
                history = msgspec.json.decode(msgspec.json.encode(history), type=list[Message])
            assert {notice.code for notice in response.notices} <= {"blocked"}
    assert len(server.requests) == len(TURNS)


@pytest.mark.parametrize("turn", TURNS[:3], ids=["calls", "text", "text and a call"])
def test_a_stream_that_is_cut_anywhere_is_truncated_and_has_what_came(turn: list[dict[str, Any]]) -> None:
    *before, end = sse(*events_of(turn), done=False)
    body = b"".join(before)
    last = len(body) + len(end) // 2
    body += end
    whole = "".join(part["text"] for item in turn for part in item.get("content", ()))
    script = iter([reply([body[:at]]) for at in range(1, last, 3)])
    with serve(lambda _: next(script)) as server:
        provider = made(server.url).blocking
        lengths = []
        for _ in range(1, last, 3):
            with pytest.raises(StreamTruncatedError) as caught:
                provider.stream("Hi").response()
            partial = caught.value.partial
            assert partial is not None
            assert whole.startswith(partial.text)
            lengths.append(len(partial.text))
    assert lengths == sorted(lengths)
    assert lengths[-1] == len(whole)


def made(url: str) -> Provider:
    return OpenAI("gpt-6.2-sol", base_url=url, api_key="k-123456", api="responses", max_retries=0)


class Strict:
    """Says its turns one after the other; answers 400 to a request that isn't the one before with what came since."""

    def __init__(self, turns: list[list[dict[str, Any]]], *, streams: bool) -> None:
        self.turns = iter(turns)
        self.streams = streams
        self.before: list[Any] = []

    def __call__(self, request: Received) -> Reply:
        items = request.json["input"]
        if items[: len(self.before)] != self.before:
            return reply(json={"error": {"message": f"{items} is not {self.before}"}}, status=400)
        turn = next(self.turns)
        self.before = [*items, *turn]
        return reply(sse(*events_of(turn))) if self.streams else reply(json=response_of(turn))


def response_of(turn: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-6.2-sol", "output": turn}


def events_of(turn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of a turn: each item is added, its text and arguments come in pieces, and it is done."""
    made: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response_of([]), "status": "in_progress"}}
    ]
    for n, item in enumerate(turn):
        made.append({"type": "response.output_item.added", "output_index": n, "item": item_begun(item)})
        at = {"output_index": n, "item_id": item["id"]}
        if item["type"] == "function_call":
            made += [
                {"type": "response.function_call_arguments.delta", **at, "delta": piece}
                for piece in (item["arguments"][:5], item["arguments"][5:])
            ]
        for k, part in enumerate(item.get("content", ()) if item["type"] == "message" else ()):
            kind, name = ("refusal", "refusal") if part["type"] == "refusal" else ("output_text", "text")
            at = {**at, "content_index": k}
            made += [
                {"type": f"response.{kind}.delta", **at, "delta": piece} for piece in (part[name][:3], part[name][3:])
            ]
        made.append({"type": "response.output_item.done", "output_index": n, "item": item})
    return [*made, {"type": "response.completed", "response": response_of(turn)}]


def item_begun(item: dict[str, Any]) -> dict[str, Any]:
    empty = {"content": [], "status": "in_progress"} if item["type"] == "message" else {}
    return {**item, **empty, **({"arguments": ""} if "arguments" in item else {})}
