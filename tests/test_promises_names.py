"""The names, fields, orders and defaults that users' code relies on: DESIGN's section 4, as a table."""

from __future__ import annotations

import copy
import inspect
import pickle
import traceback
from typing import Any

import msgspec
import pytest
from tako_http_generic import NdJson, OpenAiSse

import tako
from tako import ChatChunk, ContentPart, Delta, End, Message, PluginError, errors

NAMES = [
    "Around",
    "Capabilities",
    "Chat",
    "ChatChunk",
    "ChatRequest",
    "ChatResponse",
    "Citation",
    "Conductor",
    "ContentPart",
    "Conversation",
    "Delta",
    "End",
    "FinishReason",
    "JsonSchema",
    "Message",
    "Notice",
    "Origin",
    "Provider",
    "Role",
    "State",
    "Stream",
    "TakoError",
    "Tool",
    "ToolCallDelta",
    "ToolSchema",
    "Translator",
    "UrlPrefetch",
    "Usage",
    "around",
    "get_provider",
    "hookimpl",
    "providers",
    "register",
    "unregister",
]
BESIDES = "ChatStream Cost TextPart errors load_config"

FIELDS: dict[str, dict[str, Any]] = {
    "ChatRequest": {
        "messages": ...,
        "model": None,
        "tools": [],
        "tool_choice": None,
        "parallel_tool_calls": None,
        "temperature": None,
        "top_p": None,
        "max_tokens": None,
        "stop": [],
        "seed": None,
        "response_format": None,
        "reasoning": None,
        "metadata": {},
        "extra": {},
        "strict": False,
        "timeout": None,
        "deadline": None,
        "headers": {},
        "context": {},
    },
    "ChatResponse": {
        "message": ...,
        "finish_reason": "stop",
        "usage": tako.Usage(),
        "model": "",
        "id": "",
        "provider": "",
        "finish_word": "",
        "notices": [],
        "raw": None,
        "cost": None,
    },
    "Delta": {"text": None, "reasoning": None, "tool_calls": [], "part": None},
    "End": {
        "finish_reason": "stop",
        "usage": tako.Usage(),
        "model": "",
        "id": "",
        "provider": "",
        "finish_word": "",
        "notices": [],
        "raw": None,
        "cost": None,
    },
    "Origin": {"provider": ..., "model": "", "server": ""},
    "State": {"origin": ..., "data": {}},
    "Tool": {
        "name": ...,
        "description": "",
        "input_schema": {"type": "object", "properties": {}},
        "strict": None,
        "cache": False,
        "extra": {},
    },
    "JsonSchema": {"name": ..., "schema": ..., "strict": True},
    "Message": {"role": ..., "content": ...},
    "Notice": {"code": ..., "message": ..., "path": ""},
    "ToolCallDelta": {"index": ..., "id": None, "name": None, "arguments_fragment": ""},
    "Usage": dict.fromkeys(
        ["input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"], 0
    ),
}
CONSTRUCTORS = {
    "text": ["text"],
    "image": ["mime", "data_b64"],
    "image_url": ["url", "mime"],
    "tool_call": ["id", "name", "args"],
    "tool_result": ["id", "result", "is_error"],
    "reasoning": ["text"],
    "file": ["mime", "data_b64", "name", "options"],
    "file_url": ["url", "mime", "name", "options"],
    "file_id": ["id", "provider", "mime", "options"],
    "file_path": ["path", "mime", "name", "options"],
    "vendor": ["provider", "block"],
}


def test_tako_exports_what_it_promises_and_few_things_besides() -> None:
    assert sorted([*NAMES, *BESIDES.split()]) == sorted(tako.__all__)
    assert len(tako.__all__) <= 40


def test_every_error_of_the_tree_can_be_imported_from_tako() -> None:
    tree = [
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, tako.TakoError)
    ]
    assert all(getattr(tako, name) is getattr(errors, name) for name in tree)
    assert not hasattr(tako, "NoSuchError")


@pytest.mark.parametrize("name", FIELDS)
def test_fields_stand_in_their_order_with_their_defaults(name: str) -> None:
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(getattr(tako, name)):
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        fields[field.name] = ... if default is msgspec.NODEFAULT else default
    assert list(fields.items())[: len(FIELDS[name])] == list(FIELDS[name].items())


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_constructors_take_their_parameters_by_name(name: str) -> None:
    assert list(inspect.signature(getattr(ContentPart, name)).parameters) == CONSTRUCTORS[name]


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_messages_are_made_of_a_text_by_its_name(role: str) -> None:
    assert getattr(Message, role)(text="hello") == Message(tako.Role(role), "hello")


def test_a_chunk_is_one_of_two_and_is_read_again_as_that() -> None:
    for chunk in (Delta(text="a"), End()):
        assert isinstance(chunk, ChatChunk)
        assert msgspec.json.decode(msgspec.json.encode(chunk), type=ChatChunk) == chunk


def test_configurations_of_streams_take_their_pointers_by_place() -> None:
    lines = NdJson("/message/content", "/done_reason", "/usage")
    assert (lines.content_pointer, lines.finish_reason_pointer, lines.usage_pointer) == (
        *("/message/content", "/done_reason"),
        "/usage",
    )
    events = OpenAiSse()
    assert (events.content_pointer, events.finish_reason_pointer, events.usage_pointer) == (
        *("/choices/0/delta/content", "/choices/0/finish_reason"),
        "/usage",
    )


@pytest.mark.parametrize("again", [pickle.dumps, copy.deepcopy])
def test_a_stream_that_is_to_be_copied_says_what_can_be(again: Any) -> None:
    provider = tako.providers.PythonProvider("py", lambda _: "hi")
    stream = provider.blocking.stream("x")
    with pytest.raises(TypeError, match=r"a stream can't be pickled or copied; .*stream\.response\(\)"):
        again(stream)
    with pytest.raises(TypeError, match=r"python:py|py: a stream can't be pickled or copied"):
        again(provider.stream("x"))
    assert again(stream.response())


def test_a_key_is_in_no_frame_where_the_provider_is_unknown() -> None:
    with pytest.raises(PluginError) as caught:
        tako.get_provider("no-such-vendor:m", api_key="the-" + "canary")
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "the-canary" not in "".join(shown.format())
