"""System messages between turns, tools, and cache marks, on their way to Anthropic."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tako_anthropic import prepare, tako_translator

from tako import ChatRequest, ContentPart, Message, State, Tool
from tako.parts import Part, TextPart, VendorPart
from tako.providers import Anthropic
from tako.state import Origin

OLD, NEW = "claude-sonnet-4-5", "claude-opus-5-5"
WEATHER = Tool("weather", "The weather", {"type": "object", "properties": {}})
S, T, U, A = Message.system("S"), Message.system("T"), Message.user("U"), Message.assistant("A")
CALL, RESULT = Message.assistant([ContentPart.tool_call("c", "weather", {})]), Message.tool("c", "1")
SERVED = Message.assistant([VendorPart("x", State(Origin("anthropic"), {"type": "web_search_tool_result"}))])


def encoded(messages: list[Message], model: str = NEW, **fields: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the body that would go out, and the codes and paths of its notices."""
    provider = Anthropic(model, api_key="sk-ant-test")
    exchange = asyncio.run(prepare(provider, tako_translator(), ChatRequest(messages, **fields), False))
    return exchange.body, [(notice.code, notice.path) for notice in exchange.notices]


def shape(body: dict[str, Any]) -> str:
    """Spell the order of a request's turns; what is at the top comes first."""
    top = "S" * (1 if isinstance(body.get("system", []), str) else len(body.get("system", [])))
    return f"{top}|{''.join({'user': 'U', 'assistant': 'A', 'system': 's'}[turn['role']] for turn in body['messages'])}"


@pytest.mark.parametrize(
    ("messages", "expected", "moved"),
    [
        ([S, U, A, U], "S|UAU", 0),
        ([U, S], "|Us", 0),
        ([U, A, U, S, A, U], "|UAUsAU", 0),
        ([U, CALL, RESULT, S], "|UAUs", 0),
        ([U, SERVED, S], "|UAs", 0),
        ([U, S, T, A, U], "|UsAU", 0),
        ([U, A, S, U], "|UAUs", 1),
        ([U, S, U], "|Us", 1),
        ([U, CALL, S, RESULT], "|UAUs", 1),
        ([U, A, S, A, U], "S|UAU", 1),
    ],
)
def test_a_system_message_between_turns_stays_there_if_the_api_accepts_it(
    messages: list[Message], expected: str, moved: int
) -> None:
    body, notices = encoded(messages, tools=[WEATHER])
    assert shape(body) == expected
    assert [code for code, _ in notices] == ["moved_turn"] * moved


@pytest.mark.parametrize("model", [OLD, "claude-opus-4-7", "claude-sonnet-5", "claude-sonnet-5-20260801", "llama"])
def test_other_models_get_it_at_the_top(model: str) -> None:
    body, notices = encoded([S, U, A, T, U], model)
    assert shape(body) == "SS|UAU"
    assert notices == [("moved_turn", "messages[3].content[0]")]


@pytest.mark.parametrize("model", ["claude-opus-4-8", "claude-fable-5-2", "claude-sonnet-5-5", "claude-haiku-5-5"])
def test_current_models_get_it_between_turns(model: str) -> None:
    body, notices = encoded([S, U, T, A, U], model)
    assert body["messages"][1] == {"role": "system", "content": "T"}
    assert (shape(body), notices) == ("S|UsAU", [])


def test_a_message_between_turns_may_only_have_changes_of_tools() -> None:
    change = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "weather"}}
    part = ContentPart.vendor("anthropic", change)
    body, notices = encoded([Message.system([part]), U, Message.system([TextPart("T"), part]), A, U])
    assert body["messages"][1]["content"] == [{"type": "text", "text": "T"}, change]
    assert "system" not in body
    assert notices == [("misplaced_part", "messages[0].content[0]")]


def test_a_moved_message_does_not_refuse_a_strict_request() -> None:
    body, notices = encoded([U, A, S, U], OLD, strict=True)
    assert (shape(body), notices) == ("S|UAU", [("moved_turn", "messages[2].content[0]")])


def test_tools_are_sent_with_their_fields() -> None:
    tool = Tool("f", strict=True, cache="1h", extra={"defer_loading": True, "input_schema": {"$comment": "x"}})
    search = Tool.vendor("anthropic", {"type": "web_search_20260318", "name": "web_search"})
    foreign = Tool.vendor("openai", {"type": "web_search"})
    body, notices = encoded([U], tools=[tool, search, foreign], parallel_tool_calls=False)
    schema = {"type": "object", "properties": {}, "additionalProperties": False, "$comment": "x"}
    mark = {"type": "ephemeral", "ttl": "1h"}
    assert body["tools"] == [
        {"name": "f", "input_schema": schema, "strict": True, "cache_control": mark, "defer_loading": True},
        search.block,
    ]
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert notices == [("unsupported_parameter", "tools[2]")]


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        ("required", None, {"type": "any"}),
        ("required", True, {"type": "any", "disable_parallel_tool_use": False}),
        ("weather", False, {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        (None, None, None),
    ],
)
def test_parallel_tool_calls_is_part_of_tool_choice(choice: str | None, parallel: bool | None, expected: Any) -> None:
    body, _ = encoded([U], OLD, tools=[WEATHER], tool_choice=choice, parallel_tool_calls=parallel)
    assert body.get("tool_choice") == expected
    body, notices = encoded([U], OLD, tool_choice=choice, parallel_tool_calls=parallel)
    assert "tool_choice" not in body
    assert len(notices) == (choice is not None) + (parallel is not None)


def test_tool_choice_is_sent_with_tools_in_extra() -> None:
    tools = [{"type": "web_search_20260318", "name": "web_search"}]
    body, notices = encoded([U], OLD, tool_choice="web_search", extra={"tools": tools})
    assert (body["tools"], body["tool_choice"]) == (tools, {"type": "tool", "name": "web_search"})
    assert notices == []


def marks(body: dict[str, Any]) -> list[str | None]:
    """Return how long the cache marks last, in the order of the prompt: "" for the default, None for no mark."""
    blocks = [*body.get("tools", []), *body["messages"][0]["content"]]
    return [block["cache_control"].get("ttl", "") if "cache_control" in block else None for block in blocks]


@pytest.mark.parametrize(
    ("caches", "expected", "noted"),
    [
        (["1h", "5m", True], ["1h", "5m", ""], []),
        ([True, "1h", False], ["", "5m", None], [("changed_parameter", "messages[0].content[0]")]),
        ([True] * 5, [None, "", "", "", ""], [("unsupported_parameter", "tools[0]")]),
        (["5m", "1h", "1h", "1h", "1h"], [None, "1h", "1h", "1h", "1h"], [("unsupported_parameter", "tools[0]")]),
    ],
)
def test_cache_marks_are_sent_with_their_time(
    caches: list[bool | str], expected: list[str | None], noted: list[tuple[str, str]]
) -> None:
    parts: list[Part] = [TextPart(str(n), cache=cache) for n, cache in enumerate(caches[1:])]
    body, notices = encoded([Message.user(parts)], tools=[Tool("f", cache=caches[0])])
    assert (marks(body), notices) == (expected, noted)


def test_an_automatic_cache_mark_counts_as_one_of_the_four() -> None:
    parts: list[Part] = [TextPart(str(n), cache=True) for n in range(4)]
    body, notices = encoded([Message.user(parts)], extra={"cache_control": {"type": "ephemeral"}})
    assert marks(body) == [None, "", "", ""]
    assert notices == [("unsupported_parameter", "messages[0].content[0]")]
