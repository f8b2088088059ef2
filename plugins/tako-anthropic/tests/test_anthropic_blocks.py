"""What becomes of single blocks, deltas and facts of a reply, and to whom they go back."""

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


def whole(*content: Any, reason: str = "end_turn", **fields: Any) -> Reply:
    return reply(json={"id": "m", "model": "claude", "content": content, "stop_reason": reason, **fields})


def events(*content: dict[str, Any], reason: str = "end_turn", **fields: Any) -> Reply:
    """Stream these blocks; ``fields`` are of the last delta of the message."""
    made = [piece for n, block in enumerate(content) for piece in block_events(n, block, lambda text: [text])]
    delta = event("message_delta", delta={"stop_reason": reason, **fields}, usage={"output_tokens": 2})
    return reply([START, *made, delta, event("message_stop")])


def chat(script: Reply) -> tako.ChatResponse:
    with serve(script) as server:
        return Anthropic(MODEL, api_key="k-123", base_url=server.url).blocking.chat("Hi")


def stream(script: Reply) -> tako.ChatResponse:
    with serve(script) as server:
        return Anthropic(MODEL, api_key="k-123", base_url=server.url).blocking.stream("Hi").response()


def sent(parts: list[Part], model: str = MODEL, **options: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a turn of the model's as it would go out, and the codes of the notices."""
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
def test_citations_are_values_and_go_back_in_the_vendors_shape(fields: dict[str, Any], citation: Citation) -> None:
    block = {"type": "text", "text": "So it is.", "citations": [fields]}
    for response in (chat(whole(block)), stream(events(block))):
        assert response.citations == [citation]
        state = response.message.parts[0].state
        assert state is not None
        assert state.data == {"citations": [fields]}
        back, notices = sent([TextPart("So it is.", [citation], state=State(Origin("anthropic"), state.data))])
        taken = {name: value for name, value in fields.items() if name != "file_id"}  # which no input type has
        assert (back, notices) == ([{**block, "citations": [taken]}], [])


def test_a_file_id_in_a_citation_of_a_tools_result_stays_behind_too() -> None:
    text = {"type": "text", "text": "x", "citations": [{"type": "char_location", "file_id": "file_1"}]}
    block = {"type": "mcp_tool_result", "tool_use_id": "t", "content": [text], "citations": None}
    back, _ = sent([ContentPart.vendor("anthropic", block)])
    cleaned = {"type": "text", "text": "x", "citations": [{"type": "char_location"}]}
    assert back == [{"type": "mcp_tool_result", "tool_use_id": "t", "content": [cleaned]}]


@pytest.mark.parametrize(("reason", "category"), [("refusal", "cyber"), ("refusal", None)])
def test_a_refusal_says_why(reason: str, category: str | None) -> None:
    details = {"type": "refusal", "category": category, "explanation": "It asks for malware."}
    text = {"type": "text", "text": "I can't."}
    for response in (
        chat(whole(text, reason=reason, stop_details=details)),
        stream(events(text, reason=reason, stop_details=details)),
    ):
        assert (response.finish_reason, response.finish_word) == (FinishReason.CONTENT_FILTER, "refusal")
        assert response.refusal == "I can't."
        (notice,) = response.notices
        assert notice.code == "blocked"
        assert (category or "malware") in notice.message
        assert response.raw["stop_details"] == details


def test_raw_of_a_stream_has_what_only_raw_of_the_whole_reply_has() -> None:
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


def test_what_a_new_kind_of_delta_brings_is_the_blocks() -> None:
    block = {"type": "text", "text": ""}
    deltas = [
        {"type": "text_delta", "text": "A text"},
        {"type": "echo_delta", "echo": "ec", "marks": [1], "level": 1},
        {"type": "echo_delta", "echo": "ho", "marks": [2], "level": 2, "none": None},
        {"type": "text_delta", "text": "."},
    ]
    made = [event("content_block_delta", index=0, delta=delta) for delta in deltas]
    start, stop = event("content_block_start", index=0, content_block=block), event("content_block_stop", index=0)
    end = [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    response = stream(reply([START, start, *made, stop, *end]))
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
    response = chat(whole("text", {}, {"type": "text", "text": "Hi"}))
    assert response.message.parts == [TextPart("Hi")]
    assert [notice.code for notice in response.notices] == ["lost_part"]


def test_hints_for_a_progress_bar_are_no_loss() -> None:
    start = event("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""})
    piece = event(
        "content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hm", "estimated_tokens": 4}
    )
    end = [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    response = stream(reply([START, start, piece, *end]))
    assert (response.reasoning, response.notices) == ("Hm", [])


def test_neighbouring_texts_stay_apart() -> None:
    texts = [{"type": "text", "text": words} for words in ("One.", "Two.", "Three.")]
    for response in (chat(whole(*texts)), stream(events(*texts))):
        assert response.message.parts == [TextPart("One."), TextPart("Two."), TextPart("Three.")]


def test_a_fallback_renames_the_model() -> None:
    fallback = {"type": "fallback", "from": {"model": "claude"}, "to": {"model": "claude-opus-5"}}
    assert stream(events({"type": "text", "text": "A"}, fallback)).model == "claude-opus-5"


def test_pieces_of_the_other_kind_begin_a_block_of_their_own() -> None:
    """As servers send them that open every block as text, or none."""
    deltas = [
        {"type": "thinking_delta", "thinking": "Hm."},
        {"type": "text_delta", "text": "Yes"},
        {"type": "text_delta", "text": "."},
    ]
    made = [event("content_block_delta", index=0, delta=delta) for delta in deltas]
    end = [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    opened = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for start in ([], [opened]):
        response = stream(reply([START, *start, *made, *end]))
        assert [type(part) for part in response.message.parts] == [ReasoningPart, TextPart]
        assert (response.reasoning, response.text) == ("Hm.", "Yes.")


def test_a_place_below_zero_is_a_place_like_any_other() -> None:
    delta = event("content_block_delta", index=-1, delta={"type": "text_delta", "text": "Hi"})
    end = [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    for _ in range(2):
        assert stream(reply([START, delta, *end])).message.parts == [TextPart("Hi")]


OTHER = Origin("anthropic", "MiniMax-M3", "https://api.minimax.example")


@pytest.mark.parametrize(
    ("origin", "model", "goes"),
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
def test_state_goes_back_to_claude_at_the_same_server_alone(origin: Origin, model: str, goes: bool) -> None:
    thought = ReasoningPart("Hm", State(origin, {"signature": "s"}))
    searched = VendorPart("server_tool_use", State(origin, {"type": "server_tool_use", "id": "s"}))
    call = ToolCallPart("c1", "f", {}, State(origin, {"caller": {"type": "direct"}}))
    back, notices = sent([thought, searched, call], model)
    called = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
    if goes:
        full = {"type": "thinking", "thinking": "Hm", "signature": "s"}
        assert back == [full, {"type": "server_tool_use", "id": "s"}, {**called, "caller": {"type": "direct"}}]
    else:
        assert back == [called]
    assert notices == ([] if goes else ["foreign_state"] * 3)


def test_state_of_an_empty_text_stays_behind_with_one_notice() -> None:
    signed = TextPart("", state=State(Origin("vertex"), {"thoughtSignature": "s"}))
    assert sent([TextPart("Yes"), signed]) == ([{"text": "Yes"}], ["foreign_state"])


def test_reasoning_that_holds_nothing_is_no_part_and_does_not_go_out() -> None:
    empty = {"type": "thinking", "thinking": ""}
    assert chat(whole(empty, {"type": "text", "text": "Hi"})).message.parts == [TextPart("Hi")]
    assert sent([ReasoningPart("", State(OTHER)), TextPart("Yes")], OTHER.model, base_url=OTHER.server) == (
        [{"text": "Yes"}],
        ["empty_text"],
    )


def test_a_server_of_another_kind_gets_its_own_back_whatever_it_ends_with() -> None:
    thought = ReasoningPart("Hm", State(OTHER))
    assert sent([thought], OTHER.model, base_url=OTHER.server) == ([{"type": "thinking", "thinking": "Hm"}], [])


def test_thinking_that_was_cut_does_not_go_back_to_anthropic() -> None:
    cut = ReasoningPart("Hm", State(Origin("anthropic", MODEL, SERVER), {"signature": ""}))
    assert sent([cut, TextPart("Yes")]) == ([{"text": "Yes"}], ["unsupported_part"])


@pytest.mark.parametrize("id", ["functions.weather:0", "call|1", "ü", "x" * 300])
def test_an_id_goes_back_to_the_server_that_minted_it_as_it_is(id: str) -> None:
    call = {"type": "tool_use", "id": id, "name": "f", "input": {}}
    for script in (whole(call, reason="tool_use"), events(call, reason="tool_use")):
        with serve(script, whole()) as server:
            provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
            response = provider.blocking.stream("Hi").response()
            provider.blocking.chat([Message.user("Hi"), response.message, Message.tool(id, "1")])
            assert server.requests[-1].json["messages"][1]["content"] == [call]
            assert server.requests[-1].json["messages"][2]["content"][0]["tool_use_id"] == id
        back, _ = sent(response.message.parts)  # to another server
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,256}", back[0]["id"])


def test_a_result_names_the_toolset_of_its_call() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "left_click", "input": {}, "toolset_name": "computer"}
    with serve(whole(call, reason="tool_use"), whole()) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
        response = provider.blocking.chat("Hi")
        provider.blocking.chat([Message.user("Hi"), response.message, Message.tool("toolu_1", "done")])
        turns = server.requests[-1].json["messages"]
    assert turns[1]["content"] == [call]
    assert turns[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done", "toolset_name": "computer"}
    ]


def test_a_paused_text_goes_back_with_its_white_space_and_a_beginning_by_the_caller_does_not() -> None:
    text = {"type": "text", "text": "I search. "}
    for script in (whole(text, reason="pause_turn"), events(text, reason="pause_turn")):
        with serve(script, whole()) as server:
            provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
            paused = provider.blocking.stream("Hi").response()
            assert paused.finish_reason is FinishReason.PAUSE
            again = provider.blocking.chat([Message.user("Hi"), paused.message])
            assert server.requests[-1].json["messages"][1] == {"role": "assistant", "content": "I search. "}
            assert [notice.code for notice in again.notices] == ["empty_reply"]
    back, notices = sent([TextPart("I search. ")])
    assert (back, notices) == ([{"text": "I search. "}], [])


def test_a_conversation_may_begin_with_its_compaction() -> None:
    block = {"type": "compaction", "content": "So far.", "signature": "Eq"}
    provider = Anthropic(MODEL, api_key="sk-ant-123")
    history = [Message.assistant([ContentPart.vendor("anthropic", block), TextPart("Next?")]), Message.user("Go on")]
    exchange = asyncio.run(prepare(provider, tako_translator(), ChatRequest(history), False))
    assert exchange.body["messages"][0] == {"role": "assistant", "content": [block, {"type": "text", "text": "Next?"}]}
    assert exchange.notices == []


def test_a_block_in_the_vendors_shape_may_stand_in_the_users_turn_and_in_a_result() -> None:
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
    back, _ = sent([part])
    assert back == [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]


@pytest.mark.parametrize("ending", ["end", "cut"])
@pytest.mark.parametrize("reason", ["end_turn", None])
@pytest.mark.parametrize("required", [True, False])
def test_a_server_that_leaves_out_message_stop_is_read_if_you_say_so(ending: Any, reason: Any, required: bool) -> None:
    block = block_events(0, {"type": "text", "text": "Hi"}, lambda text: [text])
    script = reply([START, *block, event("message_delta", delta={"stop_reason": reason})], ending=ending)
    with serve(script) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url, require_finish=required, max_retries=0)
        if required or ending == "cut" or reason is None:
            with pytest.raises(tako.errors.StreamTruncatedError) as caught:
                provider.blocking.stream("Hi").response()
            assert caught.value.partial is not None
            assert caught.value.partial.text == "Hi"
        else:
            response = provider.blocking.stream("Hi").response()
            assert (response.text, response.finish_word) == ("Hi", "end_turn")
