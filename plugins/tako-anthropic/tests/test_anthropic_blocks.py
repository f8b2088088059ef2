"""Single blocks, deltas and fields of a reply, and which models they go back to."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from tako_anthropic import prepare, tako_translator

import tako
from tako import ChatRequest, Citation, ContentPart, FinishReason, Message, Origin, State
from tako.parts import Part, ReasoningPart, TextPart, ToolCallPart, VendorPart
from tako.providers import Anthropic
from tako.testing.dialects.messages import block_events, event
from tako.testing.server import Reply, reply, serve

MODEL = "claude-opus-5-5"
SERVER = "https://api.anthropic.com"
CONTAINER = {"id": "container_1", "expires_at": "2026-12-01T00:00:00Z"}
START = event("message_start", message={"id": "m", "model": "claude", "usage": {"input_tokens": 1}})


def whole_reply(*content: Any, reason: str = "end_turn", **fields: Any) -> Reply:
    return reply(json={"id": "m", "model": "claude", "content": content, "stop_reason": reason, **fields})


def streamed_reply(*content: dict[str, Any], reason: str = "end_turn", **fields: Any) -> Reply:
    """Return a stream with these blocks. ``fields`` are of the message's last delta."""
    events = [piece for n, block in enumerate(content) for piece in block_events(n, block, lambda text: [text])]
    delta = event("message_delta", delta={"stop_reason": reason, **fields}, usage={"output_tokens": 2})
    return reply([START, *events, delta, event("message_stop")])


def chat(script: Reply) -> tako.ChatResponse:
    with serve(script) as server:
        return Anthropic(MODEL, api_key="k-123", base_url=server.url).blocking.chat("Hi")


def stream(script: Reply) -> tako.ChatResponse:
    with serve(script) as server:
        return Anthropic(MODEL, api_key="k-123", base_url=server.url).blocking.stream("Hi").response()


def encoded_turn(parts: list[Part], model: str = MODEL, **options: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a turn of the model as it would be sent, and the codes of the notices."""
    provider = Anthropic(model, api_key="sk-ant-123", **options)
    results = [Message.tool(part.id, "1") for part in parts if isinstance(part, ToolCallPart)]
    history = [Message.user("?"), Message.assistant(parts), *results, Message.user("!")]
    exchange = asyncio.run(prepare(provider, tako_translator(), ChatRequest(history), False))
    turns = [turn["content"] for turn in exchange.body["messages"] if turn["role"] == "assistant"]
    codes = [notice.code for notice in exchange.notices if notice.code != "added_tools"]
    return [{"text": turns[0]}] if turns and isinstance(turns[0], str) else turns[0] if turns else [], codes


@pytest.mark.parametrize(
    ("fields", "citation"),
    [
        (
            {"type": "char_location", "cited_text": "Grass", "document_index": 2, "document_title": "Colours"},
            Citation(title="Colours", text="Grass", source="2"),
        ),
        (
            {"type": "page_location", "cited_text": "x", "document_index": 0, "file_id": "file_1"},
            Citation(text="x", source="file_1"),
        ),
        (
            {"type": "search_result_location", "cited_text": "k", "source": "https://e.org/kb", "title": "Keys"},
            Citation("https://e.org/kb", "Keys", "k"),
        ),
        ({"type": "search_result_location", "cited_text": "k", "source": "kb/7"}, Citation(text="k", source="kb/7")),
        (
            {"type": "web_search_result_location", "cited_text": "w", "url": "https://e.org", "encrypted_index": "Eo"},
            Citation("https://e.org", "", "w"),
        ),
    ],
)
def test_citations_are_values_and_go_back_as_the_vendor_sent_them(fields: dict[str, Any], citation: Citation) -> None:
    block = {"type": "text", "text": "So it is.", "citations": [fields]}
    for response in (chat(whole_reply(block)), stream(streamed_reply(block))):
        assert response.citations == [citation]
        state = response.message.parts[0].state
        assert state is not None
        assert state.data == {"citations": [fields]}
        encoded, notices = encoded_turn(
            [TextPart("So it is.", [citation], state=State(Origin("anthropic"), state.data))]
        )
        accepted_fields = {
            name: value for name, value in fields.items() if name != "file_id"
        }  # a request may not have that
        assert (encoded, notices) == ([{**block, "citations": [accepted_fields]}], [])


def test_a_file_id_in_a_citation_of_a_tool_result_is_left_out_too() -> None:
    text = {"type": "text", "text": "x", "citations": [{"type": "char_location", "file_id": "file_1"}]}
    block = {"type": "mcp_tool_result", "tool_use_id": "t", "content": [text], "citations": None}
    encoded, _ = encoded_turn([ContentPart.vendor("anthropic", block)])
    cleaned = {"type": "text", "text": "x", "citations": [{"type": "char_location"}]}
    assert encoded == [{"type": "mcp_tool_result", "tool_use_id": "t", "content": [cleaned]}]


@pytest.mark.parametrize(("reason", "category"), [("refusal", "cyber"), ("refusal", None)])
def test_a_refusal_has_a_notice_with_the_reason(reason: str, category: str | None) -> None:
    details = {"type": "refusal", "category": category, "explanation": "It asks for malware."}
    text = {"type": "text", "text": "I can't."}
    for response in (
        chat(whole_reply(text, reason=reason, stop_details=details)),
        stream(streamed_reply(text, reason=reason, stop_details=details)),
    ):
        assert (response.finish_reason, response.finish_word) == (FinishReason.CONTENT_FILTER, "refusal")
        assert response.refusal == "I can't."
        (notice,) = response.notices
        assert notice.code == "blocked"
        assert (category or "malware") in notice.message
        assert response.raw["stop_details"] == details


def test_raw_of_a_stream_has_the_fields_of_a_whole_reply() -> None:
    transformations = [{"type": "thinking_dropped", "path": "messages.3.content.0"}]
    delta = event(
        "message_delta",
        delta={"stop_reason": "end_turn", "container": CONTAINER},
        input_transformations=transformations,
    )
    response = stream(reply([START, delta, event("message_stop", metrics={"ms": 7})]))
    assert response.raw["container"] == CONTAINER
    assert response.raw["input_transformations"] == transformations
    assert response.raw["metrics"] == {"ms": 7}
    assert [notice.code for notice in response.notices] == ["empty_reply"]


def test_fields_of_a_new_kind_of_delta_are_the_blocks() -> None:
    block = {"type": "text", "text": ""}
    deltas = [
        {"type": "text_delta", "text": "A text"},
        {"type": "echo_delta", "echo": "ec", "marks": [1], "level": 1},
        {"type": "echo_delta", "echo": "ho", "marks": [2], "level": 2, "none": None},
        {"type": "text_delta", "text": "."},
    ]
    delta_events = [event("content_block_delta", index=0, delta=delta) for delta in deltas]
    start, stop = event("content_block_start", index=0, content_block=block), event("content_block_stop", index=0)
    last_events = [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    response = stream(reply([START, start, *delta_events, stop, *last_events]))
    assert response.text == "A text."
    state = response.message.parts[0].state
    assert state is not None
    assert state.data == {"echo": "echo", "marks": [1, 2], "level": 2}


@pytest.mark.parametrize(
    "odd",
    [
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "", "mood": "glad"}),
        event("content_block_delta", index=9, delta={"type": "input_json_delta", "partial_json": "{}"}),
        event("content_block_delta", index=9, delta={"type": "echo_delta", "echo": "x"}),
        event("content_block_delta", index=0, delta={"type": "sparkle_delta", "text": {"not": "text"}}),
        event("aurora", colour="green"),
        b"event: aurora\ndata: green\n\n",
        event("message_stop", id="another").replace(b"event: message_stop", b"event: ping", 1) + event("x", a=1),
    ],
)
def test_what_cannot_be_kept_of_a_stream_is_noted_once(odd: bytes) -> None:
    start = event("content_block_start", index=0, content_block={"type": "text", "text": "Hi"})
    end = [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    response = stream(reply([START, start, odd, odd, event("content_block_stop", index=0), *end]))
    assert response.text == "Hi"
    assert [notice.code for notice in response.notices] == ["lost_part"]


def test_a_block_that_is_no_object_is_noted() -> None:
    response = chat(whole_reply("text", {}, {"type": "text", "text": "Hi"}))
    assert response.message.parts == [TextPart("Hi")]
    assert [notice.code for notice in response.notices] == ["lost_part"]


def test_estimated_token_counts_cause_no_notice() -> None:
    start = event("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""})
    delta = event(
        "content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hm", "estimated_tokens": 4}
    )
    last_events = [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    response = stream(reply([START, start, delta, *last_events]))
    assert (response.reasoning, response.notices) == ("Hm", [])


def test_neighbouring_texts_are_separate_parts() -> None:
    blocks = [{"type": "text", "text": text} for text in ("One.", "Two.", "Three.")]
    for response in (chat(whole_reply(*blocks)), stream(streamed_reply(*blocks))):
        assert response.message.parts == [TextPart("One."), TextPart("Two."), TextPart("Three.")]


def test_a_fallback_renames_the_model() -> None:
    fallback = {"type": "fallback", "from": {"model": "claude"}, "to": {"model": "claude-opus-5"}}
    assert stream(streamed_reply({"type": "text", "text": "A"}, fallback)).model == "claude-opus-5"


def test_a_delta_of_another_kind_begins_a_new_block() -> None:
    """Some servers open every block as text, or open none."""
    deltas = [
        {"type": "thinking_delta", "thinking": "Hm."},
        {"type": "text_delta", "text": "Yes"},
        {"type": "text_delta", "text": "."},
    ]
    delta_events = [event("content_block_delta", index=0, delta=delta) for delta in deltas]
    last_events = [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    text_start = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for start in ([], [text_start]):
        response = stream(reply([START, *start, *delta_events, *last_events]))
        assert [type(part) for part in response.message.parts] == [ReasoningPart, TextPart]
        assert (response.reasoning, response.text) == ("Hm.", "Yes.")


def test_a_negative_index_is_accepted() -> None:
    delta = event("content_block_delta", index=-1, delta={"type": "text_delta", "text": "Hi"})
    end = [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    for _ in range(2):
        assert stream(reply([START, delta, *end])).message.parts == [TextPart("Hi")]


OTHER = Origin("anthropic", "MiniMax-M3", "https://api.minimax.example")


@pytest.mark.parametrize(
    ("origin", "model", "is_sent"),
    [
        (Origin("anthropic", MODEL, SERVER), MODEL, True),
        (Origin("anthropic", "claude-fable-5-2", SERVER), MODEL, True),
        (Origin("anthropic", MODEL, SERVER), "claude-haiku-4-5", True),
        (Origin("anthropic"), MODEL, True),
        (Origin("anthropic", MODEL, "https://gateway.example"), MODEL, False),
        (OTHER, MODEL, False),
        (Origin("anthropic", "MiniMax-M3", SERVER), MODEL, False),
        (Origin("bedrock", MODEL, SERVER), MODEL, False),
    ],
)
def test_state_only_goes_back_to_a_claude_on_the_same_server(origin: Origin, model: str, is_sent: bool) -> None:
    reasoning = ReasoningPart("Hm", State(origin, {"signature": "s"}))
    search = VendorPart("server_tool_use", State(origin, {"type": "server_tool_use", "id": "s"}))
    call = ToolCallPart("c1", "f", {}, State(origin, {"caller": {"type": "direct"}}))
    encoded, notices = encoded_turn([reasoning, search, call], model)
    encoded_call = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
    if is_sent:
        thinking = {"type": "thinking", "thinking": "Hm", "signature": "s"}
        assert encoded == [
            thinking,
            {"type": "server_tool_use", "id": "s"},
            {**encoded_call, "caller": {"type": "direct"}},
        ]
    else:
        assert encoded == [encoded_call]
    assert notices == ([] if is_sent else ["foreign_state"] * 3)


def test_foreign_state_of_an_empty_text_is_left_out_with_one_notice() -> None:
    signed = TextPart("", state=State(Origin("vertex"), {"thoughtSignature": "s"}))
    assert encoded_turn([TextPart("Yes"), signed]) == ([{"text": "Yes"}], ["foreign_state"])


def test_empty_reasoning_is_not_a_part_and_is_not_sent() -> None:
    empty = {"type": "thinking", "thinking": ""}
    assert chat(whole_reply(empty, {"type": "text", "text": "Hi"})).message.parts == [TextPart("Hi")]
    assert encoded_turn([ReasoningPart("", State(OTHER)), TextPart("Yes")], OTHER.model, base_url=OTHER.server) == (
        [{"text": "Yes"}],
        ["empty_text"],
    )


def test_another_vendors_server_gets_its_reasoning_back_also_at_the_end_of_a_turn() -> None:
    reasoning = ReasoningPart("Hm", State(OTHER))
    assert encoded_turn([reasoning], OTHER.model, base_url=OTHER.server) == (
        [{"type": "thinking", "thinking": "Hm"}],
        [],
    )


def test_incomplete_thinking_does_not_go_back_to_anthropic() -> None:
    incomplete = ReasoningPart("Hm", State(Origin("anthropic", MODEL, SERVER), {"signature": ""}))
    assert encoded_turn([incomplete, TextPart("Yes")]) == ([{"text": "Yes"}], ["unsupported_part"])


@pytest.mark.parametrize("id", ["functions.weather:0", "call|1", "ü", "x" * 300])
def test_an_id_goes_back_unchanged_to_the_server_that_made_it(id: str) -> None:
    call = {"type": "tool_use", "id": id, "name": "f", "input": {}}
    for script in (whole_reply(call, reason="tool_use"), streamed_reply(call, reason="tool_use")):
        with serve(script, whole_reply()) as server:
            provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
            response = provider.blocking.stream("Hi").response()
            provider.blocking.chat([Message.user("Hi"), response.message, Message.tool(id, "1")])
            assert server.requests[-1].json["messages"][1]["content"] == [call]
            assert server.requests[-1].json["messages"][2]["content"][0]["tool_use_id"] == id
        encoded, _ = encoded_turn(response.message.parts)  # to another server
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,256}", encoded[0]["id"])


def test_a_result_has_the_toolset_of_its_call() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "left_click", "input": {}, "toolset_name": "computer"}
    with serve(whole_reply(call, reason="tool_use"), whole_reply()) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
        response = provider.blocking.chat("Hi")
        provider.blocking.chat([Message.user("Hi"), response.message, Message.tool("toolu_1", "done")])
        turns = server.requests[-1].json["messages"]
    assert turns[1]["content"] == [call]
    assert turns[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done", "toolset_name": "computer"}
    ]


def test_a_paused_text_goes_back_with_its_white_space() -> None:
    text = {"type": "text", "text": "I search. "}
    for script in (whole_reply(text, reason="pause_turn"), streamed_reply(text, reason="pause_turn")):
        with serve(script, whole_reply()) as server:
            provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
            paused = provider.blocking.stream("Hi").response()
            assert paused.finish_reason is FinishReason.PAUSE
            response = provider.blocking.chat([Message.user("Hi"), paused.message])
            assert server.requests[-1].json["messages"][1] == {"role": "assistant", "content": "I search. "}
            assert [notice.code for notice in response.notices] == ["empty_reply"]
    encoded, notices = encoded_turn([TextPart("I search. ")])
    assert (encoded, notices) == ([{"text": "I search. "}], [])


def test_a_conversation_may_begin_with_its_compaction() -> None:
    block = {"type": "compaction", "content": "So far.", "signature": "Eq"}
    provider = Anthropic(MODEL, api_key="sk-ant-123")
    history = [Message.assistant([ContentPart.vendor("anthropic", block), TextPart("Next?")]), Message.user("Go on")]
    exchange = asyncio.run(prepare(provider, tako_translator(), ChatRequest(history), False))
    assert exchange.body["messages"][0] == {"role": "assistant", "content": [block, {"type": "text", "text": "Next?"}]}
    assert exchange.notices == []


def test_a_vendor_part_may_be_in_a_user_message_and_in_a_result() -> None:
    document = {"type": "search_result", "source": "kb", "title": "T", "content": [{"type": "text", "text": "x"}]}
    part = ContentPart.vendor("anthropic", document)
    foreign = ContentPart.vendor("openai", {"type": "input_file"})
    provider = Anthropic(MODEL, api_key="sk-ant-123")
    call = Message.assistant([ToolCallPart("c", "f", {})])
    history = [Message.user([part, foreign]), call, Message.tool("c", [part])]
    exchange = asyncio.run(prepare(provider, tako_translator(), ChatRequest(history), False))
    assert exchange.body["messages"][0]["content"] == [document]
    assert exchange.body["messages"][2]["content"][0]["content"] == [document]
    assert [notice.code for notice in exchange.notices] == ["foreign_state", "added_tools"]


def test_extra_of_a_part_is_merged_into_its_block() -> None:
    part = TextPart("x", extra={"cache_control": {"type": "ephemeral", "ttl": "1h"}})
    encoded, _ = encoded_turn([part])
    assert encoded == [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]


@pytest.mark.parametrize("ending", ["end", "cut"])
@pytest.mark.parametrize("reason", ["end_turn", None])
@pytest.mark.parametrize("require_finish", [True, False])
def test_a_stream_without_message_stop_is_accepted_with_require_finish_false(
    ending: Any, reason: Any, require_finish: bool
) -> None:
    block = block_events(0, {"type": "text", "text": "Hi"}, lambda text: [text])
    script = reply([START, *block, event("message_delta", delta={"stop_reason": reason})], ending=ending)
    with serve(script) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url, require_finish=require_finish, max_retries=0)
        if require_finish or ending == "cut" or reason is None:
            with pytest.raises(tako.errors.StreamTruncatedError) as caught:
                provider.blocking.stream("Hi").response()
            assert caught.value.partial is not None
            assert caught.value.partial.text == "Hi"
        else:
            response = provider.blocking.stream("Hi").response()
            assert (response.text, response.finish_word) == ("Hi", "end_turn")
