"""What some servers of the Chat Completions dialect make of it: shapes that OpenAI's own replies never have."""

from __future__ import annotations

from typing import Any

import pytest
from tako_openai import OpenAI

from tako import ChatRequest, ChatResponse, FinishReason, Message, errors
from tako.parts import FilePart, ImagePart, ImageUrlPart, TextPart, ToolCallPart, VendorPart
from tako.testing.server import reply, serve, sse
from tako.types import Usage

PIXEL = "data:image/png;base64,iVBORw0KGgo="


def ask_stream(*pieces: bytes, **scripted: Any) -> ChatResponse:
    with serve(reply(list(pieces), **scripted)) as server:
        return OpenAI("m", api_key="k", base_url=server.url, max_retries=0).blocking.stream("Hi").response()


def streamed(*events: Any) -> ChatResponse:
    return ask_stream(*sse(*events))


def decode_full(body: Any, **scripted: Any) -> ChatResponse:
    scripted = {"json": body, **scripted} if not isinstance(body, bytes) else {"body": body, **scripted}
    with serve(reply(**scripted)) as server:
        return OpenAI("m", api_key="k", base_url=server.url, max_retries=0).blocking.chat("Hi")


def delta(finish: str | None = None, index: int = 0, **fields: Any) -> dict[str, Any]:
    return {"id": "c1", "model": "m-1", "choices": [{"index": index, "delta": fields, "finish_reason": finish}]}


def call(arguments: Any = "", **fields: Any) -> dict[str, Any]:
    name = fields.pop("name", None)
    return {**fields, "function": {"arguments": arguments, **({"name": name} if name else {})}}


def message(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", **fields}, "finish_reason": "stop"}]}


def notices_of(response: ChatResponse) -> list[tuple[str, str, Any]]:
    return [(call.id, call.name, call.args) for call in response.tool_calls]


STOP = delta("stop")


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 8, "completion_tokens": 2, "cached_tokens": 6}, Usage(8, 2, 6)),
        ({"prompt_tokens": 8.0, "completion_tokens": 2.0}, Usage(8, 2)),
        ({"prompt_tokens": 8, "completion_tokens": "many", "prompt_tokens_details": []}, Usage(8)),
        ({"prompt_tokens": -3, "completion_tokens": 2}, Usage(0, 2)),
        ("none", Usage()),
        ([], Usage()),
    ],
    ids=["Together's cached tokens", "floats", "odd fields", "negative", "text", "a list"],
)
def test_counts_of_any_shape_are_read_as_far_as_they_are_counts(usage: Any, counted: Usage) -> None:
    assert decode_full({**message(content="Hi"), "usage": usage}).usage == counted
    assert streamed(delta(content="Hi"), {**STOP, "usage": usage}).usage == counted


def test_counts_in_the_choice_are_read_where_there_are_no_others() -> None:
    counted = {"prompt_tokens": 8, "completion_tokens": 2}
    inside = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": counted}]}
    assert streamed(delta(content="Hi"), inside).usage == Usage(8, 2)
    assert streamed(inside, {"choices": [], "usage": {"prompt_tokens": 9}}).usage == Usage(9, 2)


def test_a_last_chunk_without_counts_takes_none_away() -> None:
    assert streamed({**STOP, "usage": {"prompt_tokens": 8}}, {"choices": [], "usage": {}}).usage == Usage(8)


def test_an_id_or_a_model_of_another_type_is_no_reason_to_lose_a_reply() -> None:
    odd = {**delta(content="Hi"), "id": 17, "model": None}
    assert streamed(odd, {**STOP, "id": 17, "model": None}).text == "Hi"
    assert decode_full({**message(content="Hi"), "id": 17, "model": {}}).id == "17"


def test_calls_without_index_and_id_are_told_apart_by_their_place() -> None:
    response = streamed(
        delta(tool_calls=[call(id="a", name="f"), call(id="b", name="g")]),
        delta(tool_calls=[call('{"x":'), call('{"y":')]),
        delta(tool_calls=[call("1}"), call("2}")]),
        STOP,
    )
    assert response.tool_calls == [ToolCallPart("a", "f", {"x": 1}), ToolCallPart("b", "g", {"y": 2})]


@pytest.mark.parametrize("index", [None, 0, "zero"])
def test_calls_without_arguments_that_follow_each_other_stay_apart(index: Any) -> None:
    response = streamed(
        delta(tool_calls=[call("", id="a", name="f", index=index)]),
        delta(tool_calls=[call("", id="b", name="g", index=index)]),
        STOP,
    )
    assert response.tool_calls == [ToolCallPart("a", "f", {}), ToolCallPart("b", "g", {})]


def test_nameless_ids_and_indexes_leave_calls_of_one_delta_apart() -> None:
    response = streamed(delta(tool_calls=[call("", name="f"), call("", name="f"), call("{}", name="g")]), STOP)
    assert [(part.name, part.args) for part in response.tool_calls] == [("f", {}), ("f", {}), ("g", {})]
    assert len({part.id for part in response.tool_calls}) == 3


def test_an_index_that_changes_within_a_call_does_not_cut_it() -> None:
    response = streamed(
        delta(tool_calls=[call('{"x":', id="a", name="f", index=0)]),
        delta(tool_calls=[call("1}", id="a", index=1)]),
        STOP,
    )
    assert response.tool_calls == [ToolCallPart("a", "f", {"x": 1})]


def test_the_input_of_a_custom_tool_is_the_argument_of_its_call() -> None:
    call = {"id": "a", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    assert notices_of(decode_full(message(content=None, tool_calls=[call]))) == [("a", "sql", "select 1")]
    rest = {"index": 0, "custom": {"input": " 1"}}
    first = {**call, "index": 0, "custom": {"name": "sql", "input": "select"}}
    assert notices_of(streamed(delta(tool_calls=[first]), delta(tool_calls=[rest]), STOP)) == [("a", "sql", "select 1")]


def test_arguments_that_are_a_list_are_kept() -> None:
    assert decode_full(message(tool_calls=[call([], id="a", name="f")])).tool_calls == [ToolCallPart("a", "f", [])]


def test_other_answers_to_the_same_question_are_passed_over_wherever_they_stand() -> None:
    both = {"choices": [delta(content="no", index=1)["choices"][0], delta(content="yes")["choices"][0]]}
    response = streamed(both, delta("stop"), delta("length", index=1))
    assert (response.text, response.finish_reason) == ("yes", FinishReason.STOP)
    swapped = [{"index": 1, "message": {"content": "no"}}, {"index": 0, "message": {"content": "yes"}}]
    assert decode_full({"choices": swapped}).text == "yes"


@pytest.mark.parametrize(
    ("event", "cls"),
    [
        ({"choices": [{"index": 0, "delta": {}, "error": {"code": 429, "message": "slow"}}]}, errors.RateLimitError),
        (b"event: error\ndata: slow down\n\n", errors.ProviderError),
        (b'event: error\ndata: "slow down"\n\n', errors.ProviderError),
        (b'event: error\ndata: {"message": "slow", "code": 429}\n\n', errors.RateLimitError),
    ],
    ids=["in the choice", "plain text", "JSON text", "without error"],
)
def test_an_error_within_a_stream_may_have_any_shape(event: Any, cls: type[errors.ProviderError]) -> None:
    first = b"".join(sse(delta(content="Hi"), done=False))
    with pytest.raises(cls, match="slow") as failed:
        ask_stream(first, event if isinstance(event, bytes) else b"".join(sse(event)))
    assert type(failed.value) is cls


@pytest.mark.parametrize(
    "odd", [b"data:\n\n", b"data:  \n\n", b"event: ping\ndata: now\n\n", b"event: ping\ndata: {}\n\n", b": ping\n\n"]
)
def test_keep_alives_of_any_shape_are_passed_over(odd: bytes) -> None:
    assert ask_stream(odd, *sse(delta(content="Hi"), done=False), odd, *sse(STOP)).text == "Hi"


def test_white_space_after_done_is_no_part_of_it() -> None:
    assert ask_stream(*sse(delta(content="Hi"), done=False), b"data: [DONE] \n\n").text == "Hi"


def test_half_an_emoji_is_marked_and_the_rest_of_the_reply_is_kept() -> None:
    halves = [rb'{"choices":[{"delta":{"content":"a\ud83d"}}]}', rb'{"choices":[{"delta":{"content":"\\ud83d b"}}]}']
    events = [b"data: " + half + b"\n\n" for half in halves]
    assert ask_stream(*events, *sse(STOP)).text == "a\N{REPLACEMENT CHARACTER}\\ud83d b"
    body = rb'{"choices":[{"message":{"content":"\ud83d\ude00 \ud83d"},"finish_reason":"stop"}]}'
    assert decode_full(body).text == "\N{GRINNING FACE} \N{REPLACEMENT CHARACTER}"


def test_a_byte_order_mark_before_a_body_is_no_part_of_it() -> None:
    body = b'\xef\xbb\xbf{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'
    response = decode_full(body)
    assert (response.text, response.raw["choices"][0]["finish_reason"]) == ("Hi", "stop")


def test_events_that_call_themselves_one_document_are_read_as_events() -> None:
    pieces = [b"\n", *sse(delta(content="Hi"), STOP)]
    assert ask_stream(*pieces, headers={"content-type": "application/json"}).text == "Hi"


@pytest.mark.parametrize("blank", [b"", b"\n\n ", b"\xef\xbb\xbf"])
def test_one_document_that_calls_itself_events_is_read_as_one(blank: bytes) -> None:
    body = b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'
    assert ask_stream(blank, body, headers={"content-type": "text/event-stream"}).text == "Hi"


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_an_empty_body_is_no_reply_whatever_it_calls_itself(kind: str) -> None:
    with pytest.raises(errors.ResponseError):
        ask_stream(b"\n", headers={"content-type": kind})


def test_images_that_a_model_drew_are_parts_of_the_reply_whole_and_streamed() -> None:
    images = [{"type": "image_url", "image_url": {"url": url}} for url in (PIXEL, "https://img.example/a.png")]
    for response in (
        decode_full(message(content="Here:", images=images)),
        streamed(delta(content="Here:", images=images[:1]), delta(images=images[1:]), STOP),
    ):
        text, inline, named = response.message.parts
        assert text == TextPart("Here:")
        assert isinstance(inline, ImagePart)
        assert (inline.mime, inline.data_b64) == ("image/png", "iVBORw0KGgo=")
        assert isinstance(named, ImageUrlPart)
        assert named.url == "https://img.example/a.png"
        assert response.raw["choices"][0]["message"]["images"] == images
        assert response.notices == []


def test_arguments_that_are_nested_too_deep_stay_text() -> None:
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000  # Python 3.13 reads 10,000 levels
    assert streamed(delta(tool_calls=[call(deep, id="a", name="f", index=0)]), STOP).tool_calls[0].args == deep
    assert decode_full(message(tool_calls=[call(deep, id="a", name="f")])).tool_calls[0].args == deep


@pytest.mark.parametrize("body", [b"[" * 5000, b"[" * 900 + b"]" * 900, b'{"error":' * 5000])
def test_a_refusal_that_is_nested_too_deep_has_the_class_of_its_status(body: bytes) -> None:
    with pytest.raises(errors.ServerError):
        decode_full(body, status=500)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"success": False, "errors": [{"code": 7003, "message": "no route"}]}, "no route"),
        ({"error_code": 17, "error_msg": "daily limit"}, "daily limit"),
        ({"error": {"type": "error", "error": {"message": "too long"}}}, " too long; "),
        ({"error": {"code": "x", "message": ""}, "message": "outer"}, " outer; "),
        ({"status": 500, "title": "Internal", "type": "about:blank"}, " Internal; "),
        ({"error": ["not valid"]}, "not valid"),
        ({"fault": {"faultstring": "quota"}}, "quota"),
        ({}, "HTTP 500"),
    ],
)
def test_what_a_refusal_says_is_in_the_error_whatever_its_shape(body: Any, text: str) -> None:
    with pytest.raises(errors.ServerError, match=text):
        decode_full(body, status=500)


@pytest.mark.parametrize("late", [False, True], ids=["first", "late"])
def test_the_sound_of_a_stream_is_put_together(late: bool) -> None:
    pieces: list[dict[str, Any]] = [
        {"transcript": "Hel"},
        {"data": "AAE=", "transcript": "lo"},
        {"data": "Ag==", "expires_at": 9},
    ]
    pieces[2 if late else 0]["id"] = "a1"
    response = streamed(*[delta(audio=piece) for piece in pieces], STOP)
    assert response.text == "Hello"
    assert [part.data_b64 for part in response.files if isinstance(part, FilePart)] == ["AAEC"]
    assert response.notices == []


def test_the_sound_of_a_stream_that_has_no_id_is_put_together() -> None:
    response = streamed(
        delta(audio={"transcript": "Hel"}),
        delta(audio={"data": "AAE=", "transcript": "lo"}),
        delta(audio={"data": "Ag==", "expires_at": 9}),
        STOP,
    )
    [part] = response.message.parts
    assert isinstance(part, VendorPart)
    assert part.state is not None
    assert part.state.data == {"audio": {"data": "AAEC", "transcript": "Hello", "expires_at": 9}}
    assert response.notices == []


def choices(*messages: dict[str, Any], place: str = "message", finish: str | None = "tool_calls") -> dict[str, Any]:
    spread = [{"index": n, place: message, "finish_reason": finish} for n, message in enumerate(messages)]
    return {"id": 7, "choices": spread}


@pytest.mark.parametrize("place", ["message", "delta"])
def test_an_answer_that_is_spread_over_choices_loses_no_call(place: str) -> None:
    calls = [call('{"n": 1}', id="a", name="f"), call('{"n": 2}', id="b", name="f")]
    spread = choices({"content": "I look."}, {"tool_calls": calls[:1]}, {"tool_calls": calls[1:]}, place=place)
    response = streamed(spread) if place == "delta" else decode_full(spread)
    assert (response.text, [one.args for one in response.tool_calls]) == ("I look.", [{"n": 1}, {"n": 2}])
    assert response.id == "7"


def test_calls_of_alternatives_that_were_asked_for_stay_apart() -> None:
    alternatives = choices(*[{"tool_calls": [call("{}", id=id, name="f")]} for id in "ab"])
    with serve(reply(json=alternatives)) as server:
        provider = OpenAI("m", api_key="k", base_url=server.url, max_retries=0).blocking
        response = provider.chat(ChatRequest([Message.user("Hi")], extra={"n": 2}))
    assert [one.id for one in response.tool_calls] == ["a"]


@pytest.mark.parametrize("body", [{"choices": [{"finish_reason": "stop"}]}, {"choices": [{"index": 0}]}])
def test_a_choice_that_says_nothing_is_no_empty_answer(body: Any) -> None:
    with pytest.raises(errors.ResponseError, match="no message"):
        decode_full(body)
    if "finish_reason" in body["choices"][0]:
        with pytest.raises(errors.ResponseError, match="no message"):
            streamed(body)


@pytest.mark.parametrize("finish_word", ["content_filter", "length"])
def test_a_choice_may_lack_its_message_if_it_says_why(finish_word: str) -> None:
    assert decode_full({"choices": [{"finish_reason": finish_word}]}).finish_word == finish_word
    assert streamed({"choices": [{"finish_reason": finish_word}]}).finish_word == finish_word


def test_a_reply_is_read_wherever_its_text_stands() -> None:
    for body in ({"delta": {"content": "Hi"}}, {"text": "Hi"}, {"message": {"content": "Hi"}}):
        reply_ = {"choices": [{**body, "finish_reason": "stop"}]}
        assert decode_full(reply_).text == "Hi"
        assert streamed(reply_).text == "Hi"


def test_an_empty_delta_beside_the_message_is_nothing() -> None:
    both = {"message": {"content": "Hi"}, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    assert decode_full({"choices": [both]}).text == "Hi"


@pytest.mark.parametrize(
    ("finish_word", "reason"),
    [
        ("end_turn", "stop"),
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("max_output_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("SAFETY", "content_filter"),
        ("guardrail_intervened", "content_filter"),
        ("network_error", "error"),
        ("pause_turn", "pause"),
        ("whatever", "other"),
    ],
)
def test_gateways_hand_through_the_words_of_other_wires(finish_word: str, reason: str) -> None:
    response = decode_full({"choices": [{"message": {"content": "Hi"}, "finish_reason": finish_word}]})
    assert (response.finish_reason, response.finish_word) == (reason, finish_word)


def test_a_whole_reply_says_its_message_though_it_has_an_empty_delta_too() -> None:
    choice = {"message": {"role": "assistant", "content": "Hello."}, "delta": {"role": "assistant", "content": ""}}
    body = {"choices": [{"index": 0, "finish_reason": "stop", **choice}]}
    with serve(reply(json=body)) as server:
        response = OpenAI("m", api_key="k", base_url=server.url).blocking.chat("Hi")
    assert response.text == "Hello."
