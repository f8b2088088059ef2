"""Any conversation is sent in the order that the API accepts, and no part is lost without a notice."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tako_anthropic import prepare, tako_translator

from tako import ChatRequest, Message, Origin, Role, State
from tako.parts import (
    ImagePart,
    ImageUrlPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tako.providers import Anthropic

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
ids = st.sampled_from(["c1", "c2", "call|3", "ü", "", "c_1"])
texts = st.text(max_size=5)
values = st.none() | st.integers(-9, 9) | texts | st.dictionaries(texts, st.booleans(), max_size=2)
visible_parts = (
    st.builds(TextPart, texts, cache=st.booleans())
    | st.builds(ImagePart, st.sampled_from(["image/png", "image/tiff"]), st.sampled_from([PNG, "%%"]))
    | st.builds(ImageUrlPart, st.sampled_from(["https://e.org/a.png", "ftp://e.org/a", ""]))
)
calls = st.builds(ToolCallPart, ids, st.sampled_from(["f", "a.b"]), values)
results = st.builds(ToolResultPart, ids, values | st.lists(visible_parts, max_size=2), st.booleans())
origins = st.builds(Origin, st.sampled_from(["anthropic", "openai"]))
thoughts = st.builds(ReasoningPart, texts, st.none() | st.builds(State, origins, st.just({"signature": "sig"})))
messages = st.builds(
    Message, st.sampled_from(list(Role)), texts | st.lists(visible_parts | calls | results | thoughts, max_size=4)
)
rounds = st.builds(
    lambda calls, parts: [
        Message.assistant([*parts, *calls]),
        Message(Role.TOOL, [ToolResultPart(call.id, "1") for call in calls]),
    ],
    st.lists(calls, min_size=1, max_size=3, unique_by=lambda call: call.id),
    st.lists(visible_parts | thoughts, max_size=2),
)
conversations = st.lists(st.lists(messages, max_size=2) | rounds, max_size=5).map(
    lambda turns: [message for turn in turns for message in turn]
)
OLD, NEW = (Anthropic(model, api_key="sk-ant-123") for model in ("claude-sonnet-4-5", "claude-opus-5-5"))
NO_LOSS = ("added_tools", "changed_part", "moved_turn", "unsupported_parameter")
"""Codes of notices about parts that were sent."""


def encoded(provider: Anthropic, request: ChatRequest) -> tuple[dict[str, Any], list[Any]]:
    exchange = asyncio.run(prepare(provider, tako_translator(), request, False))
    return exchange.body, exchange.notices


def blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([OLD, NEW]), conversations)
def test_each_part_is_sent_or_has_a_notice(provider: Anthropic, conversation: list[Message]) -> None:
    request = ChatRequest([Message.user("Hi"), *conversation])
    body, notices = encoded(provider, request)
    sent_blocks = sum(len(blocks(message["content"])) for message in body["messages"]) + len(
        blocks(body.get("system", []))
    )
    left_out = [notice for notice in notices if ".result" not in notice.path and notice.code not in NO_LOSS]
    assert sum(len(message.parts) for message in request.messages) == sent_blocks + len(left_out)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([OLD, NEW]), conversations)
def test_turns_alternate_and_each_turn_begins_with_the_results_of_the_calls_before(
    provider: Anthropic, conversation: list[Message]
) -> None:
    body, _ = encoded(provider, ChatRequest([Message.user("Hi"), *conversation]))
    turns = [turn for turn in body["messages"] if turn["role"] != "system"]
    assert [turn["role"] for turn in turns] == [["user", "assistant"][i % 2] for i in range(len(turns))]
    earlier_ids: set[str] = set()
    open_ids: list[str] = []
    for turn in turns:
        content = blocks(turn["content"])
        assert content
        assert turn["role"] == "user" or content[-1]["type"] != "thinking" or turn is turns[-1]
        result_ids = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        assert sorted(result_ids) == sorted(open_ids)
        assert all(block["type"] == "tool_result" for block in content[: len(result_ids)])
        open_ids = [block["id"] for block in content if block["type"] == "tool_use"]
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", id) for id in open_ids)
        assert len({*open_ids, *earlier_ids}) == len(open_ids) + len(earlier_ids)
        earlier_ids.update(open_ids)
    assert open_ids == []


@settings(max_examples=60, deadline=None)
@given(conversations)
def test_system_messages_are_after_the_user_and_before_the_model(conversation: list[Message]) -> None:
    body, _ = encoded(NEW, ChatRequest([Message.user("Hi"), *conversation]))
    roles = ["", *[turn["role"] for turn in body["messages"]], ""]
    for previous, role, next_role in zip(roles, roles[1:], roles[2:], strict=False):
        assert role != "system" or (previous == "user" and next_role in ("assistant", ""))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([OLD, NEW]), conversations)
def test_a_request_begins_with_the_messages_of_the_one_before(provider: Anthropic, conversation: list[Message]) -> None:
    """Or a notice says what was moved. The last message of a request may continue in the next one."""
    messages = [Message.user("Hi"), *conversation, Message.user("So?")]
    earlier_body, _ = encoded(provider, ChatRequest(messages))
    body, notices = encoded(provider, ChatRequest([*messages, Message.assistant("That."), Message.user("And?")]))
    if not any(notice.code == "moved_turn" for notice in notices):
        assert body["messages"][: len(earlier_body["messages"])] == earlier_body["messages"]
        assert body.get("system") == earlier_body.get("system")
