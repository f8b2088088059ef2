"""Whatever a conversation holds, every part of it is on the wire or has a notice with its path, for every vendor.

Each part carries a mark that no other has: in its text, its address, its bytes, its name, or its opaque state. A part
is on the wire if its mark is in the body; blocks without a mark of a part are found by counting.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from tako import ChatRequest, Message, Notice, Provider, Role, UnsupportedError, notices
from tako.errors import ConfigurationError
from tako.parts import ImagePart, ImageUrlPart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tako.state import Origin, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OWNERS = ("openai", "azure-openai", "anthropic", "mistral", "ollama", "bedrock", "vertex", "acme", None)
MAGIC = {
    "image/png": b"\x89PNG\r\n\x1a\n....",
    "image/jpeg": b"\xff\xd8\xff.........",
    "image/gif": b"GIF89a......",
    "image/webp": b"RIFF....WEBP",
}
TYPES = (*MAGIC, "IMAGE/PNG", " image/gif ", "image/jpg", "image/bmp", "image/svg+xml", "text/plain", "nonsense", "")
IDS = ("a", "call_1", "call_1", "", "a b", "ü", "x" * 80, "call_1|fc_2", "Nine12345", "toolu_01", "vertex_0af", "\n")
LEFT_OUT = {
    notices.EMPTY_TEXT,
    notices.INVALID_IMAGE,
    notices.MISPLACED_PART,
    notices.UNANSWERED_CALL,
    notices.UNKNOWN_CALL,
    notices.UNSUPPORTED_MEDIA_TYPE,
    notices.UNSUPPORTED_PART,
    notices.UNSUPPORTED_URL,
}
"""Of a part with such a notice nothing is on the wire. Of reasoning and of empty texts, so it is with foreign_state."""


class Marked(Struct):
    """A part with its path and its mark; None where nothing of it could be found again."""

    part: Part
    path: str
    mark: str | None
    within: Marked | None = None


numbers = st.integers(0, 999_999)
odd = st.sampled_from(["", " ", "\n", "é", "\u2028", "😀", '"}]', "</s>", "\x00", "{{ request }}"])
owners = st.sampled_from(OWNERS)
signatures = st.sampled_from([None, "", "c2lnbmVk"])


def signed(signature: str, owner: str = "vertex") -> State:
    """State as Gemini has it on texts and calls."""
    return State(Origin(owner), {"thoughtSignature": signature})


states = st.none() | st.builds(signed, st.just("c2lnbmVk"), st.sampled_from(["vertex", "acme"]))


def thought(owner: str | None, signature: str | None) -> State | None:
    """State of reasoning, in the shape of whoever made it."""
    if owner is None:
        return None
    name = "thoughtSignature" if owner == "vertex" else "signature"
    data = {name: signature} if signature else {}
    bedrock = {"reasoningContent": {"reasoningText": data}} if data else {}
    return State(Origin(owner), bedrock if owner == "bedrock" else data)


def blank(number: int) -> str:
    """White space that is like no other."""
    return "\n" + f"{number:020b}".replace("0", " ").replace("1", "\t") + "\n"


def mark_of(number: int) -> str:
    return f"m{number:06d}x"


def payload(number: int, mime: str) -> str:
    """An image's base64, which ends with twelve characters that no other has."""
    return b64encode(MAGIC.get(mime.strip().lower(), MAGIC["image/png"]) + f"im!{number:06d}".encode()).decode()


@st.composite
def texts(draw: st.DrawFn) -> tuple[Part, str | None]:
    number, state, cache = draw(numbers), draw(states), draw(st.booleans())
    match draw(st.sampled_from(["said", "said", "said", "empty", "blank", "signed"])):
        case "said":
            text = draw(odd) + mark_of(number) + draw(odd)
            return TextPart(text, state=state, cache=cache), mark_of(number)
        case "blank":
            return TextPart(blank(number), cache=cache), blank(number)
        case "signed":
            return TextPart("", state=signed(mark_of(number))), mark_of(number)
        case _:
            return TextPart(""), None


@st.composite
def images(draw: st.DrawFn) -> tuple[Part, str | None]:
    number, mime = draw(numbers), draw(st.sampled_from(TYPES))
    data = payload(number, mime)
    mark = data[-12:]
    match draw(st.sampled_from(["bare", "bare", "prefix", "params", "spaced", "broken", "short", "empty"])):
        case "prefix":
            data = f"data:{mime};base64,{data}"
            mime = draw(st.sampled_from([mime, ""]))
        case "params":
            data = f"DATA:{mime};charset=utf-8;base64,{data}"
        case "spaced":
            data = f"\n{data[:7]}\r\n  {data[7:]}\n"
        case "broken":
            data = f"{data}!!{data}"
        case "short":
            data = data[:-1]
        case "empty":
            data = ""
        case _:
            pass
    if data[:5].lower() == "data:" and draw(st.booleans()):
        return ImageUrlPart(data, draw(st.sampled_from([None, mime]))), mark
    return ImagePart(mime, data), mark


@st.composite
def addresses(draw: st.DrawFn) -> tuple[Part, str | None]:
    mark = mark_of(draw(numbers))
    address = draw(
        st.sampled_from(
            [
                "https://h.test/@.png",
                "http://h.test/@",
                "HTTPS://h.test/@.jpg?x=1",
                "gs://b/@.gif",
                "s3://b/@.webp",
                "ftp://h.test/@",
                "file:///@",
                "/@.png",
                "https:@",
                "data:image/png,@",
                "data:;base64,@",
                "javascript:@",
            ]
        )
    )
    mime = draw(st.sampled_from([None, "image/png", "image/bmp", ""]))
    return ImageUrlPart(address.replace("@", mark), mime), mark


@st.composite
def calls(draw: st.DrawFn) -> tuple[Part, str | None]:
    mark, state = mark_of(draw(numbers)), draw(states)
    args = draw(st.sampled_from([{}, {"city": "Rome"}, {"deep": [{"a": None}]}, "", "{bro", '{"a":1}', [1], None, 3]))
    return ToolCallPart(draw(st.sampled_from(IDS)), f"tool_{mark}", args, state), mark


@st.composite
def thoughts(draw: st.DrawFn) -> tuple[Part, str | None]:
    mark, owner = mark_of(draw(numbers)), draw(owners)
    match draw(st.sampled_from(["said", "said", "signed", "data", "empty"])):
        case "said":
            return ReasoningPart(draw(odd) + mark, thought(owner, draw(signatures))), mark
        case "signed":
            return ReasoningPart("", thought(owner, mark)), mark
        case "data":
            opaque = {"reasoningContent": {"redactedContent": mark}}
            data = opaque if owner == "bedrock" else {"type": "redacted_thinking", "data": mark}
            return ReasoningPart("", State(Origin(owner if owner in ("anthropic", "bedrock") else "acme"), data)), mark
        case _:
            return ReasoningPart("", thought(owner, None)), None


nested = st.lists(st.one_of(texts(), images(), addresses(), calls(), thoughts()), min_size=1, max_size=3)


@st.composite
def results(draw: st.DrawFn) -> tuple[Part, Any]:
    mark, id, is_error = mark_of(draw(numbers)), draw(st.sampled_from(IDS)), draw(st.booleans())
    match draw(st.sampled_from(["text", "object", "array", "nothing", "parts", "parts"])):
        case "text":
            value: Any = draw(odd) + mark
        case "object":
            value = {"found": mark, "odd": [None, 1.5]}
        case "array":
            value = [mark, {"a": 1}]
        case "nothing":
            value, mark = draw(st.sampled_from(["", None, [], {}, 0])), None
        case _:
            inner = draw(nested)
            return ToolResultPart(id, [part for part, _ in inner], is_error), [blocks for _, blocks in inner]
    return ToolResultPart(id, value, is_error), mark


turns = st.tuples(
    st.sampled_from(list(Role)),
    st.lists(st.one_of(texts(), images(), addresses(), calls(), results(), thoughts()), max_size=4),
)


@st.composite
def answered(draw: st.DrawFn) -> list[tuple[Role, list[Any]]]:
    """Calls, and their results in whatever order, in one turn or in several, with other things between them."""
    calls_made = draw(st.lists(calls(), min_size=1, max_size=3))
    back = [
        (replace(part, id=call.id), mark)
        for (call, _), (part, mark) in zip(calls_made, draw(st.lists(results(), min_size=3, max_size=3)), strict=False)
    ]
    back = draw(st.permutations(back)) + draw(st.lists(st.one_of(texts(), images()), max_size=1))
    before = draw(st.lists(st.one_of(texts(), thoughts()), max_size=2))
    if draw(st.booleans()):
        return [(Role.ASSISTANT, before + calls_made), (draw(st.sampled_from([Role.TOOL, Role.USER])), back)]
    return [(Role.ASSISTANT, before + calls_made), *[(Role.TOOL, [one]) for one in back]]


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[Role, list[Any]]]:
    pieces = draw(st.lists(st.one_of(turns.map(lambda turn: [turn]), answered()), min_size=1, max_size=4))
    return [turn for piece in pieces for turn in piece]


def marked(conversation: list[tuple[Role, list[Any]]]) -> Iterator[Marked]:
    """List all parts, those inside of results too. What has the same mark as another is left to the counting."""
    for i, (_, content) in enumerate(conversation):
        for j, (part, blocks) in enumerate(content):
            path = f"messages[{i}].content[{j}]"
            marked_part = Marked(part, path, None if isinstance(blocks, list) else blocks)
            yield marked_part
            if isinstance(blocks, list):
                for k, (inner, mark) in enumerate(zip(part.result, blocks, strict=True)):
                    yield Marked(inner, f"{path}.result[{k}]", mark, marked_part)


def strings(value: Any) -> Iterator[str]:
    """All strings of a body, keys too, but for the name that Ollama's results have from their calls."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner if key != "tool_name" else None)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def blocks(value: Any) -> Iterator[str]:
    """The kinds of all images, calls and results of a body, however the vendor writes them."""
    if isinstance(value, list):
        for inner in value:
            yield from blocks(inner)
    if not isinstance(value, dict):
        return
    if value.get("type") in ("image_url", "image") or value.keys() & {"image", "inlineData", "fileData"}:
        yield "image"
    if value.get("type") == "tool_use" or value.keys() & {"toolUse", "functionCall"}:
        yield "call"
    if (
        value.get("type") == "tool_result"
        or value.get("role") == "tool"
        or value.keys() & {"toolResult", "functionResponse"}
    ):
        yield "result"
    yield from ["call"] * len(value.get("tool_calls", ())) + ["image"] * len(value.get("images", ()))
    for inner in value.values():
        yield from blocks(inner)


def kind(part: Part) -> str:
    kinds = {ImagePart: "image", ImageUrlPart: "image", ToolCallPart: "call", ToolResultPart: "result"}
    return kinds.get(type(part), "other")


def is_left_out(one: Marked, response_notices: list[Notice]) -> bool:
    """Whether a part has a notice that says that it was left out; there is never more than one."""
    only_state = isinstance(one.part, ReasoningPart) or (isinstance(one.part, TextPart) and not one.part.text.strip())
    codes = LEFT_OUT | {notices.FOREIGN_STATE} if only_state else LEFT_OUT
    matches = [notice for notice in response_notices if notice.path == one.path and notice.code in codes]
    assert len(matches) <= 1, matches
    return bool(matches)


def check(conversation: list[tuple[Role, list[Any]]], body: Any, response_notices: list[Notice]) -> None:
    """Parts in = parts on the wire + notices."""
    sent = {
        "messages": body.get("messages", body.get("contents")),
        "system": body.get("system", body.get("systemInstruction")),
    }
    wire = "\n".join(strings(sent))
    parts = list(marked(conversation))
    marks = Counter(one.mark for one in parts)
    expected: Counter[str] = Counter()
    for one in parts:
        gone = is_left_out(one, response_notices) or (
            one.within is not None and is_left_out(one.within, response_notices)
        )
        if not gone:
            expected[kind(one.part)] += 1
        if one.mark is None and kind(one.part) == "other":
            assert gone or one.within is not None, f"nothing could be sent of {one}"
        elif one.mark is not None and marks[one.mark] == 1:
            assert (one.mark in wire) != gone, f"{one} is {'neither sent nor noted' if not gone else 'sent and noted'}"
    for notice in response_notices:
        assert re.fullmatch(r"[a-z_]+(\[\d+\])*(\.\w+(\[\d+\])*)*", notice.path), notice
        assert notice.code in notices.MEANINGS
    counts = Counter(blocks(sent))
    assert {name: counts[name] for name in ("image", "call", "result")} == {
        name: expected[name] for name in ("image", "call", "result")
    }


def speaks(conversation: list[tuple[Role, list[Any]]]) -> bool:
    """Whether the system or the user says anything in words: then there is something to send, whatever the wire."""
    return any(
        isinstance(part, TextPart) and part.text.strip()
        for role, content in conversation
        for part, _ in content
        if role is not Role.ASSISTANT
    )


@pytest.mark.parametrize("name", ["openai", "azure-openai", "anthropic", "mistral", "ollama", "bedrock", "vertex"])
def test_every_part_is_on_the_wire_or_has_a_notice(
    name: str, at: Callable[..., Provider], answers: dict[str, Any]
) -> None:
    bodies: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(msgspec.json.decode(request.content))
        return httpx.Response(200, json=answers[name])

    provider = at(name, "https://vendor.test", transport=httpx.MockTransport(answer))

    with asyncio.Runner() as runner:

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(conversations())
        def run(conversation: list[tuple[Role, list[Any]]]) -> None:
            bodies.clear()
            request = ChatRequest([Message(role, [part for part, _ in content]) for role, content in conversation])
            strict = replace(request, strict=True)
            if not speaks(conversation):
                with suppress(ConfigurationError):  # nothing may be left to send
                    runner.run(provider.chat(request))
                return
            response = runner.run(provider.chat(request))
            check(conversation, bodies[0], response.notices)
            losses = [notice for notice in response.notices if notices.is_loss(notice.code)]
            if not losses:
                assert runner.run(provider.chat(strict)).text == "ok"
                return
            with pytest.raises(UnsupportedError) as refused:
                runner.run(provider.chat(strict))
            assert list(refused.value.notices) == losses
            assert len(bodies) == 1, "a strict request that loses something never reaches the network"

        run()
