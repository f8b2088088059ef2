"""What Claude refuses of schemas wherever it's served: names of properties, and too much of strict schemas."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tako_anthropic import Anthropic
from tako_bedrock import Bedrock
from tako_openai import OpenAI

from tako import ChatRequest, ChatResponse, JsonSchema, Message, Provider, Tool
from tako.testing.eventstream import CONTENT_TYPE, event
from tako.testing.server import Received, Reply, reply, serve, sse

SCHEMA = {
    "type": "object",
    "properties": {"filter[id]": {"type": "string"}, "filter{id}": {"type": "string"}, "ok": {"type": "string"}},
    "required": ["filter[id]", "ok"],
}
TOOL = Tool("list", "", SCHEMA)
OWN = {"filter[id]": "1", "ok": "yes"}
SENT = '{"filter_id_":"1","ok":"yes"}'
MODELS = {
    "anthropic": "claude-opus-4-5",
    "bedrock": "us.anthropic.claude-opus-4-5-v1:0",
    "openai": "anthropic/claude-opus-4-5",
}


def provider(name: str, url: str) -> Provider:
    model = MODELS[name]
    if name == "anthropic":
        return Anthropic(model, api_key="k", base_url=url)
    if name == "bedrock":
        return Bedrock(model, region="eu-west-1", endpoint_url=url)
    return OpenAI(model, api_key="k", base_url=url)


def called(name: str, *, stream: bool) -> Reply:
    """A reply that calls the tool, its arguments in two pieces if it's streamed."""
    args, pieces = msgspec.json.decode(SENT), (SENT[:9], SENT[9:])
    if name == "openai":
        call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "list", "arguments": SENT}}
        if not stream:
            return reply(json={"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]})
        deltas = [{**call, "function": {"name": "list", "arguments": pieces[0]}}]
        deltas.append({"index": 0, "function": {"arguments": pieces[1]}})
        return reply(sse(*[{"choices": [{"delta": {"tool_calls": [one]}}]} for one in deltas]))
    if name == "bedrock":
        use = {"toolUseId": "c1", "name": "list"}
        if not stream:
            message = {"role": "assistant", "content": [{"toolUse": {**use, "input": args}}]}
            return reply(json={"output": {"message": message}, "stopReason": "tool_use"})
        frames = [event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": use}})]
        frames += [
            event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": piece}}})
            for piece in pieces
        ]
        frames += [
            event("contentBlockStop", {"contentBlockIndex": 0}),
            event("messageStop", {"stopReason": "tool_use"}),
        ]
        return reply(b"".join(frames), headers={"content-type": CONTENT_TYPE})
    block = {"type": "tool_use", "id": "c1", "name": "list", "input": args}
    if not stream:
        return reply(json={"content": [block], "stop_reason": "tool_use"})
    events: list[Any] = [{"type": "content_block_start", "index": 0, "content_block": {**block, "input": {}}}]
    events += [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": piece}}
        for piece in pieces
    ]
    events += [{"type": "content_block_stop", "index": 0}, {"type": "message_stop"}]
    return reply(sse(*events, done=False))


def schema_of(request: Received, i: int = 0) -> dict[str, Any]:
    body = request.json
    tool = (body["toolConfig"]["tools"] if "toolConfig" in body else body["tools"])[i]
    schema: dict[str, Any] = (
        tool.get("input_schema")
        or tool.get("function", {}).get("parameters")
        or tool["toolSpec"]["inputSchema"]["json"]
    )
    return schema


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-example")


@pytest.mark.parametrize("name", MODELS)
def test_properties_go_out_under_names_that_the_model_takes_and_calls_come_back_with_their_own(name: str) -> None:
    with serve(called(name, stream=False), called(name, stream=True), called(name, stream=False)) as server:
        face = provider(name, server.url).blocking
        full, streamed = face.chat("Hi", tools=[TOOL]), face.stream("Hi", tools=[TOOL]).response()
        result = Message.tool("c1", "done")
        face.chat([Message.user("Hi"), streamed.message, result], tools=[TOOL])
        sent = schema_of(server.requests[0])
        again = server.requests[2].body
    assert sent["required"] == ["filter_id_", "ok"]
    first, second, third = sent["properties"]
    assert (first, third) == ("filter_id_", "ok")
    assert second.startswith("filter_id_")
    assert second != first
    for response in (full, streamed):
        assert [call.args for call in response.tool_calls] == [OWN]
        assert "changed_schema" in [notice.code for notice in response.notices]
    assert b"filter_id_" in again
    assert b"filter[id]" not in again


def test_names_that_fit_stay_and_so_does_the_stream_of_their_arguments() -> None:
    plain = Tool("list", "", {"type": "object", "properties": {"filter_id_": {}, "ok": {}}})
    with serve(called("anthropic", stream=True)) as server:
        chunks = list(provider("anthropic", server.url).blocking.stream("Hi", tools=[plain]))
    pieces = [call.arguments_fragment for chunk in chunks if chunk.kind == "delta" for call in chunk.tool_calls]
    assert [piece for piece in pieces if piece] == [SENT[:9], SENT[9:]]


def objects(count: int, kind: Any = "string", *, required: bool = False) -> dict[str, Any]:
    names = [f"p{i}" for i in range(count)]
    return {
        "type": "object",
        "properties": {name: {"type": kind} for name in names},
        "required": names if required else [],
        "additionalProperties": False,
    }


def strict(*schemas: dict[str, Any], output: dict[str, Any] | None = None) -> tuple[list[bool], ChatResponse]:
    tools = [Tool(f"t{i}", "", schema, strict=True) for i, schema in enumerate(schemas)]
    form = JsonSchema("r", output) if output else None
    with serve(reply(json={"content": [{"type": "text", "text": "{}"}], "stop_reason": "end_turn"})) as server:
        request = ChatRequest([Message.user("Hi")], tools=tools, response_format=form)
        response = provider("anthropic", server.url).blocking.chat(request)
        return [tool.get("strict") is True for tool in server.requests[0].json.get("tools", [])], response


@pytest.mark.parametrize(
    ("schemas", "sent", "reason"),
    [
        ([objects(24)], [True], ""),
        ([objects(25)], [False], "24 optional properties"),
        ([objects(20), objects(5), objects(4)], [True, False, True], "24 optional properties"),
        ([objects(30, required=True)], [True], ""),
        ([objects(16, ["string", "null"], required=True)], [True], ""),
        ([objects(17, ["string", "null"], required=True)], [False], "16 unions"),
        ([objects(1, required=True)] * 21, [True] * 20 + [False], "20 strict tools"),
    ],
    ids=["24", "25", "in all", "required", "16 unions", "17 unions", "21 tools"],
)
def test_what_is_too_much_for_strict_schemas_goes_out_without_strict(
    schemas: list[dict[str, Any]], sent: list[bool], reason: str
) -> None:
    strict_flags, response = strict(*schemas)
    assert strict_flags == sent
    left_out = [notice for notice in response.notices if notice.code == "unsupported_parameter"]
    assert len(left_out) == sent.count(False)
    assert all(reason in notice.message for notice in left_out)


def test_the_schema_of_the_reply_counts_first() -> None:
    assert strict(objects(20), output=objects(10))[0] == [False]
    strict_flags, response = strict(objects(20), output=objects(30))
    assert strict_flags == [True]
    assert any("24 optional properties" in notice.message for notice in response.notices)
