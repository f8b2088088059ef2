"""Streams of servers that say less, or more, than OpenAI's; and what callers say themselves."""

from __future__ import annotations

from typing import Any

import pytest

from tako import ChatRequest, ChatResponse, ContentPart, JsonSchema, Message, Tool
from tako.errors import ConfigurationError, ProviderError
from tako.parts import TextPart, ToolCallPart, VendorPart
from tako.providers import OpenAI
from tako.testing.server import Server, reply, serve, sse

CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "now", "arguments": '{"x":1}'}
DONE = {"type": "response.completed", "response": {"id": "r", "output": []}}


def streamed(*events: dict[str, Any]) -> ChatResponse:
    with serve(reply(sse(*events, done=False))) as server:
        return made(server).stream("Hi").response()


def made(server: Server, model: str = "gpt-6.2-sol") -> Any:
    return OpenAI(model, base_url=server.url, api_key="k-123456", api="responses", max_retries=0).blocking


def sent(request: ChatRequest, model: str = "gpt-6.2-sol") -> tuple[dict[str, Any], list[str]]:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}
    with serve(reply(json={"status": "completed", "output": [message]})) as server:
        response = made(server, model).chat(request)
    return server.requests[0].json, [notice.code for notice in response.notices]


def at(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "output_index": 0, **fields}


@pytest.mark.parametrize(
    "events",
    [
        [at("function_call_arguments.done", arguments='{"x":1}')],
        [at("function_call_arguments.delta", delta='{"x"'), at("output_item.done", item=CALL)],
        [at("output_item.done", item=CALL), at("output_item.done", item=CALL)],
    ],
    ids=["never done", "cut deltas", "done twice"],
)
def test_arguments_are_whole_however_they_came(events: list[dict[str, Any]]) -> None:
    begun = at("output_item.added", item={**CALL, "arguments": ""})
    [part] = streamed(begun, *events, DONE).message.parts
    assert isinstance(part, ToolCallPart)
    assert (part.name, part.args) == ("now", {"x": 1})


def test_content_of_an_unknown_kind_after_streamed_text_is_kept() -> None:
    content = [{"type": "output_text", "text": "A", "annotations": []}, {"type": "weird", "a": 1}]
    item = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "phase": "final_answer"}
    text, odd = streamed(
        at("output_item.added", item={**item, "content": []}),
        at("output_text.delta", content_index=0, delta="A"),
        at("output_item.done", item={**item, "content": content}),
        DONE,
    ).message.parts
    assert isinstance(text, TextPart)
    assert isinstance(odd, VendorPart)
    assert odd.state is not None
    assert (text.text, odd.kind, odd.state.data["phase"]) == ("A", "weird", "final_answer")


def test_items_that_only_the_last_event_has_are_kept_once() -> None:
    items = [{**CALL, "id": f"fc_{n}", "call_id": f"c{n}"} for n in range(3)]
    added = [{"type": "response.output_item.done", "output_index": n, "item": items[n]} for n in (0, 2)]
    response = streamed(*added, {"type": "response.completed", "response": {"output": items}})
    assert sorted(call.id for call in response.tool_calls) == ["c0", "c1", "c2"]


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("completed", {}, ("stop", "completed")),
        ("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, ("length", "max_output_tokens")),
    ],
)
def test_the_last_event_says_how_a_reply_ended(kind: str, fields: dict[str, Any], expected: tuple[str, str]) -> None:
    response = streamed({"type": f"response.{kind}", "response": {"id": "r", "output": [], **fields}})
    assert (response.finish_reason, response.finish_word) == expected


def test_a_reply_that_failed_raises_though_its_status_does_not_say_so() -> None:
    with pytest.raises(ProviderError):
        streamed({"type": "response.failed", "response": {"id": "r", "status": "in_progress"}})


@pytest.mark.parametrize(
    "item",
    [
        {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
        {"type": "computer_call_output", "call_id": "c", "output": {}},
        {"type": "compaction", "encrypted_content": "gAAA"},
    ],
)
def test_items_of_the_callers_own_go_out_as_they_are(item: dict[str, Any]) -> None:
    body, noted = sent(ChatRequest([Message.user("Hi"), Message.user([ContentPart.vendor("openai", item)])]))
    assert item in body["input"]
    assert noted == []


def test_words_of_the_request() -> None:
    tools = [Tool.vendor("openai", {"type": "custom", "name": "sh"}), Tool("now", cache=True)]
    form = JsonSchema("My Person!", {"type": "object"})
    body, noted = sent(ChatRequest([Message.user("Hi")], tools=tools, tool_choice="sh", response_format=form))
    assert body["tool_choice"] == {"type": "custom", "name": "sh"}
    assert body["text"]["format"]["name"] == "My_Person_"
    assert noted == ["unsupported_parameter", "changed_parameter"]
    marked, noted = sent(ChatRequest([Message.user([TextPart("Hi", cache="12h")])]))
    mark = {"mode": "explicit", "ttl": "12h"}
    assert marked["input"][0]["content"] == [{"type": "input_text", "text": "Hi", "prompt_cache_breakpoint": mark}]
    assert noted == []
    assert "include" not in sent(ChatRequest([Message.user("Hi")]), "ft:gpt-4o-2024-08-06:o::1")[0]


def test_a_model_that_does_not_reason_is_asked_once_more() -> None:
    refusal = {"error": {"message": "Encrypted content is not supported with this model.", "param": "include"}}
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}
    answers = iter([reply(json=refusal, status=400), reply(json={"status": "completed", "output": [message]})])
    with serve(lambda _: next(answers)) as server:
        assert made(server, "prod").chat("Hi").text == "ok"
    assert ["include" in request.json for request in server.requests] == [True, False]


@pytest.mark.parametrize("name", ["Transfer-Encoding", "content-length", "Host", "Connection"])
def test_a_request_cannot_set_how_it_is_framed(name: str) -> None:
    with serve(reply(json={})) as server, pytest.raises(ConfigurationError, match=f"the header {name} can't be set"):
        made(server).chat(ChatRequest([Message.user("Hi")], headers={name: "3"}))
    assert server.requests == []


def test_a_header_of_a_request_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "sk-secret-123456")
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}
    with serve(reply(json={"status": "completed", "output": [message]})) as server:
        made(server).chat(ChatRequest([Message.user("Hi")], headers={"x-a": "$ENV:MY_SECRET"}))
    assert server.requests[0].headers["x-a"] == "$ENV:MY_SECRET"
