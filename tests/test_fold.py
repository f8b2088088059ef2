"""Chunks to a reply and back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tako.fold import chunks_of, fold
from tako.parts import Part, ReasoningPart, TextPart, ToolCallPart
from tako.types import ChatResponse, Delta, End, FinishReason, Message, Notice, ToolCallDelta, Usage

some_text = st.text(min_size=1, max_size=8)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(st.text(max_size=4), json_value, max_size=3)
signatures = st.none() | some_text


def owned(signature: str | None) -> str | None:
    return "acme" if signature is not None else None


texts = st.builds(lambda text, signature: TextPart(text, signature, owned(signature)), some_text, signatures)
thoughts = st.builds(
    lambda text, signature, data: ReasoningPart(text, signature, "acme", data),
    some_text,
    signatures,
    st.none() | arguments,
)
calls = st.builds(
    lambda name, args, signature: ToolCallPart("", name, args, signature, owned(signature)),
    some_text,
    arguments,
    signatures,
)


def foldable(parts: list[Any]) -> list[Part]:
    """Give calls their ids, and leave out what a stream cannot tell from its neighbour: two open runs of one kind."""
    kept: list[Any] = []
    for part in parts:
        last = kept[-1] if kept else None
        is_open = (
            isinstance(last, TextPart | ReasoningPart)
            and last.signature is None
            and getattr(last, "data", None) is None
        )
        if is_open and type(part) is type(last):
            continue
        kept.append(
            ToolCallPart(f"call_{len(kept)}", part.name, part.args, part.signature, part.provider)
            if isinstance(part, ToolCallPart)
            else part
        )
    return kept


responses = st.builds(
    lambda parts, reason, usage, notices: ChatResponse(
        Message.assistant(foldable(parts)), reason, usage, "some-model", "id-1", notices, {"raw": True}
    ),
    st.lists(texts | thoughts | calls, max_size=6),
    st.sampled_from(FinishReason),
    st.builds(Usage, *[st.integers(0, 100)] * 5),
    st.lists(st.builds(Notice, some_text, some_text), max_size=2),
)


@given(responses)
def test_a_reply_taken_apart_folds_back_into_itself(response: ChatResponse) -> None:
    assert fold(chunks_of(response), "acme", "other-model") == response


@given(responses)
def test_a_reply_taken_apart_is_deltas_and_one_end(response: ChatResponse) -> None:
    *deltas, end = chunks_of(response)
    assert all(isinstance(delta, Delta) for delta in deltas)
    assert isinstance(end, End)


def test_a_plain_reply_is_one_delta() -> None:
    parts: list[Part] = [
        ReasoningPart("hm", provider="acme"),
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
    made = fold([*wire, End()], "acme", "m").tool_calls
    assert made == [ToolCallPart(f"id{i}", name, {"name": str(i)}) for i, name in enumerate(names)]


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


def test_opaque_state_closes_the_part_it_belongs_to() -> None:
    chunks = [
        Delta(reasoning="a"),
        Delta(signature="s1"),
        Delta(reasoning="b"),
        Delta(text="t"),
        Delta(data={"k": 1}),
        End(),
    ]
    assert fold(chunks, "acme", "m").message.parts == [
        ReasoningPart("a", "s1", "acme"),
        ReasoningPart("b", None, "acme"),
        TextPart("t"),
        ReasoningPart("", None, "acme", {"k": 1}),
    ]


def test_nothing_folds_to_an_empty_reply() -> None:
    assert fold([End()], "acme", "m") == ChatResponse(Message.assistant([]), model="m")
