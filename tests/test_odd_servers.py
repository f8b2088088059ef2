"""Replies of servers that only nearly speak a dialect: they're read as they're meant, or they're errors.

Never is a reply taken for an answer that says nothing without a word about it.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tako_anthropic import Anthropic
from tako_azure_openai import AzureOpenAI
from tako_http_generic import HttpGeneric
from tako_mistral import Mistral
from tako_ollama import Ollama
from tako_openai import OpenAI
from tako_vertex.gemini import Gemini

from tako import ChatResponse, FinishReason, Provider, errors
from tako.kit.hidden_errors import hidden_error
from tako.testing.server import Reply, reply, serve, sse

Event = dict[str, Any]
TEMPLATE = {"model": "{{ model }}", "messages": "{{ messages }}", "stream": "{{ stream }}"}
EVENTS = {"content-type": "text/event-stream"}
CALL = {"name": "weather", "arguments": '{"city":"Rome"}'}


def provider(name: str, url: str) -> Provider:
    makers: dict[str, Any] = {
        "openai": lambda: OpenAI("m", api_key="k", base_url=url),
        "azure": lambda: AzureOpenAI("m", api_key="k", endpoint=url, api="chat"),
        "mistral": lambda: Mistral("m", api_key="k", base_url=url),
        "responses": lambda: OpenAI("m", api_key="k", base_url=url, api="responses"),
        "anthropic": lambda: Anthropic("claude-opus-4-5", api_key="k", base_url=url),
        "gemini": lambda: Gemini("gemini-3-pro", api_key="k", base_url=url),
        "ollama": lambda: Ollama("m", base_url=url),
        "generic": lambda: HttpGeneric(
            "g", "m", url, TEMPLATE, "/choices/0/message/content", stream_config={"kind": "openai_sse"}
        ),
    }
    vendor_provider: Provider = makers[name]()
    return vendor_provider


def ask(name: str, script: Reply, *, stream: bool) -> ChatResponse:
    with serve(script) as server:
        face = provider(name, server.url).blocking
        return face.stream("Hi", timeout=9).response() if stream else face.chat("Hi")


def events(*events_data: Any) -> Reply:
    return reply(b"".join(one if isinstance(one, bytes) else _event(one) for one in events_data), headers=EVENTS)


def _event(event: Event) -> bytes:
    kind = b"event: " + event["type"].encode() + b"\n" if "type" in event else b""
    return kind + b"data: " + msgspec.json.encode(event) + b"\n\n"


def delta(finish: str | None = None, index: int = 0, **fields: Any) -> Event:
    return {"choices": [{"index": index, "delta": fields, "finish_reason": finish}]}


def summary(response: ChatResponse) -> list[tuple[str, Any]]:
    return [(call.name, call.args) for call in response.tool_calls]


# Complaints in place of a reply, or of an event --------------------------------------------------------------------

COMPLETIONS = ["openai", "azure", "mistral", "generic"]
COMPLAINTS: list[Event] = [
    {"detail": "no capacity"},
    {"message": "no capacity"},
    {"code": 1301, "msg": "no capacity"},
    {"success": False, "message": "no capacity"},
    {"status": "error", "message": "no capacity"},
]
STARTED: dict[str, tuple[Event, ...]] = {
    **dict.fromkeys(COMPLETIONS, (delta(content="Once"),)),
    "responses": ({"type": "response.output_text.delta", "output_index": 0, "delta": "Once"},),
    "anthropic": ({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Once"}},),
    "gemini": ({"candidates": [{"content": {"parts": [{"text": "Once"}]}}]},),
}


@pytest.mark.parametrize("name", [*STARTED, "ollama"])
def test_an_object_that_complains_is_an_error_with_its_words(name: str) -> None:
    for body in COMPLAINTS:
        with pytest.raises(errors.ProviderError, match="no capacity"):
            ask(name, reply(json=body), stream=False)


@pytest.mark.parametrize("name", STARTED)
def test_an_event_that_complains_is_an_error_though_the_stream_goes_on_as_if_all_were_well(name: str) -> None:
    for event in COMPLAINTS:
        with pytest.raises(errors.ProviderError, match="no capacity"):
            ask(name, events(*STARTED[name], event, b"data: [DONE]\n\n"), stream=True)


def test_a_line_that_complains_is_an_error_though_the_last_line_is_done() -> None:
    line = {"model": "m", "message": {"role": "assistant", "content": "Once"}, "done": False}
    for error_line in (
        b'{"detail": "no capacity"}\n',
        b'error: {"message": "no capacity"}\n',
        b'{"message":"no capacity"}\n',
    ):
        body = msgspec.json.encode(line) + b"\n" + error_line + msgspec.json.encode({**line, "done": True}) + b"\n"
        with pytest.raises(errors.ProviderError, match="no capacity"):
            ask("ollama", reply(body), stream=True)


@pytest.mark.parametrize(
    "progress",
    [
        {"type": "ping"},
        {"status": "processing", "message": "you are third in the queue"},
        {"code": 0, "msg": "ok"},
        {"message": {"content": "hi"}},
        {"id": "1", "message": "hi"},
        {"success": True, "message": "done"},
        {},
        None,
        5,
    ],
)
def test_what_tells_how_far_a_server_has_come_is_no_complaint(progress: Any) -> None:
    assert hidden_error(progress) is None


# Shapes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choice",
    [
        {"index": "0", "message": {"content": "hi"}, "finish_reason": "stop"},
        {"message": "hi", "finish_reason": "stop"},
        {"message": {"content": {"type": "text", "text": "hi"}}, "finish_reason": "stop"},
        {"message": {"content": "hi", "tool_calls": {}, "function_call": "none"}, "finish_reason": "stop"},
        {"message": {"content": "hi", "tool_calls": [None]}, "finish_reason": "stop"},
        {"index": 1, "message": {"content": "hi"}, "finish_reason": "stop"},
    ],
)
@pytest.mark.parametrize("name", ["openai", "mistral"])
def test_a_choice_is_read_where_its_plain_what_it_means(name: str, choice: Event) -> None:
    chat_response = ask(name, reply(json={"choices": [choice]}), stream=False)
    streamed = ask(name, reply(sse({"choices": [choice]})), stream=True)
    for response in (chat_response, streamed):
        assert (response.text, response.finish_reason, response.tool_calls) == ("hi", FinishReason.STOP, [])


def test_a_call_without_its_function_around_it_keeps_its_name_and_arguments() -> None:
    flat = {"id": "c1", **CALL}
    response = ask("openai", reply(json={"choices": [{"message": {"tool_calls": [flat]}}]}), stream=False)
    streamed = ask("openai", reply(sse(delta(tool_calls=[{"index": 0, **flat}]), delta("tool_calls"))), stream=True)
    assert summary(response) == summary(streamed) == [("weather", {"city": "Rome"})]


def test_numbers_are_ids_on_every_wire() -> None:
    gemini = {"functionCall": {"id": 7, "name": "weather", "args": {}}}
    replies: list[tuple[str, Event]] = [
        ("openai", {"choices": [{"message": {"tool_calls": [{"id": 7.0, "function": CALL}]}}]}),
        ("responses", {"status": "completed", "output": [{"type": "function_call", "call_id": 7, **CALL}]}),
        ("anthropic", {"content": [{"type": "tool_use", "id": 7, "name": "weather", "input": {}}]}),
        ("gemini", {"candidates": [{"content": {"parts": [gemini]}, "finishReason": "STOP"}]}),
        ("ollama", {"message": {"tool_calls": [{"id": 7, "function": CALL}]}, "done": True}),
    ]
    for name, body in replies:
        assert [call.id for call in ask(name, reply(json=body), stream=False).tool_calls] == ["7"], name
    item = {"type": "function_call", "id": 3, "call_id": 7, **CALL}
    done = {"type": "response.completed", "response": {"status": "completed", "output": [item]}}
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": 7, "name": "w"}}
    streamed: list[tuple[str, list[Event]]] = [
        ("responses", [done]),
        ("anthropic", [start, {"type": "message_stop"}]),
        ("gemini", [replies[3][1]]),
    ]
    for name, events_data in streamed:
        assert [call.id for call in ask(name, events(*events_data), stream=True).tool_calls] == ["7"], name


def test_arguments_that_are_json_text_where_an_object_belongs_are_parsed() -> None:
    text = '{"city":"Rome"}'
    block = {"type": "tool_use", "id": "t", "name": "weather", "input": text}
    part = {"functionCall": {"name": "weather", "args": text}}
    candidate = {"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}
    assert summary(ask("anthropic", reply(json={"content": [block]}), stream=False)) == [("weather", {"city": "Rome"})]
    assert summary(ask("gemini", reply(json=candidate), stream=False)) == [("weather", {"city": "Rome"})]
    assert summary(ask("gemini", events(candidate), stream=True)) == [("weather", {"city": "Rome"})]


# One answer in several places --------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [(0, 1), (1, 0)], ids=["text first", "calls first"])
def test_an_answer_that_is_spread_over_choices_is_put_together(places: tuple[int, int]) -> None:
    calls = [{"index": 0, "id": "c1", "type": "function", "function": CALL}]
    text, called = [{"content": "Let me see."}, {"content": None, "tool_calls": calls}]
    choices = [{"index": places[0], "message": text}, {"index": places[1], "message": called}]
    together = [{"index": places[0], "delta": text}, {"index": places[1], "delta": called}]
    end = {"choices": [{"index": places[1], "delta": {}, "finish_reason": "tool_calls"}]}
    for response in (
        ask(
            "openai",
            reply(json={"choices": [*choices[:1], {**choices[1], "finish_reason": "tool_calls"}]}),
            stream=False,
        ),
        ask("openai", reply(sse({"choices": together}, end)), stream=True),
        ask("openai", reply(sse({"choices": together[:1]}, {"choices": together[1:]}, end)), stream=True),
    ):
        assert (response.text, summary(response)) == ("Let me see.", [("weather", {"city": "Rome"})])
        assert (response.finish_reason, response.notices) == (FinishReason.TOOL_CALLS, [])


def test_a_message_at_the_end_of_a_stream_does_not_say_again_what_came_in_pieces() -> None:
    calls = [{"index": 0, "id": "c1", "type": "function", "function": CALL}]
    message = {"content": "Hello", "tool_calls": [{"id": "c1", "type": "function", "function": CALL}]}
    last = {"choices": [{"index": 0, "delta": {"content": ""}, "message": message, "finish_reason": "tool_calls"}]}
    response = ask(
        "openai", reply(sse(delta(content="Hel"), delta(content="lo"), delta(tool_calls=calls), last)), stream=True
    )
    assert (response.text, summary(response)) == ("Hello", [("weather", {"city": "Rome"})])
    rest = ask(
        "openai", reply(sse(delta(content="Hel"), {"choices": [{"message": {"content": "Hello"}}]})), stream=True
    )
    assert rest.text == "Hello"
    pieces = [{"choices": [{"message": {"content": "ha"}}]}] * 3
    assert ask("openai", reply(sse(*pieces, delta("stop"))), stream=True).text == "hahaha"


@pytest.mark.parametrize(
    "fragments",
    [
        [{"index": 0, "id": "c1", "name": "weather", "arguments": '{"city":'}, {"index": 0, "arguments": '"Rome"}'}],
        [{"index": 0, "id": "c1", "name": "weather", "arguments": '{"ci'}],
    ],
    ids=["whole again", "longer each time"],
)
def test_arguments_that_are_said_again_are_there_once(fragments: list[Event]) -> None:
    repeated = [*fragments, {"index": 0, "id": "c1", **CALL}]
    response = ask(
        "openai", reply(sse(*[delta(tool_calls=[one]) for one in repeated], delta("tool_calls"))), stream=True
    )
    assert summary(response) == [("weather", {"city": "Rome"})]


def test_an_object_in_another_one_is_no_repetition() -> None:
    fragments = [{"index": 0, "id": "c1", "name": "nest", "arguments": text} for text in ('{"a":', '{"a":', "1}}")]
    response = ask(
        "openai", reply(sse(*[delta(tool_calls=[one]) for one in fragments], delta("tool_calls"))), stream=True
    )
    assert summary(response) == [("nest", {"a": {"a": 1}})]


# Lines and endings -------------------------------------------------------------------------------------------------


def test_one_chunk_a_line_is_a_stream() -> None:
    lines = b"\n".join(msgspec.json.encode(one) for one in (delta(content="Hel"), delta(content="lo"), delta("stop")))
    for name in ("openai", "azure", "mistral", "generic"):
        assert ask(name, reply(lines, headers=EVENTS), stream=True).text == "Hello", name


def test_proxies_make_events_of_lines() -> None:
    line = {"model": "m", "message": {"role": "assistant", "content": "Hello"}, "done": False}
    last = {**line, "message": {"content": ""}, "done": True, "done_reason": "stop"}
    assert ask("ollama", events(line, last, b"data: [DONE]\n\n"), stream=True).text == "Hello"


def test_counts_of_a_line_are_not_wiped_by_zeros() -> None:
    line = {"message": {"content": "Hi"}, "done": False, "prompt_eval_count": 3, "eval_count": 2}
    last = {"message": {"content": ""}, "done": True, "done_reason": "stop", "prompt_eval_count": 0, "eval_count": 0}
    usage = ask("ollama", reply(b"\n".join(map(msgspec.json.encode, (line, last)))), stream=True).usage
    assert (usage.input_tokens, usage.output_tokens) == (3, 2)


def test_done_after_a_stop_reason_ends_a_message() -> None:
    ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    response = ask("anthropic", events(*STARTED["anthropic"], ended, b"data: [DONE]\n\n"), stream=True)
    assert (response.text, response.finish_reason) == ("Once", FinishReason.STOP)
    with pytest.raises(errors.StreamTruncatedError):
        ask("anthropic", events(*STARTED["anthropic"], b"data: [DONE]\n\n"), stream=True)


def test_the_reply_of_an_event_says_how_it_ended() -> None:
    details = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    done = {"type": "response.completed", "response": {**details, "output": []}}
    assert ask("responses", events(*STARTED["responses"], done), stream=True).finish_reason is FinishReason.LENGTH


def test_finish_words_of_other_wires_are_understood() -> None:
    text = [{"type": "text", "text": "Hi"}]
    assert ask("anthropic", reply(json={"content": text, "stop_reason": "stop"}), stream=False).finish_reason == "stop"
    for finish_word, reason in (
        ("stop", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("safety", "content_filter"),
    ):
        candidate = {"content": {"parts": [{"text": "Hi"}]}, "finishReason": finish_word}
        assert ask("gemini", reply(json={"candidates": [candidate]}), stream=False).finish_reason == reason, finish_word
        assert ask("gemini", events({"candidates": [candidate]}), stream=True).finish_reason == reason, finish_word


# Nothing at all ----------------------------------------------------------------------------------------------------

EMPTY: dict[str, tuple[Event, tuple[Any, ...]]] = {
    **dict.fromkeys(
        ("openai", "azure", "mistral"),
        ({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}, (delta("stop"),)),
    ),
    "responses": (
        {"status": "completed", "output": []},
        ({"type": "response.completed", "response": {"status": "completed", "output": []}},),
    ),
    "anthropic": (
        {"content": [], "stop_reason": "end_turn"},
        ({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}),
    ),
    "gemini": ({"candidates": [{"finishReason": "STOP"}]}, ({"candidates": [{"finishReason": "STOP"}]},)),
    "generic": (
        {"choices": [{"message": {"content": ""}}]},
        ({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},),
    ),
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_reply_of_nothing_has_a_notice(name: str) -> None:
    chat_reply, streamed = EMPTY[name]
    for response in (ask(name, reply(json=chat_reply), stream=False), ask(name, events(*streamed), stream=True)):
        assert not response.text
        assert {"empty_reply", "finish_missing"} & {notice.code for notice in response.notices}


def test_a_reply_without_a_message_is_an_error() -> None:
    for body in ({"choices": []}, {"choices": [{"finish_reason": "stop"}]}):
        for name in ("openai", "azure", "mistral"):
            with pytest.raises(errors.ResponseError, match="has no"):
                ask(name, reply(json=body), stream=False)
            with pytest.raises(errors.ResponseError, match="has no"):
                ask(name, reply(sse(body)), stream=True)
    done = {"model": "m", "response": "of another endpoint", "done": True, "done_reason": "stop"}
    for stream in (False, True):
        with pytest.raises(errors.ResponseError, match="has no message"):
            ask("ollama", reply(json=done), stream=stream)
