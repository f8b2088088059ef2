"""Reasoning that a server leaves in the text between tags is reasoning, if you say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tako_anthropic import Anthropic
from tako_azure_openai import AzureOpenAI
from tako_bedrock import Bedrock
from tako_http_generic import HttpGeneric
from tako_mistral import Mistral
from tako_ollama import Ollama
from tako_openai import OpenAI
from tako_vertex.gemini import Gemini

from tako import ChatResponse, Message, Provider, Tool
from tako.errors import ConfigurationError
from tako.parts import Part, ReasoningPart, TextPart, ToolCallPart
from tako.testing.eventstream import CONTENT_TYPE, event
from tako.testing.server import Reply, reply, serve, sse

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT = "<think>\nTwo and two.\nFour.\n</think>\n\nIt's < 5 & 4."
PARTS = [("ReasoningPart", "Two and two.\nFour."), ("TextPart", "It's < 5 & 4.")]
TEMPLATE = {"messages": "{{ messages }}", "stream": "{{ stream }}"}
Pieces = list[str]


def completions(pieces: Pieces, *, stream: bool) -> Reply:
    if not stream:
        return reply(json={"choices": [{"message": {"content": "".join(pieces)}, "finish_reason": "stop"}]})
    chunks = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    return reply(sse(*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))


def responses(pieces: Pieces, *, stream: bool) -> Reply:
    content = [{"type": "output_text", "text": "".join(pieces)}]
    body = {"status": "completed", "output": [{"type": "message", "role": "assistant", "content": content}]}
    if not stream:
        return reply(json=body)
    deltas = [{"type": "response.output_text.delta", "output_index": 0, "delta": piece} for piece in pieces]
    return reply(sse(*deltas, {"type": "response.completed", "response": body}))


def messages(pieces: Pieces, *, stream: bool) -> Reply:
    if not stream:
        return reply(json={"content": [{"type": "text", "text": "".join(pieces)}], "stop_reason": "end_turn"})
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in pieces
    ]
    end = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
    return reply(sse(*deltas, *end, done=False))


def gemini(pieces: Pieces, *, stream: bool) -> Reply:
    chunks = [{"candidates": [{"content": {"parts": [{"text": piece}]}}]} for piece in pieces]
    end = {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]}
    if not stream:
        return reply(json={"candidates": [{"content": {"parts": [{"text": "".join(pieces)}]}, "finishReason": "STOP"}]})
    return reply(sse(*chunks, end, done=False))


def ollama(pieces: Pieces, *, stream: bool) -> Reply:
    done = {"done": True, "done_reason": "stop"}
    if not stream:
        return reply(json={"message": {"content": "".join(pieces)}, **done})
    lines = [
        *[{"message": {"content": piece}, "done": False} for piece in pieces],
        {"message": {"content": ""}, **done},
    ]
    return reply(b"\n".join(map(msgspec.json.encode, lines)))


def converse(pieces: Pieces, *, stream: bool) -> Reply:
    if not stream:
        content = [{"text": "".join(pieces)}]
        return reply(json={"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn"})
    deltas = [event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}}) for piece in pieces]
    frames = [event("messageStart", {"role": "assistant"}), *deltas, event("messageStop", {"stopReason": "end_turn"})]
    return reply(b"".join(frames), headers={"content-type": CONTENT_TYPE})


WIRES: dict[str, Any] = {
    "openai": completions,
    "azure": completions,
    "mistral": completions,
    "generic": completions,
    "responses": responses,
    "anthropic": messages,
    "gemini": gemini,
    "ollama": ollama,
    "bedrock": converse,
}


def provider(name: str, url: str, tags: Any = "think") -> Provider:
    makers: dict[str, Any] = {
        "openai": lambda: OpenAI("m", api_key="k", base_url=url, reasoning_tags=tags),
        "azure": lambda: AzureOpenAI("m", api_key="k", endpoint=url, api="chat", reasoning_tags=tags),
        "mistral": lambda: Mistral("m", api_key="k", base_url=url, reasoning_tags=tags),
        "responses": lambda: OpenAI("m", api_key="k", base_url=url, api="responses", reasoning_tags=tags),
        "anthropic": lambda: Anthropic("qwen", api_key="k", base_url=url, reasoning_tags=tags),
        "gemini": lambda: Gemini("gemma-4", api_key="k", base_url=url, reasoning_tags=tags),
        "ollama": lambda: Ollama("m", base_url=url, reasoning_tags=tags),
        "bedrock": lambda: Bedrock("m", region="eu-west-1", endpoint_url=url, reasoning_tags=tags),
        "generic": lambda: HttpGeneric(
            "g",
            "m",
            url,
            TEMPLATE,
            "/choices/0/message/content",
            stream_config={"kind": "openai_sse"},
            reasoning_tags=tags,
        ),
    }
    vendor_provider: Provider = makers[name]()
    return vendor_provider


def ask(name: str, pieces: Pieces, *, stream: bool, tags: Any = "think") -> ChatResponse:
    with serve(WIRES[name](pieces, stream=stream)) as server:
        face = provider(name, server.url, tags).blocking
        return face.stream("Hi").response() if stream else face.chat("Hi")


def summary(parts: Sequence[Part]) -> list[tuple[str, str]]:
    return [(type(part).__name__, part.text) for part in parts if isinstance(part, (TextPart, ReasoningPart))]


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-example")


@pytest.mark.parametrize("name", WIRES)
def test_reasoning_between_tags_is_reasoning_on_every_wire(name: str) -> None:
    response = ask(name, [TEXT], stream=False)
    streamed = ask(name, [*TEXT], stream=True)
    assert summary(response.message.parts) == summary(streamed.message.parts) == PARTS
    assert (response.text, response.reasoning) == ("It's < 5 & 4.", "Two and two.\nFour.")


@pytest.mark.parametrize("size", range(1, 12))
def test_tags_may_be_cut_anywhere(size: int) -> None:
    pieces = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    assert summary(ask("openai", pieces, stream=True).message.parts) == PARTS


def test_text_and_reasoning_come_as_soon_as_no_tag_can_follow() -> None:
    with serve(completions(["<thi", "nk>a", "b </", "b", "</think>c", " <d"], stream=True)) as server:
        stream = provider("openai", server.url).blocking.stream("Hi")
        got = [(chunk.reasoning, chunk.text) for chunk in stream if chunk.kind == "delta" and not chunk.state]
    assert got == [("a", None), ("b", None), (" </b", None), (None, "c"), (None, " <d")]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("No tags, a < b.", [("TextPart", "No tags, a < b.")]),
        ("<think>\n\n</think>\n\nHi", [("ReasoningPart", ""), ("TextPart", "Hi")]),
        ("<think>cut", [("ReasoningPart", "cut")]),
        ("<think>cut </thi", [("ReasoningPart", "cut </thi")]),
        ("Well: <think>a</think>b", [("TextPart", "Well: "), ("ReasoningPart", "a"), ("TextPart", "b")]),
        (
            "<think>a</think> <think>b</think>\nc",
            [("ReasoningPart", "a"), ("ReasoningPart", "b"), ("TextPart", "c")],
        ),
        ("<thinking>a</thinking>b", [("TextPart", "<thinking>a</thinking>b")]),
        ("<think>" + " " * 5000 + "a</think>b", [("ReasoningPart", "a"), ("TextPart", "b")]),
    ],
)
def test_whatever_the_text_whole_and_streamed_agree_and_go_back_as_they_came(
    text: str, parts: list[tuple[str, str]]
) -> None:
    chat_response = ask("openai", [text], stream=False)
    with serve(completions([*text], stream=True), completions(["."], stream=False)) as server:
        openai = provider("openai", server.url)
        streamed = openai.blocking.stream("Hi").response()
        openai.blocking.chat([Message.user("Hi"), streamed.message, Message.user("And?")])
        sent = server.requests[-1].json["messages"][1]
    for response in (chat_response, streamed):
        assert [(kind, content.strip()) for kind, content in summary(response.message.parts)] == [
            (kind, content.strip()) for kind, content in parts
        ]
    assert sent["content"] == text or "".join(block["text"] for block in sent["content"]) == text


@pytest.mark.parametrize("name", WIRES)
def test_reasoning_goes_back_between_its_tags_to_who_made_it(name: str) -> None:
    wire = WIRES[name]
    with serve(wire([TEXT], stream=False), wire(["Yes."], stream=False)) as server:
        vendor_provider = provider(name, server.url)
        first = vendor_provider.blocking.chat("2 + 2?")
        second = vendor_provider.blocking.chat([Message.user("2 + 2?"), first.message, Message.user("Sure?")])
        assert msgspec.json.encode(TEXT) in server.requests[-1].body
    assert "foreign_state" not in [notice.code for notice in second.notices]


def test_elsewhere_the_reasoning_is_left_out_with_a_notice() -> None:
    message = ask("ollama", [TEXT], stream=False).message
    with serve(completions(["Yes."], stream=False)) as server:
        response = provider("openai", server.url).blocking.chat(
            [Message.user("2 + 2?"), message, Message.user("Sure?")]
        )
        assert server.requests[0].json["messages"][1]["content"] == "It's < 5 & 4."
    assert [notice.code for notice in response.notices] == ["foreign_state"]


def test_a_call_after_reasoning_keeps_its_place() -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    chunks = [{"content": "<think>I'll"}, {"content": " add."}, {"tool_calls": [call]}]
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in chunks]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    with serve(reply(sse(*events, end))) as server:
        blocking = provider("openai", server.url).blocking
        parts = blocking.stream("Hi", tools=[Tool("add", "", {"type": "object"})]).response().message.parts
    assert [type(part) for part in parts] == [ReasoningPart, ToolCallPart]


def test_other_tags_and_a_reply_that_begins_within_them() -> None:
    for stream in (False, True):
        own = ask("openai", ["[THI", "NK]a[/TH", "INK]b"], stream=stream, tags=("[THINK]", "[/THINK]"))
        assert (own.reasoning, own.text) == ("a", "b")
        within = ask("openai", ["\na</th", "ink>\nb"], stream=stream, tags=["", "</think>"])
        assert (within.reasoning, within.text) == ("a", "b")


def test_without_the_option_the_text_stays_as_it_is() -> None:
    assert ask("openai", [TEXT], stream=False, tags=None).text == TEXT
    assert ask("openai", [*TEXT], stream=True, tags=None).text == TEXT


@pytest.mark.parametrize("odd", ["<think>", "", ("a",), ("a", ""), 5, True])
def test_what_is_no_tag_is_refused(odd: Any) -> None:
    with pytest.raises(ConfigurationError, match="reasoning_tags is a name"):
        OpenAI("m", api_key="k", reasoning_tags=odd)
