"""Content in the conventions' shapes."""

from __future__ import annotations

import json

from tako_otel.content import input_messages, system_instructions, tool_definitions

from tako import ChatRequest, ContentPart, Message, Tool


def test_every_part_has_the_shape_of_the_conventions() -> None:
    request = ChatRequest(
        [
            Message.system("Be brief."),
            Message.user([ContentPart.image("image/png", "QUJD"), ContentPart.image_url("https://e.example/a.png")]),
            Message.user([ContentPart.file("application/pdf", "QUJD"), ContentPart.file_id("f-1", "x", "audio/wav")]),
            Message.assistant([ContentPart.reasoning("hm"), ContentPart.tool_call("c1", "look", {"at": 1})]),
            Message.tool("c1", [ContentPart.text("a cat")]),
        ]
    )
    messages = json.loads(input_messages(request))
    assert json.loads(system_instructions(request) or "") == [{"type": "text", "content": "Be brief."}]
    assert [message["role"] for message in messages] == ["user", "user", "assistant", "tool"]
    assert [part for message in messages for part in message["parts"]][:6] == [
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "QUJD"},
        {"type": "uri", "modality": "image", "mime_type": None, "uri": "https://e.example/a.png"},
        {"type": "blob", "modality": "document", "mime_type": "application/pdf", "content": "QUJD"},
        {"type": "file", "modality": "audio", "mime_type": "audio/wav", "file_id": "f-1"},
        {"type": "reasoning", "content": "hm"},
        {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": 1}},
    ]
    assert messages[3]["parts"][0]["type"] == "tool_call_response"
    assert messages[3]["parts"][0]["response"][0]["text"] == "a cat"


def test_values_that_are_not_json_do_not_stop_a_call() -> None:
    assert "object at" in input_messages(ChatRequest([Message.tool("c1", {"it": object()})]))


def test_tools_are_recorded_as_functions() -> None:
    request = ChatRequest([Message.user("hi")], tools=[Tool("look", "Looks.", {"type": "object"})])
    assert json.loads(tool_definitions(request)) == [
        {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}}
    ]
