"""Nearly all chunks are read in a quick way, which must come to the same as the slow one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tako import ChatRequest, Delta, Message
from tako.kit.completions import CompletionsDecoder
from tako.kit.completions.provider import tako_translator
from tako.kit.exchange import Exchange
from tako.providers import Mistral
from tako.testing.server import sse

if TYPE_CHECKING:
    from tako.types import Chunk, End

Fields = dict[str, Any]

PROVIDER = Mistral("m", api_key="k-123", base_url="http://localhost:1/v1")
short_texts = st.text(max_size=3)


def thinking(text: str) -> Fields:
    return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}


def fragment(index: int, text: str) -> Fields:
    return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}


deltas = st.one_of(
    short_texts.map(lambda text: {"content": text}),
    short_texts.map(lambda text: {"content": text, "role": "assistant", "reasoning_content": None}),
    short_texts.map(lambda text: {"content": "", "reasoning_content": text}),
    short_texts.map(lambda text: {"reasoning": text, "channel": "analysis"}),
    short_texts.map(lambda text: {"reasoning": text, "reasoning_details": [{"type": "t", "text": text, "index": 0}]}),
    short_texts.map(lambda text: {"reasoning": text, "reasoning_content": text}),
    short_texts.map(lambda text: {"refusal": text}),
    short_texts.map(thinking),
    st.builds(fragment, st.integers(0, 1), short_texts),
    st.builds(
        lambda index, name: {"tool_calls": [{"index": index, "id": f"c{index}", "function": {"name": name}}]},
        st.integers(0, 1),
        st.sampled_from(["f", "g"]),
    ),
    st.sampled_from([{}, {"content": None}, {"content": "a", "reasoning": "b"}, {"content": "a", "seal": "s"}]),
)
facts = st.fixed_dictionaries(
    {},
    optional={
        "service_tier": st.sampled_from(["auto", "flex", None]),
        "system_fingerprint": st.sampled_from(["fp_1", None]),
        "usage": st.sampled_from([None, {"prompt_tokens": 3, "completion_tokens": 4}, {"prompt_tokens": 0}]),
        "obfuscation": st.just("abc"),
    },
)
choices = st.fixed_dictionaries(
    {},
    optional={
        "content_filter_results": st.sampled_from([None, {}, {"hate": {"filtered": False}}]),
        "finish_reason": st.sampled_from([None, ""]),
        "index": st.sampled_from([0, 0, 0, 1]),
        "logprobs": st.sampled_from([None, {"content": [{"token": "a"}]}]),
    },
)
HEADS = ({}, {"id": "c1", "object": "chat.completion.chunk", "model": "m"}, {"id": "c2", "provider": "P"})


def chunk(head: Fields, choice: Fields, facts: Fields, *, facts_first: bool) -> Fields:
    choices = {"choices": [choice]}
    return {**head, **facts, **choices} if facts_first else {**head, **choices, **facts}


@st.composite
def streams(draw: st.DrawFn) -> list[Fields]:
    """Draw runs of chunks that are alike, as servers send them, with an odd one now and then."""
    chunks: list[Fields] = []
    for _ in range(draw(st.integers(1, 4))):
        delta, head, beside, choice = draw(deltas), draw(st.sampled_from(HEADS)), draw(facts), draw(choices)
        first = draw(st.booleans())
        chunks += [chunk(head, {"delta": delta, **choice}, beside, facts_first=first)] * draw(st.integers(1, 3))
    return chunks


def read(chunks: list[Any]) -> tuple[list[Chunk], End]:
    context = PROVIDER.context(ChatRequest([Message.user("Hi")]))
    decoder = CompletionsDecoder(
        PROVIDER, Exchange("", {"model": "m"}, context), tako_translator(PROVIDER), PROVIDER.dialect
    )
    end = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    body = b"".join(sse(*chunks, end))
    *some, last = [*decoder.feed(body), *decoder.finish(clean=True)]
    assert last.kind == "end"
    return some, last


TEXTS: list[Fields] = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in "abc"]


@settings(max_examples=300, deadline=None)
@given(streams())
@example([*TEXTS, {"choices": [{"delta": {"content": "d"}}], "service_tier": "flex"}, *TEXTS])
@example([*TEXTS, {"choices": [{"delta": {"content": "d"}, "finish_reason": "length"}]}])
@example(
    [{"choices": [{"delta": {"content": "a"}}]}, {"id": "c1", "model": "m1", "choices": [{"delta": {"content": "b"}}]}]
)
@example([{"choices": [{"delta": {"content": "a"}}]}, {"choices": [{"delta": {"content": "b"}}], "id": "c1"}])
def test_a_usual_chunk_says_the_same_as_one_with_a_field_that_makes_it_unusual(chunks: list[Fields]) -> None:
    quick, end = read(chunks)
    slow, other = read([{**one, "of_next_year": 1} for one in chunks])
    assert _without_ids(quick) == _without_ids(slow)
    raw = {name: value for name, value in (other.raw or {}).items() if name != "of_next_year"}
    assert replace(end, raw=end.raw or {}) == replace(other, raw=raw)


def _without_ids(chunks: list[Chunk]) -> bytes:
    """Leave out ids that are minted: they're never the same."""
    plain = [
        replace(one, tool_calls=[replace(call, id=None) for call in one.tool_calls])
        for one in chunks
        if isinstance(one, Delta)
    ]
    return msgspec.json.encode(plain)


spellings = st.sampled_from(
    [
        msgspec.json.encode,
        lambda chunk: json.dumps(chunk).encode(),  # with blanks, and all that isn't ASCII escaped
        lambda chunk: json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"),
    ]
)
odd_texts = st.text(st.sampled_from('ab"\\/é\u2028\x7f😀{}:,'), min_size=1, max_size=4) | st.sampled_from(
    ['"', "\\", '","content":"', '"}}]}', "}", '\\"', "\\u0041"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(odd_texts, min_size=2, max_size=8), spellings, st.sampled_from(["content", "reasoning_content"]))
def test_chunks_that_differ_in_their_text_alone_keep_it_to_the_letter(
    texts: list[str], spelling: Any, name: str
) -> None:
    chunks = [{**HEADS[1], "choices": [{"index": 0, "delta": {name: text}, "logprobs": None}]} for text in texts]
    deltas, _ = read([b"data: " + spelling(chunk) + b"\n\n" for chunk in chunks])
    pieces = [chunk.text or chunk.reasoning for chunk in deltas if chunk.kind == "delta"]
    assert [piece for piece in pieces if piece] == texts
