"""Every item, event and code that the SDK names is read or kept. sdk.toml has the names; tests/drift holds it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

import tako.kit.responses
from tako import ChatRequest, ContentPart, Message
from tako.errors import BadRequestError, ContentFilterError, ProviderError, RateLimitError, ServerError
from tako.providers import OpenAI
from tako.testing.server import Server, reply, serve, sse

FILE = Path(tako.kit.responses.__file__).with_name("sdk.toml")
SECTIONS = {section["names"]: section for section in tomllib.loads(FILE.read_text(encoding="utf-8"))["sdk"]}
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
MESSAGE["content"] = [{"type": "output_text", "text": "So.", "annotations": []}]
OWN = {
    "message": MESSAGE,
    "reasoning": {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
    "function_call": {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "now", "arguments": "{}"},
    "custom_tool_call": {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c", "name": "sql", "input": "x"},
    "image_generation_call": {"type": "image_generation_call", "id": "ig_1", "result": "aGk=", "output_format": "webp"},
}


def named(section: str, *ways: str) -> list[str]:
    return [name for way in ways or ("handled", "opaque") for name in SECTIONS[section].get(way, ())]


def asks(server: Server) -> Any:
    return OpenAI("gpt-6.2-sol", base_url=server.url, api_key="k-123456", api="responses", max_retries=0).blocking


def completed(output: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": output}}


@pytest.mark.parametrize("streams", [False, True], ids=["chat", "stream"])
@pytest.mark.parametrize("kind", [name for name in named("output items") if "." not in name])
def test_an_item_of_any_kind_goes_back_as_it_came(kind: str, streams: bool) -> None:
    item = OWN.get(kind, {"type": kind, "id": "x_1", "status": "completed", "odd": {"depth": [1, {"a": "b"}]}})
    done = [{"type": f"response.output_item.{end}", "output_index": 0, "item": item} for end in ("added", "done")]
    completed_event = completed([item, MESSAGE] if kind != "message" else [item])
    answer = reply(sse(*done, completed_event, done=False)) if streams else reply(json=completed_event["response"])
    with serve(answer) as server:
        provider = asks(server)
        turn = provider.stream("Hi").response() if streams else provider.chat("Hi")
        results = [Message.tool(call.id, "4") for call in turn.tool_calls]
        history = [Message.user("Hi"), turn.message, *results, Message.user("So?")]
        provider.stream(history).response() if streams else provider.chat(history)
    assert server.requests[1].json["input"][1] == item
    assert {notice.code for notice in turn.notices} == set()


@pytest.mark.parametrize("kind", named("input items"))
def test_an_item_of_any_kind_goes_out_in_your_own_words(kind: str) -> None:
    item = OWN.get(kind, {"type": kind, "id": "x_1", "odd": {"depth": [1]}})
    with serve(reply(json=completed([MESSAGE])["response"])) as server:
        asks(server).chat(
            [Message.user([ContentPart.vendor("openai", item)]), Message.assistant("So."), Message.user("?")]
        )
    sent = server.requests[0].json["input"]
    assert sent[0] in (item, {name: value for name, value in item.items() if name != "id"})


ITEM = ("response.output_item.added", "response.output_item.done")
BEGIN_OR_END = ("error", "response.completed", "response.failed", "response.incomplete", *ITEM)


@pytest.mark.parametrize("kind", [name for name in named("events of a stream") if name not in BEGIN_OR_END])
def test_an_event_of_any_kind_is_read_or_is_in_raw(kind: str) -> None:
    event = {"type": kind, "output_index": 0, "item_id": "msg_1", "odd": {"depth": 1}}
    begun = {"type": "response.output_item.added", "output_index": 0, "item": {**MESSAGE, "content": []}}
    done = {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE}
    with serve(reply(sse(begun, event, done, completed([MESSAGE]), done=False))) as server:
        response = asks(server).stream("Hi").response()
    assert response.text == "So."
    assert response.raw is not None
    has_an_item = not kind.startswith("response.audio.")
    assert response.raw.get("events", []) == ([] if has_an_item else [event])


@pytest.mark.parametrize("code", named("codes of a failure"))
@pytest.mark.parametrize("kind", ["a reply", "a stream", "an error event"])
def test_each_code_of_a_failure_has_its_class(code: str, kind: str) -> None:
    error = {"code": code, "message": "It went wrong."}
    failed = {"id": "r", "status": "failed", "error": error, "output": []}
    event = {"type": "error", **error} if kind == "an error event" else {"type": "response.failed", "response": failed}
    answer = reply(json=failed) if kind == "a reply" else reply(sse(event, done=False))
    with serve(answer) as server:
        provider = asks(server)
        with pytest.raises(ProviderError) as caught:
            provider.chat("Hi") if kind == "a reply" else provider.stream("Hi").response()
    assert caught.value.code == code
    assert isinstance(caught.value, (BadRequestError, ContentFilterError, RateLimitError, ServerError))


@pytest.mark.parametrize("reason", named("reasons of an incomplete reply"))
def test_each_reason_of_an_incomplete_reply_is_the_finish_word(reason: str) -> None:
    details = {"status": "incomplete", "incomplete_details": {"reason": reason}, "output": [MESSAGE]}
    with serve(reply(json=details)) as server:
        response = asks(server).chat("Hi")
    expected = {"max_output_tokens": "length", "content_filter": "content_filter"}.get(reason, "other")
    assert (response.finish_word, response.finish_reason) == (reason, expected)


@pytest.mark.parametrize("name", named("fields of a request", "extra"))
def test_a_field_without_a_word_of_tako_goes_out_by_extra(name: str) -> None:
    with serve(reply(json=completed([MESSAGE])["response"])) as server:
        asks(server).chat(ChatRequest([Message.user("Hi")], extra={name: {"odd": 1}}))
    assert server.requests[0].json[name] == {"odd": 1}
