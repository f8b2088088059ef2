"""What a stream says beside its message, and replies of several choices."""

from __future__ import annotations

from typing import Any

import pytest

from tako import FinishReason
from tako.testing.server import reply, sse

from .replies import ask, call, full_reply, stream

FACTS = {
    "service_tier": "flex",
    "system_fingerprint": "fp_1",
    "created": 7,
    "provider": "P",
    "moderation": {"input": {"a": 1}},
}


def test_raw_of_a_stream_has_the_facts_that_raw_of_a_whole_reply_has() -> None:
    def logprobs(token: str) -> dict[str, Any]:
        return {"content": [{"token": token, "logprob": -0.5}], "refusal": None}

    usage = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"audio_tokens": 1}}
    choice = {"index": 0, "native_finish_reason": "end_turn", "content_filter_results": {"hate": {"filtered": False}}}
    events = [
        {"choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": logprobs("Hi")}], **FACTS},
        {"choices": [{"index": 0, "delta": {"content": " you"}, "logprobs": logprobs(" you"), "depth": 3}], **FACTS},
        {"choices": [{**choice, "delta": {}, "finish_reason": "stop"}], **FACTS},
        {"choices": [], "usage": usage, **FACTS},
    ]
    raw = ask(reply(sse(*events)), streams=True).raw
    expected = {"content": [*logprobs("Hi")["content"], *logprobs(" you")["content"]], "refusal": None}
    facts = {name: value for name, value in choice.items() if name != "index"}
    assert raw == {**FACTS, "usage": usage, "choices": [{**facts, "depth": 3, "logprobs": expected}]}


def test_a_fact_that_only_a_chunk_of_text_has_is_kept() -> None:
    def chunk(text: str, **facts: Any) -> dict[str, Any]:
        return {"created": 7, "choices": [{"index": 0, "delta": {"content": text}}], **facts}

    plain = [chunk("a", service_tier="auto"), chunk("b", service_tier="auto"), chunk("c", service_tier="flex")]
    raw = ask(reply(sse(*plain, {"created": 7, "choices": [{"delta": {}, "finish_reason": "stop"}]})), streams=True).raw
    assert raw == {"created": 7, "service_tier": "flex"}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("finish_word", "reason"),
    [("stop", "stop"), ("sensitive", "content_filter"), ("insufficient_system_resource", "error")],
)
def test_the_vendors_own_word_for_the_end_is_kept(finish_word: str, reason: str, streams: bool) -> None:
    script = stream({"content": "x"}, finish=finish_word) if streams else full_reply(finish_word, content="x")
    response = ask(script, streams=streams)
    assert (response.finish_word, response.finish_reason) == (finish_word, FinishReason(reason))
    assert response.provider == "openai:m"


def test_a_choice_without_a_message_is_an_empty_reply() -> None:
    body = {"choices": [{"finish_reason": "content_filter", "index": 0}], "usage": {"prompt_tokens": 15}}
    response = ask(reply(json=body))
    assert (response.text, response.finish_reason, response.usage.input_tokens) == ("", "content_filter", 15)


@pytest.mark.parametrize("done", [True, False])
def test_a_whole_message_in_a_stream_is_read(done: bool) -> None:
    event = {
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"content": "Hi", "tool_calls": [call()]}}]
    }
    response = ask(reply(sse(event, done=done)), streams=True)
    assert (response.text, [one.args for one in response.tool_calls]) == ("Hi", [{"city": "Rome"}])


def test_a_reply_that_is_spread_over_choices_is_put_together() -> None:
    choices = [
        {"index": n, "finish_reason": "tool_calls", "message": {"role": "assistant", **message}}
        for n, message in enumerate([{"content": "I look."}, {"tool_calls": [call("a")]}, {"tool_calls": [call("b")]}])
    ]
    response = ask(reply(json={"choices": choices}))
    assert (response.text, [one.id for one in response.tool_calls]) == ("I look.", ["a", "b"])


def test_other_answers_in_a_stream_are_noted_once() -> None:
    both = [{"index": n, "delta": {"content": text}} for n, text in enumerate("ab")]
    response = ask(reply(sse({"choices": both}, {"choices": both[1:]}, {"choices": both[:1]})), streams=True)
    assert (response.text, [notice.code for notice in response.notices]) == ("aa", ["lost_part", "finish_missing"])


def test_a_call_that_is_said_in_both_places_is_one() -> None:
    def piece(text: str) -> dict[str, Any]:
        function = {"name": "weather", "arguments": text}
        call = {"index": 0, "id": "call_1", "type": "function", "function": function}
        return {"function_call": function, "tool_calls": [call]}

    (only_call,) = ask(stream(piece('{"city":'), piece(' "Rome"}')), streams=True).tool_calls
    assert (only_call.name, only_call.args) == ("weather", {"city": "Rome"})


def test_calls_that_share_an_id_are_two() -> None:
    calls = [
        {"tool_calls": [{**call("call_0"), "function": {"name": "f", "arguments": text}}]} for text in ('{"a":1}', "{}")
    ]
    response = ask(stream(*calls), streams=True)
    assert [one.args for one in response.tool_calls] == [{"a": 1}, {}]
    assert len({one.id for one in response.tool_calls}) == 2


def test_zeros_at_the_end_take_no_count_away() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 8}
    events = [
        {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage},
        {"choices": [], "usage": dict.fromkeys(usage, 0)},
    ]
    assert ask(reply(sse(*events)), streams=True).usage.total == 20
