"""Whatever a reply holds, and however a server tells it, its stream gives what the whole reply gives."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tako import ChatRequest
from tako.fold import fold
from tako.kit.exchange import Exchange
from tako.kit.responses import ResponsesDecoder, decode_block, decode_reply, encode_part
from tako.parts import Part, ReasoningPart, TextPart, ToolCallPart
from tako.providers import OpenAI
from tako.testing.server import sse
from tako.translator import Translator

PROVIDER: Any = OpenAI("gpt-6.2-sol", base_url="http://127.0.0.1:1", api_key="k-123456", api="responses")
TRANSLATOR = Translator(encode_part, decode_block)
TEXTS = st.text("aé{\n ", min_size=1, max_size=9)
CITED = [{"type": "url_citation", "url": "https://x.example", "title": "X", "start_index": 0, "end_index": 1}]
OUTPUT_TEXTS = st.builds(
    lambda text, cited: {"type": "output_text", "text": text, "annotations": cited, "logprobs": []},
    TEXTS,
    st.sampled_from([[], CITED]),
)
REFUSALS = st.builds(lambda text: {"type": "refusal", "refusal": text}, TEXTS)
MESSAGES = st.builds(
    lambda content, phase: {"type": "message", "role": "assistant", "status": "completed", "content": content, **phase},
    st.lists(OUTPUT_TEXTS | REFUSALS, min_size=1, max_size=3),
    st.sampled_from([{}, {"phase": "final_answer"}]),
)
THOUGHTS = st.builds(
    lambda shown: {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in shown],
        "encrypted_content": "gAAA",
    },
    st.lists(TEXTS, max_size=2),
)
CALLS = st.builds(
    lambda text: {"type": "function_call", "name": "now", "arguments": msgspec.json.encode({"a": text}).decode()}, TEXTS
)
OTHERS = st.sampled_from(
    [
        {"type": "custom_tool_call", "name": "sql", "input": "select 1"},
        {"type": "web_search_call", "action": {"query": "rain"}},
        {"type": "image_generation_call", "result": "aGk=", "output_format": "png"},
        {"type": "hologram_call", "beam": [1]},
    ]
)
ITEMS = st.lists(MESSAGES | THOUGHTS | CALLS | OTHERS, min_size=1, max_size=5)
WAYS = st.sampled_from(["numbered", "interleaved", "ends last", "unnumbered", "unnumbered, ends last", "all zero"])


@given(ITEMS, WAYS, st.booleans(), st.randoms(use_true_random=False))
def test_a_stream_gives_what_the_whole_reply_gives(items: list[Any], way: str, repeated: bool, random: Any) -> None:
    output = [
        {**item, "id": f"x_{n}", **({"call_id": f"c_{n}"} if "name" in item else {})} for n, item in enumerate(items)
    ]
    reply = {"id": "r", "status": "completed", "output": output}
    expected = decode_reply(msgspec.json.encode(reply), exchange(), PROVIDER, TRANSLATOR)
    last = {"type": "response.completed", "response": {**reply, "output": output if repeated else []}}
    decoder = ResponsesDecoder(PROVIDER, exchange(), TRANSLATOR)
    chunks = [
        chunk for piece in sse(*streamed_events(output, way, random), last, done=False) for chunk in decoder.feed(piece)
    ]
    streamed = fold([*chunks, *decoder.finish(clean=True)])
    assert streamed.finish_reason == expected.finish_reason
    if way in ("numbered", "interleaved", "ends last"):
        assert streamed.message == expected.message
    else:  # items that end late, without a number, may come last
        assert sorted(map(shown, streamed.message.parts)) == sorted(map(shown, expected.message.parts))


def exchange() -> Exchange:
    return Exchange("", {}, PROVIDER.context(ChatRequest([])))


def shown(part: Part) -> str:
    """Return what a caller sees of a part."""
    if isinstance(part, TextPart | ReasoningPart):
        return f"{type(part).__name__} {part.text}"
    return f"{part.id} {part.args}" if isinstance(part, ToolCallPart) else type(part).__name__


def streamed_events(output: list[dict[str, Any]], way: str, random: Any) -> list[dict[str, Any]]:
    """Return the events of a reply, but for the last one, as a server tells it."""
    queues = [[event | number(n, way) for event in events_of(item)] for n, item in enumerate(output)]
    if way == "interleaved":
        return interleaved(queues, random)
    if way.endswith("ends last"):
        return [event for queue in queues for event in queue[:-1]] + [queue[-1] for queue in queues]
    return [event for queue in queues for event in queue]


def number(n: int, way: str) -> dict[str, int]:
    return {} if way.startswith("unnumbered") else {"output_index": 0 if way == "all zero" else n}


def interleaved(queues: list[list[dict[str, Any]]], random: Any) -> list[dict[str, Any]]:
    """Mix the events of items, each of which begins after the one before it."""
    mixed: list[dict[str, Any]] = []
    begun = 0
    while any(queues):
        ready = [n for n, queue in enumerate(queues) if queue and n <= begun]
        n = random.choice(ready)
        mixed.append(queues[n].pop(0))
        begun = max(begun, n + 1)
    return mixed


KINDS = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text"}
"""Parts of content that come in pieces, and the field that does."""


def events_of(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an item's events; the last one says that it's done."""
    at = {"item_id": item["id"]}
    emptied = {name: type(item[name])() for name in ("content", "summary", "arguments") if name in item}
    events: list[dict[str, Any]] = [{"type": "response.output_item.added", "item": {**item, **emptied}}]
    for k, part in enumerate(item.get("content", ())):
        field = KINDS.get(part["type"], "")
        if text := part.get(field):
            events += deltas(part["type"], text, {**at, "content_index": k})
        events.append({"type": "response.content_part.done", **at, "content_index": k, "part": part})
    for k, part in enumerate(item.get("summary", ())):
        events += deltas("reasoning_summary_text", part["text"], {**at, "summary_index": k})
    if "arguments" in item:
        events += deltas("function_call_arguments", item["arguments"], at)
    return [*events, {"type": "response.output_item.done", "item": item}]


def deltas(kind: str, text: str, at: dict[str, Any]) -> list[dict[str, Any]]:
    pieces = [text[:2], text[2:]] if len(text) > 2 else [text]
    return [{"type": f"response.{kind}.delta", **at, "delta": piece} for piece in pieces]
