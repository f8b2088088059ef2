"""Texts that plugins change: everything in a request that a person may have written, and nothing else."""

from __future__ import annotations

import base64

import msgspec
import pytest

from tako import ChatRequest, ContentPart, JsonSchema, Message, Tool
from tako.parts import FilePart, Part, TextPart
from tako.state import Origin, State
from tako.texts import change_texts

ADDRESS = "a@b.example"


def hide(text: str) -> str:
    return text.replace(ADDRESS, "[address]")


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SCHEMA = {
    "type": "object",
    "title": ADDRESS,
    "description": f"Write to {ADDRESS}",
    "properties": {
        "to": {"type": "string", "enum": [ADDRESS], "default": ADDRESS, "examples": [[ADDRESS]]},
        "description": {"anyOf": [{"const": ADDRESS}, {"$ref": "#/$defs/text"}]},
    },
    "required": ["to"],
    "$defs": {"text": {"type": "string", "$comment": ADDRESS}},
}
EVERYWHERE = ChatRequest(
    [
        Message.system(ADDRESS),
        Message.user(
            [ContentPart.text(ADDRESS), ContentPart.file("text/csv", b64(f"to\n{ADDRESS}"), f"{ADDRESS}.csv")]
        ),
        Message.user([FilePart("application/json", f"data:application/json;base64,{b64(ADDRESS)}")]),
        Message.assistant([ContentPart.reasoning(ADDRESS), ContentPart.tool_call("1", "mail", {"to": [ADDRESS]})]),
        Message.tool("1", [ContentPart.text(ADDRESS)]),
        Message.tool("1", {"sent": {"to": ADDRESS}}),
        Message.user([TextPart("Hi", extra={"cited": ADDRESS}), ContentPart.file("application/pdf", "AA==", ADDRESS)]),
        Message.user([ContentPart.file_url("https://x.example/f.pdf", name=ADDRESS)]),
    ],
    tools=[Tool("mail", f"Mail {ADDRESS}", SCHEMA, extra={"note": ADDRESS})],
    response_format=JsonSchema("mail", SCHEMA),
    stop=[ADDRESS],
    metadata={"user": ADDRESS},
    extra={"user": {"mail": ADDRESS}},
)


def test_no_text_of_a_request_is_left_out() -> None:
    changed = change_texts(EVERYWHERE, hide)
    shown = msgspec.json.encode(changed).decode()
    assert ADDRESS not in shown
    assert b64(ADDRESS) not in shown
    assert b64("to\n[address]") in shown
    assert f"data:application/json;base64,{b64('[address]')}" in shown
    assert changed == msgspec.convert(
        msgspec.json.decode(
            msgspec.json.encode(EVERYWHERE)
            .replace(ADDRESS.encode(), b"[address]")
            .replace(b64(ADDRESS).encode(), b64("[address]").encode())
            .replace(b64(f"to\n{ADDRESS}").encode(), b64("to\n[address]").encode())
        ),
        ChatRequest,
    )


def test_a_schema_still_means_the_same() -> None:
    changed = change_texts(Tool("mail", "Mail", SCHEMA), str.upper)
    schema = changed.input_schema
    assert changed.name == "mail"
    assert [*schema["properties"]] == ["to", "description"]
    assert (schema["type"], schema["required"]) == ("object", ["to"])
    assert schema["properties"]["description"]["anyOf"] == [{"const": ADDRESS.upper()}, {"$ref": "#/$defs/text"}]


@pytest.mark.parametrize(
    "part",
    [
        ContentPart.image_url(f"https://x.example/{ADDRESS}"),
        ContentPart.file_url(f"https://x.example/{ADDRESS}"),
        ContentPart.file_id(ADDRESS, "anthropic"),
        ContentPart.image("image/png", b64(ADDRESS)),
        ContentPart.file("application/pdf", b64(ADDRESS)),
        ContentPart.vendor("anthropic", {"type": "search", "query": ADDRESS}),
        TextPart("Hi", state=State(Origin("anthropic"), {"cited_text": ADDRESS})),
    ],
)
def test_what_isnt_a_text_stays_as_it_is(part: Part) -> None:
    assert change_texts(part, hide) == part


def test_a_text_file_that_isnt_utf_8_stays_as_it_is() -> None:
    part = FilePart("text/plain", base64.b64encode(b"\xff\xfe").decode())
    assert change_texts(part, hide) == part
