"""Chunks to a reply and back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tako.fold import chunks_of, fold, join_deltas
from tako.parts import Citation, ImagePart, Part, ReasoningPart, TextPart, ToolCallPart, VendorPart
from tako.state import BLOCK_END, Origin, State
from tako.types import ChatResponse, Chunk, Cost, Delta, End, FinishReason, Message, Notice, ToolCallDelta, Usage

some_text = st.text(min_size=1, max_size=8)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(st.text(max_size=4), json_value, max_size=3)
origins = st.builds(Origin, some_text, some_text, some_text)
states = st.none() | st.builds(State, origins, st.dictionaries(some_text, json_value, max_size=2))
extras = st.just({}) | st.dictionaries(some_text, json_value, min_size=1, max_size=2)
citations = st.lists(st.builds(Citation, some_text, some_text, some_text, st.none() | st.integers(0, 9)), max_size=2)
texts = st.builds(TextPart, st.text(max_size=8), citations, st.booleans(), states, extras, st.booleans())
thoughts = st.builds(ReasoningPart, st.text(max_size=8), states, extras)
calls = st.builds(ToolCallPart, st.text(max_size=3), some_text, arguments | json_value, states, extras)
blocks = st.builds(VendorPart, some_text, st.builds(State, origins, arguments))
images = st.builds(ImagePart, some_text, some_text)
parts = st.lists(texts | thoughts | calls | blocks | images, max_size=6)


responses = st.builds(
    lambda parts, reason, usage, notices: ChatResponse(
        Message.assistant(parts),
        reason,
        usage,
        "some-model",
        "id-1",
        "acme:some-model",
        "done",
        notices,
        {"raw": True},
        Cost(Decimal(1)),
    ),
    parts,
    st.sampled_from(FinishReason),
    st.builds(Usage, *[st.integers(0, 100)] * 5),
    st.lists(st.builds(Notice, some_text, some_text), max_size=2),
)


@given(responses)
def test_a_reply_taken_apart_folds_back_into_itself(response: ChatResponse) -> None:
    assert fold(chunks_of(response), "acme", "other-model") == response


def test_pieces_of_one_kind_are_joined_and_nothing_else() -> None:
    assert join_deltas([Delta("a"), Delta(""), Delta("b")]) == [Delta("ab")]
    assert join_deltas([Delta(reasoning="a"), Delta(reasoning="b")]) == [Delta(reasoning="ab")]
    arguments = [Delta(tool_calls=[ToolCallDelta(1, None, None, text)]) for text in ("a", "b", "ab")]
    assert join_deltas(arguments[:2]) == arguments[2:]
    others: list[list[Chunk]] = [
        [Delta("a"), Delta(reasoning="b")],
        [Delta("a"), Delta("b", state=BLOCK_END)],
        [Delta("a"), Delta("b", refusal=True)],
        [Delta("a"), Delta(tool_calls=[ToolCallDelta(0, "1", "f", "")])],
        [Delta(tool_calls=[ToolCallDelta(index, None, None, "a")]) for index in (0, 1)],
        [Delta(tool_calls=[ToolCallDelta(0, None, None, "a"), ToolCallDelta(0, None, None, "b")])],
        [Delta(tool_calls=[ToolCallDelta(0, None, None, "a")]), Delta("b")],
        [Delta("a"), End()],
    ]
    for chunks in others:
        assert join_deltas(chunks) == chunks


@given(responses)
def test_a_reply_taken_apart_is_deltas_and_one_end(response: ChatResponse) -> None:
    *deltas, end = chunks_of(response)
    assert all(isinstance(delta, Delta) for delta in deltas)
    assert isinstance(end, End)


def test_a_plain_reply_is_one_delta() -> None:
    parts: list[Part] = [
        ReasoningPart("hm"),
        TextPart("yes"),
        ToolCallPart("1", "f", {}),
        ToolCallPart("2", "g", {}),
    ]
    assert len(chunks_of(ChatResponse(Message.assistant(parts)))) == 2


@given(st.lists(some_text, min_size=1, max_size=6), st.data())
def test_however_a_call_is_cut_its_fragments_fold_to_the_same(names: list[str], data: Any) -> None:
    wire: list[Delta] = []
    for index, name in enumerate(names):
        text = f'{{"name": "{index}"}}'
        cut = data.draw(st.integers(0, len(text)))
        wire.append(Delta(tool_calls=[ToolCallDelta(index, f"id{index}", name, text[:cut])]))
        wire.append(Delta(tool_calls=[ToolCallDelta(index, None, None, text[cut:])]))
    tool_calls = fold([*wire, End()], "acme", "m").tool_calls
    assert tool_calls == [ToolCallPart(f"id{i}", name, {"name": str(i)}) for i, name in enumerate(names)]


def test_interleaved_fragments_belong_to_their_index() -> None:
    def piece(index: int, text: str, id: str | None = None, name: str | None = None) -> Delta:
        return Delta(tool_calls=[ToolCallDelta(index, id, name, text)])

    chunks = [piece(0, "{", "a", "f"), piece(1, '{"x"', "b", "g"), piece(0, "}"), piece(1, ":1}"), End()]
    assert fold(chunks, "acme", "m").tool_calls == [ToolCallPart("a", "f", {}), ToolCallPart("b", "g", {"x": 1})]


def test_arguments_that_are_no_json_stay_text_and_are_never_repaired() -> None:
    chunks = [Delta(tool_calls=[ToolCallDelta(0, "a", "f", '{"x": 1')]), End(FinishReason.LENGTH)]
    assert fold(chunks, "acme", "m").tool_calls == [ToolCallPart("a", "f", '{"x": 1')]


def test_a_partial_reply_has_the_calls_that_are_whole_alone() -> None:
    def call(index: int, text: str) -> Delta:
        return Delta(tool_calls=[ToolCallDelta(index, f"id{index}", "f", text)])

    partial = fold([Delta("so far"), call(0, '{"a": 1}'), call(1, '{"b"'), call(2, ""), call(3, "12")], "acme", "m")
    assert partial.message.parts == [TextPart("so far"), ToolCallPart("id0", "f", {"a": 1})]
    assert partial.finish_reason is FinishReason.ERROR


def test_state_ends_the_part_it_belongs_to() -> None:
    signed, sealed = State(Origin("acme"), {"signature": "s1"}), State(Origin("acme"), {"k": 1})
    chunks = [
        Delta(reasoning="a"),
        Delta(state=signed),
        Delta(reasoning="b"),
        Delta(text="t"),
        Delta(citations=(Citation("https://example.com"),)),
        Delta(state=BLOCK_END),
        Delta(text="u"),
        Delta(part=VendorPart("k", sealed)),
        Delta(text="v"),
        Delta(part=TextPart("w")),
        Delta(state=sealed),
        End(),
    ]
    assert fold(chunks).message.parts == [
        ReasoningPart("a", signed),
        ReasoningPart("b"),
        TextPart("t", [Citation("https://example.com")]),
        TextPart("u"),
        VendorPart("k", sealed),
        TextPart("v"),
        TextPart("w"),
        ReasoningPart("", sealed),
    ]


def test_a_refusal_is_a_text_of_its_own() -> None:
    chunks = [Delta("Here is one half."), Delta("Not the other.", refusal=True), End()]
    assert fold(chunks).message.parts == [TextPart("Here is one half."), TextPart("Not the other.", refusal=True)]
    assert fold(chunks).refusal == "Not the other."


def test_nothing_folds_to_an_empty_reply() -> None:
    assert fold([End()], "acme:m", "m") == ChatResponse(Message.assistant([]), model="m", provider="acme:m")
