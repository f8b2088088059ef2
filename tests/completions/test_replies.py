"""Replies in the Chat Completions dialect, as the many servers that speak it write them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tako_openai import OpenAI

from tako import ChatResponse, errors
from tako.testing.server import reply, serve, sse
from tako.types import Usage


def streamed(*events: Any, done: bool = True, **options: Any) -> ChatResponse:
    with serve(reply(sse(*events, done=done))) as server:
        provider = OpenAI("m", api_key="k", base_url=server.url, **options)
        return provider.blocking.stream("Hi").response()


def decode_full(body: Any, **scripted: Any) -> ChatResponse:
    with serve(reply(json=body, **scripted)) as server:
        return OpenAI("m", api_key="k", base_url=server.url, max_retries=0).blocking.chat("Hi")


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "c1", "model": "m-1", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def call(
    arguments: Any = "", id: str | None = None, name: str | None = None, index: int | None = None
) -> dict[str, Any]:
    fields: dict[str, Any] = {"function": {"arguments": arguments}}
    if id is not None:
        fields["id"] = id
    if name is not None:
        fields["function"]["name"] = name
    if index is not None:
        fields["index"] = index
    return fields


STOP = delta("stop")
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 4,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
COUNTED = Usage(10, 4, 3, 0, 2)


@pytest.mark.parametrize(
    "events",
    [
        [STOP, {"choices": [], "usage": USAGE}],
        [{**STOP, "usage": USAGE}],
        [{**delta(content="…"), "usage": {"prompt_tokens": 10, "completion_tokens": 1}}, {**STOP, "usage": USAGE}],
        [{**STOP, "x_groq": {"usage": USAGE}}],
    ],
    ids=["in a last chunk without choices", "in the finish chunk", "as a running total", "under x_groq"],
)
def test_usage_is_the_last_that_came_wherever_it_stood(events: list[Any]) -> None:
    assert streamed(*events).usage == COUNTED


def test_a_stream_without_usage_counts_nothing() -> None:
    assert streamed(delta(content="Hi"), STOP).usage == Usage()


def test_chunks_that_say_nothing_are_passed_over() -> None:
    azure = {"choices": [], "id": "", "model": "", "prompt_filter_results": [{"x": 1}]}
    response = streamed(
        azure, {"choices": [{"index": 0}]}, {"unknown": True}, b": PROCESSING\n\n", delta(content="Hi"), STOP
    )
    assert (response.text, response.id, response.model) == ("Hi", "c1", "m-1")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_apart(field: str) -> None:
    response = streamed(delta(**{field: "hm"}), delta(**{field: "…"}), delta(content="So."), STOP)
    assert (response.reasoning, response.text) == ("hm…", "So.")


def test_think_tags_stay_in_the_text() -> None:
    assert streamed(delta(content="<think>hm</think>So."), STOP).text == "<think>hm</think>So."


CITY = '{"city":"Paris"}'
CALLS = {
    "by index": [
        call("", "a", "f", 0),
        call(CITY[:5], index=0),
        call(CITY[5:], index=0),
        call("", "b", "f", 1),
        call(CITY, index=1),
    ],
    "alternating": [
        call("", "a", "f", 0),
        call("", "b", "f", 1),
        call(CITY[:5], index=0),
        call(CITY, index=1),
        call(CITY[5:], index=0),
    ],
    "without index": [call("", "a", "f"), call(CITY[:5]), call(CITY[5:]), call("", "b", "f"), call(CITY)],
    "with id and name null later": [
        call("", "a", "f", 0),
        {**call(CITY, index=0), "id": None},
        call("", "b", "f", 1),
        {**call(CITY, "", "", 1)},
    ],
    "id and name repeated": [
        call(CITY[:5], "a", "f", 0),
        call(CITY[5:], "a", "f", 0),
        call(CITY[:5], "b", "f", 1),
        call(CITY[5:], "b", "f", 1),
    ],
    "whole, all index 0": [call(CITY, "a", "f", 0), call(CITY, "b", "f", 0)],
    "whole, without index": [call(CITY, "a", "f"), call(CITY, "b", "f")],
    "ids that change within a call": [
        call("", "a", "f", 0),
        call(CITY, "zzz", index=0),
        call("", "b", "f", 1),
        call(CITY, "yyy", index=1),
    ],
    "arguments as objects": [call({"city": "Paris"}, "a", "f", 0), call({"city": "Paris"}, "b", "f", 1)],
}


@pytest.mark.parametrize("pieces", CALLS.values(), ids=CALLS.keys())
def test_each_call_has_one_index_and_its_own_id_however_it_is_numbered(pieces: list[Any]) -> None:
    response = streamed(*[delta(tool_calls=[piece]) for piece in pieces], delta("tool_calls"))
    args = {"city": "Paris"}
    assert [(one.id, one.name, one.args) for one in response.tool_calls] == [("a", "f", args), ("b", "f", args)]
    together = streamed(delta(tool_calls=pieces), delta("tool_calls"))
    assert together.tool_calls == response.tool_calls


def test_ids_that_are_missing_or_doubled_are_made_unique() -> None:
    response = streamed(
        delta(tool_calls=[call(CITY, None, "f", 0), call(CITY, "x", "f", 1), call(CITY, "x", "g", 2)]), STOP
    )
    ids = [part.id for part in response.tool_calls]
    assert all(ids)
    assert len(set(ids)) == 3
    body = {
        "choices": [{"message": {"tool_calls": [call(CITY, None, "f"), call(CITY, "x", "f"), call(CITY, "x", "g")]}}]
    }
    ids = [part.id for part in decode_full(body).tool_calls]
    assert all(ids)
    assert len(set(ids)) == 3


@pytest.mark.parametrize("finish", ["tool_calls", "stop", "function_call", "eos", None])
def test_calls_are_trusted_whatever_the_finish_reason(finish: str | None) -> None:
    response = streamed(delta(tool_calls=[call(CITY, "a", "f", 0)]), delta(finish))
    assert len(response.tool_calls) == 1
    assert response.finish_reason == ("stop" if finish in ("stop", "eos") else "tool_calls")


def test_arguments_that_are_no_json_come_as_their_text() -> None:
    assert streamed(delta(tool_calls=[call('{"a": ', "a", "f", 0)]), delta("tool_calls")).tool_calls[0].args == '{"a": '
    assert streamed(delta(tool_calls=[call("", "a", "f", 0)]), delta("tool_calls")).tool_calls[0].args == {}


def test_the_old_function_call_is_a_call() -> None:
    response = streamed(
        delta(function_call={"name": "f", "arguments": ""}),
        delta(function_call={"arguments": CITY}),
        delta("function_call"),
    )
    assert [(part.name, part.args) for part in response.tool_calls] == [("f", {"city": "Paris"})]
    body = {
        "choices": [{"message": {"function_call": {"name": "f", "arguments": CITY}}, "finish_reason": "function_call"}]
    }
    assert [(part.name, part.args) for part in decode_full(body).tool_calls] == [("f", {"city": "Paris"})]


def test_a_function_call_of_blanks_calls_nothing() -> None:
    blank = {"name": "", "arguments": ""}
    replies = [
        streamed(delta(content="4", function_call=blank), delta("stop")),
        decode_full({"choices": [{"message": {"content": "4", "function_call": blank}, "finish_reason": "stop"}]}),
    ]
    for response in replies:
        assert (response.text, response.tool_calls, response.finish_reason) == ("4", [], "stop")


@pytest.mark.parametrize(("total", "output"), [(330, 322), (10, 2), (None, 2)])
def test_reasoning_that_is_counted_beside_the_completion_is_a_part_of_the_output(
    total: int | None, output: int
) -> None:
    """xAI's total is the sum of all three; where reasoning is a part of the completion, it is not."""
    usage = {"prompt_tokens": 8, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 320}}
    counted = decode_full({"choices": [{"message": {"content": "4"}}], "usage": {**usage, "total_tokens": total}}).usage
    assert (counted.input_tokens, counted.output_tokens, counted.reasoning_tokens) == (8, output, 320)


@pytest.mark.parametrize(
    ("finish_word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("content_filter", "content_filter"),
        ("error", "error"),
        ("novel", "other"),
    ],
)
def test_finish_reasons_are_tako_s(finish_word: str, reason: str) -> None:
    assert streamed(delta(content="x"), delta(finish_word)).finish_reason == reason
    assert (
        decode_full({"choices": [{"message": {"content": "x"}, "finish_reason": finish_word}]}).finish_reason == reason
    )


def test_done_alone_ends_a_stream_with_a_notice() -> None:
    response = streamed(delta(content="Hi"))
    assert response.finish_reason == "other"
    assert [notice.code for notice in response.notices] == ["finish_missing"]


def test_a_finish_reason_alone_ends_a_stream() -> None:
    assert streamed(delta(content="Hi"), STOP, done=False).finish_reason == "stop"


def test_servers_that_say_neither_are_accepted_only_when_asked() -> None:
    with pytest.raises(errors.StreamTruncatedError) as cut:
        streamed(delta(content="Hi"), done=False)
    assert cut.value.partial is not None
    assert cut.value.partial.text == "Hi"
    assert streamed(delta(content="Hi"), done=False, require_finish=False).text == "Hi"


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
        {"error": {"message": "slow down", "code": 429}},
        b'event: error\ndata: {"message": "slow down", "code": "429"}\n\n',
        {"choices": [], "error": {"message": "slow down", "type": "rate_limit_error"}},
    ],
)
def test_an_error_inside_a_stream_is_of_the_class_it_would_have_had_before(event: Any) -> None:
    with pytest.raises(errors.RateLimitError, match="slow down"):
        streamed(delta(content="Hi"), event)


@pytest.mark.parametrize(
    ("body", "status", "cls", "text"),
    [
        (
            {"error": {"message": "too long", "code": "context_length_exceeded"}},
            400,
            errors.ContextLengthError,
            "too long",
        ),
        ({"error": {"message": "no", "code": "invalid_api_key"}}, 401, errors.AuthenticationError, "no"),
        ({"error": {"message": "none", "code": None, "type": "x"}}, 404, errors.NotFoundError, "none"),
        ({"code": "Client specified an invalid argument", "error": "text"}, 400, errors.BadRequestError, "text"),
        ({"detail": "gone"}, 403, errors.PermissionDeniedError, "gone"),
        ({"detail": [{"loc": ["body", "n"], "msg": "must be 1"}]}, 422, errors.BadRequestError, "body.n: must be 1"),
        ({"object": "error", "message": "m", "type": "t", "code": "3000"}, 500, errors.ServerError, "m"),
        ({"statusCode": 429, "message": "quota", "activityId": "1"}, 429, errors.RateLimitError, "quota"),
        ({"error": {"message": "busy"}}, 503, errors.OverloadedError, "busy"),
        ({"error": {"message": "busy"}}, 529, errors.OverloadedError, "busy"),
        ({"error": {"message": "filtered", "code": "content_filter"}}, 400, errors.ContentFilterError, "filtered"),
        ({"error": {"message": "odd"}}, 418, errors.BadRequestError, "odd"),
        ({"error": {"message": "inside"}, "choices": []}, 200, errors.ProviderError, "inside"),
    ],
)
def test_error_bodies_of_every_shape(body: Any, status: int, cls: type[errors.ProviderError], text: str) -> None:
    with pytest.raises(cls, match=text) as failed:
        decode_full(body, status=status)
    assert type(failed.value) is cls
    assert failed.value.status_code == (status if status != 200 else None)
    assert (failed.value.provider, failed.value.model) == ("openai", "m")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<html>hello</html>", "isn't JSON"),
        (b"", "empty body"),
        (b'{"choices": []}', "no choices"),
        (b'{"choices": {"message": {"content": "5"}}}', r"\$\.choices"),
        (b'{"choices": [{"message": {"content": "\xff"}}]}', "isn't JSON"),
        (b"[" * 100_000, "."),
    ],
)
def test_a_reply_that_cannot_be_understood_says_why(body: bytes, text: str) -> None:
    with serve(reply(body)) as server, pytest.raises(errors.ResponseError, match=text):
        OpenAI("m", api_key="k", base_url=server.url).blocking.chat("Hi")


def test_a_whole_reply_where_a_stream_was_asked_for_is_taken() -> None:
    body = {
        "choices": [{"message": {"content": "Hi", "tool_calls": [call(CITY, "a", "f")]}, "finish_reason": "tool_calls"}]
    }
    with serve(reply(json=body)) as server:
        response = OpenAI("m", api_key="k", base_url=server.url).blocking.stream("Hi").response()
    [decoded] = response.tool_calls
    assert (response.text, decoded.id, decoded.name, decoded.args) == ("Hi", "a", "f", {"city": "Paris"})


def test_blank_lines_before_a_body_are_no_part_of_it() -> None:
    padded = b"\n" * 300 + b'{"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}'
    with serve(reply(padded)) as server:
        assert OpenAI("m", api_key="k", base_url=server.url).blocking.chat("Hi").text == "Hi"


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(min_size=1), max_size=6), cuts=st.lists(st.integers(1, 400), max_size=8))
def test_text_survives_any_cutting_of_the_bytes(texts: list[str], cuts: list[int]) -> None:
    data = b"".join(sse(*[delta(content=text) for text in texts], STOP))
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    pieces = [data[start:end] for start, end in pairwise(places) if end > start]
    with serve(reply(pieces)) as server:
        response = OpenAI("m", api_key="k", base_url=server.url).blocking.stream("Hi").response()
    assert response.text == "".join(texts)
