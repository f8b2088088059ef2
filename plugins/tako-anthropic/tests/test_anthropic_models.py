"""Parameters and turns that a model refuses are left out, with a notice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tako_anthropic import prepare, tako_translator

from tako import ChatRequest, ContentPart, Message, Origin, State
from tako.parts import ReasoningPart
from tako.providers import Anthropic

HI = [Message.user("Hi")]


def encoded(request: ChatRequest, model: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the body that would be sent, and the codes and paths of its notices."""
    provider = Anthropic(model, api_key="sk-ant-test")
    exchange = asyncio.run(prepare(provider, tako_translator(), request, False))
    return exchange.body, [(notice.code, notice.path) for notice in exchange.notices]


@pytest.mark.parametrize("model", ["claude-3-5-haiku-latest", "claude-sonnet-4-20250514", "claude-opus-4-0", "llama"])
def test_early_models_get_temperature_and_top_p(model: str) -> None:
    body, notices = encoded(ChatRequest(HI, temperature=0.2, top_p=0.9), model)
    assert (body["temperature"], body["top_p"], notices) == (0.2, 0.9, [])


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-4-1-20250805",
        "claude-sonnet-4-5",
        "anthropic.claude-haiku-4-5-20251001-v1:0",
        "claude-opus-4-6",
        "claude-sonnet-4.6",
    ],
)
def test_later_models_get_one_of_them(model: str) -> None:
    body, notices = encoded(ChatRequest(HI, temperature=0.2, top_p=0.9), model)
    assert (body["temperature"], body.get("top_p"), notices) == (0.2, None, [("unsupported_parameter", "top_p")])
    body, notices = encoded(ChatRequest(HI, top_p=0.9), model)
    assert (body["top_p"], notices) == (0.9, [])


def test_a_temperature_above_1_is_sent_as_1() -> None:
    body, notices = encoded(ChatRequest(HI, temperature=1.7), "claude-sonnet-4-5")
    assert (body["temperature"], notices) == (1, [("changed_parameter", "temperature")])


PREFILLED = [*HI, Message.assistant([ContentPart.text("Good"), ContentPart.text("mor")])]


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-3-7-sonnet-latest", "llama"])
def test_early_models_get_a_prefilled_reply(model: str) -> None:
    body, notices = encoded(ChatRequest(PREFILLED), model)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant"]
    assert notices == []


@pytest.mark.parametrize("model", ["claude-opus-4-6", "claude-sonnet-4-6", "claude-opus-4-7", "claude-opus-5-5"])
def test_later_models_get_no_prefilled_reply(model: str) -> None:
    body, notices = encoded(ChatRequest(PREFILLED), model)
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert notices == [("misplaced_part", "messages[1].content[0]"), ("misplaced_part", "messages[1].content[1]")]


def test_thinking_at_the_end_of_a_turn_is_left_out() -> None:
    thought = ReasoningPart("hm", State(Origin("anthropic"), {"signature": "sig"}))
    history = [*HI, Message.assistant([ContentPart.text("Well"), thought]), Message.user("Go on")]
    body, notices = encoded(ChatRequest(history), "claude-sonnet-4-5")
    assert body["messages"][1] == {"role": "assistant", "content": "Well"}
    assert notices == [("misplaced_part", "messages[1].content[1]")]
