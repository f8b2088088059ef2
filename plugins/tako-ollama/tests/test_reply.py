"""Complete replies and streams, as old and new servers send them."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tako_ollama import Ollama, tako_translator
from tako_ollama.stream import ChatDecoder

import tako
from tako import notices
from tako.errors import (
    AuthenticationError,
    ProviderError,
    RateLimitError,
    ResponseError,
    ServerError,
)
from tako.kit.exchange import Exchange
from tako.testing.server import reply, serve

COUNTS = {"prompt_eval_count": 26, "eval_count": 30}
DONE = {
    "model": "m:latest",
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "done_reason": "stop",
    **COUNTS,
}


def line(value) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def message_line(**message) -> bytes:
    return line({"model": "m:latest", "message": {"role": "assistant", **message}, "done": False})


def call(name, arguments, **more):
    return {"function": {"name": name, "arguments": arguments}, **more}


def chat(answer):
    with serve(reply(json=answer)) as server:
        return Ollama("m", base_url=server.url, max_retries=0).blocking.chat("Hi")


def stream(*lines, ending="end", **options):
    """Stream these lines; return the chunks and the response."""

    async def main(url):
        async with Ollama("m", base_url=url, max_retries=0, **options).stream("Hi") as running:
            chunks = [chunk async for chunk in running]
        return chunks, await running.response()

    with serve(reply(list(lines), headers={"content-type": "application/x-ndjson"}, ending=ending)) as server:
        return asyncio.run(main(server.url))


def test_a_complete_reply() -> None:
    message = {"role": "assistant", "content": "Hello", "thinking": "Greet.", "images": None}
    answer = {**DONE, "message": message, "total_duration": 5}
    response = chat(answer)
    assert (response.text, response.reasoning, response.finish_reason) == ("Hello", "Greet.", "stop")
    assert (response.usage, response.model, response.notices) == (tako.Usage(26, 30), "m:latest", [])
    assert response.raw == answer
    assert response.message.parts[0].state.origin.provider == "ollama"


def test_a_stream_keeps_its_durations_and_all_its_log_probabilities() -> None:
    tokens = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -0.2}]
    first = {"model": "m:latest", "message": {"content": "a"}, "logprobs": tokens[:1], "done": False}
    last = {**DONE, "message": {"content": "b"}, "logprobs": tokens[1:], "total_duration": 5, "eval_duration": 2}
    _, response = stream(line(first), line(last))
    assert (response.text, response.raw["logprobs"]) == ("ab", tokens)
    assert (response.raw["total_duration"], response.raw["eval_duration"]) == (5, 2)


def test_a_stream_of_thinking_text_and_calls_on_lines_that_are_not_done() -> None:
    chunks, response = stream(
        message_line(content="", thinking="Two "),
        message_line(content="", thinking="cities."),
        message_line(content="Checking"),
        message_line(tool_calls=[call("weather", {"city": "Paris"}, id="c1")]),
        message_line(content="", tool_calls=[call("weather", {"city": "Rome"}, id="c1"), call("time", {})]),
        line(DONE),
    )
    assert [chunk.kind for chunk in chunks].index("end") == len(chunks) - 1
    assert (response.reasoning, response.text, response.finish_reason) == ("Two cities.", "Checking", "tool_calls")
    assert [(call_part.name, call_part.args) for call_part in response.tool_calls] == [
        ("weather", {"city": "Paris"}),
        ("weather", {"city": "Rome"}),
        ("time", {}),
    ]
    ids = [call_part.id for call_part in response.tool_calls]
    assert (ids[0], len(set(ids)), all(ids)) == ("c1", 3, True)
    assert (response.usage, response.model) == (tako.Usage(26, 30), "m:latest")


def test_a_wrong_or_repeated_index_does_not_mix_calls_up() -> None:
    calls = [{"function": {"index": 0, "name": name, "arguments": {"n": name}}} for name in ("a", "b")]
    _, response = stream(message_line(tool_calls=calls), message_line(tool_calls=calls[:1]), line(DONE))
    assert [call_part.args["n"] for call_part in response.tool_calls] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("arguments", "args"),
    [
        ({"a": [1, "é\u2028"]}, {"a": [1, "é\u2028"]}),
        (None, {}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": ', '{"a": '),
        ({}, {}),
    ],
)
def test_arguments_are_the_same_complete_and_streamed(arguments, args) -> None:
    message = {"role": "assistant", "content": "", "tool_calls": [call("f", arguments)]}
    for response in (chat({**DONE, "message": message}), stream(line({**DONE, "message": message}))[1]):
        assert [call_part.args for call_part in response.tool_calls] == [args]
        assert response.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("vendor_reason", "reason", "codes"),
    [
        ("stop", "stop", []),
        ("length", "length", []),
        ("load", "other", []),
        ("unload", "other", []),
        ("new_word", "other", []),
        (None, "stop", [notices.FINISH_MISSING]),
    ],
)
def test_finish_reasons_are_the_same_complete_and_streamed(vendor_reason, reason, codes) -> None:
    answer = {**DONE, "message": {"content": "Hi"}, "done_reason": vendor_reason}
    for response in (chat(answer), stream(line(answer))[1]):
        assert (response.finish_reason, [notice.code for notice in response.notices]) == (reason, codes)


def test_the_finish_reason_length_stays_with_calls() -> None:
    message = {"content": "", "tool_calls": [call("f", {})]}
    assert chat({**DONE, "message": message, "done_reason": "length"}).finish_reason == "length"


def test_a_last_line_without_message_counts_or_line_end_is_an_end() -> None:
    _, response = stream(message_line(content="Hi"), line({"model": "m", "done": True})[:-1])
    assert (response.text, response.usage, response.finish_reason) == ("Hi", tako.Usage(), "stop")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=6))
def test_a_stream_in_pieces_of_any_size_is_the_same(cuts) -> None:
    body = (
        b"\xef\xbb\xbf"
        + message_line(content="Hé\u2028!", thinking="ü")
        + b"\r\n\n"
        + line(DONE)
        + message_line(content="late")
    )
    provider = Ollama("m", base_url="127.0.0.1:1")
    context = provider.context(tako.ChatRequest([tako.Message.user("Hi")]))
    decoder = ChatDecoder(provider, Exchange("", {}, context), tako_translator(provider))
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    chunks = []
    for start, end in pairwise(edges):
        chunks += decoder.feed(body[start:end])
        if decoder.ended:
            break
    chunks += decoder.finish(clean=True)
    assert [chunk.text for chunk in chunks if chunk.kind == "delta" and chunk.text] == ["Hé\u2028!"]
    assert [chunk.reasoning for chunk in chunks if chunk.kind == "delta" and chunk.reasoning] == ["ü"]
    assert chunks[-1].kind == "end"


def test_an_error_line_after_status_200_is_a_server_error() -> None:
    problem = {"error": "model runner has unexpectedly stopped"}
    for attempt in (
        lambda: chat(problem),
        lambda: stream(message_line(content="Hi"), line(problem)),
        lambda: stream(line(problem)),
    ):
        with pytest.raises(
            ServerError, match=r"^ollama:m: 500: model runner has unexpectedly stopped; try again later$"
        ) as caught:
            attempt()
        assert caught.value.status_code == 500
        assert caught.value.retryable


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        ({"error": "slow down", "status": 429}, RateLimitError),
        ({"error": "who?", "StatusCode": 401, "Status": "401 Unauthorized"}, AuthenticationError),
        ({"error": {"message": "slow down", "type": "rate_limit_error"}}, RateLimitError),
    ],
)
def test_an_error_line_with_a_status_or_a_code_has_its_class(problem, kind) -> None:
    for attempt in (lambda: chat(problem), lambda: stream(line(problem))):
        with pytest.raises(ProviderError) as caught:
            attempt()
        assert type(caught.value) is kind


@pytest.mark.parametrize(
    "body",
    [
        b"not json\n",
        b"[]\n",
        b'{"message": ["text"]}\n',
        b'{"message": {"content": 5}}\n',
        b'{"done": "yes"}\n',
        b'"\xff"\n',
    ],
)
def test_an_invalid_reply_is_a_response_error(body: bytes) -> None:
    with pytest.raises(ResponseError):
        stream(body, line(DONE))
    with serve(reply(body)) as server, pytest.raises(ResponseError):
        Ollama("m", base_url=server.url).blocking.chat("Hi")


def test_a_complete_reply_without_a_message_is_an_error() -> None:
    with pytest.raises(ResponseError, match="no message"):
        chat({"status": "ok"})


def test_a_server_may_answer_a_request_for_a_stream_with_a_complete_reply() -> None:
    with serve(reply(json={**DONE, "message": {"content": "Hi"}})) as server:
        assert asyncio.run(Ollama("m", base_url=server.url).stream("Hi").response()).text == "Hi"


def test_fields_that_tako_does_not_know_come_last_complete_and_streamed() -> None:
    message = {"content": "Hi", "seal": {"a": 1}, "tool_calls": [call("f", {}, id="c1")]}
    for response in (chat({**DONE, "message": message}), stream(line({"message": message}), line(DONE))[1]):
        assert [type(part).__name__ for part in response.message.parts] == ["TextPart", "ToolCallPart", "VendorPart"]


def test_a_plugin_may_change_how_a_block_is_read() -> None:
    class Loud:
        @tako.hookimpl(wrapper=True)
        def tako_translator(self):
            inner = yield

            def decode(block, context):
                return inner.decode({"content": block["content"].upper()} if "content" in block else block, context)

            return tako.Translator(encode=inner.encode, decode=decode)

    loud = Loud()
    tako.register(loud)
    try:
        assert chat({**DONE, "message": {"content": "hi", "thinking": "hm"}}).text == "HI"
    finally:
        tako.unregister(loud)


@pytest.mark.parametrize("counts", [{"prompt_eval_count": 3.0, "eval_count": 2}, {"prompt_eval_count": "3"}, {}])
def test_a_reply_may_have_odd_counts(counts) -> None:
    done = {"message": {"content": "Hi"}, "done": True, "done_reason": "stop", "model": None, **counts}
    counted = tako.Usage(3, 2) if "eval_count" in counts else tako.Usage()
    assert chat(done).usage == counted
    assert stream(line(done))[1].usage == counted
