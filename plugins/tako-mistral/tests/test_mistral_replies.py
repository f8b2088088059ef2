"""Replies, streams and refusals as Mistral sends them."""

from __future__ import annotations

from typing import Any

import pytest

import tako
from tako.errors import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    ServerError,
    StreamTruncatedError,
)
from tako.parts import Citation, TextPart, VendorPart
from tako.providers import Mistral
from tako.testing.server import reply, serve, sse


def thinking(text: str, **state: Any) -> dict[str, Any]:
    """Return a thinking chunk."""
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **state}


def text(text: str) -> dict[str, Any]:
    """Return a text chunk."""
    return {"type": "text", "text": text}


def complete(content: Any, finish: str = "stop", **usage: Any) -> dict[str, Any]:
    """Return a reply's body."""
    message = {"role": "assistant", "tool_calls": None, "content": content}
    counts = {"prompt_tokens": 31, "completion_tokens": 66, "total_tokens": 97, **usage}
    choices = [{"index": 0, "finish_reason": finish, "message": message}]
    return {
        "id": "a157",
        "object": "chat.completion",
        "model": "mistral-small-latest",
        "usage": counts,
        "choices": choices,
    }


def piece(content: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a chunk of a stream, with its padding."""
    choice = {"index": 0, "delta": {"content": content, **more}, "finish_reason": finish}
    return {"id": "7bfa", "model": "mistral-small-latest", "choices": [choice], "p": "abcdefghijklmnop"}


def chatted(*script: Any, **options: Any) -> tako.ChatResponse:
    """Return the response to a scripted body."""
    with serve(*script) as server:
        return Mistral("mistral-small-latest", base_url=server.url, api_key="k", **options).blocking.chat("Hi")


def streamed(*events: Any, done: bool = True) -> tako.ChatResponse:
    """Return the folded response to scripted events."""
    with serve(reply(sse(*events, done=done))) as server:
        provider = Mistral("mistral-small-latest", base_url=server.url, api_key="k", max_retries=0)
        stream = provider.blocking.stream("Hi")
        list(stream)
        return stream.response()


def parts_of(response: tako.ChatResponse) -> list[Any]:
    """Return the text and the state of each part."""
    return [(getattr(part, "text", ""), part.state and part.state.data) for part in response.message.parts]


def test_thinking_and_text_are_separate_parts_in_their_order() -> None:
    content = [
        thinking("12 x 12", closed=True, signature="s1"),
        text("It is "),
        text("144."),
        thinking("Sure?"),
        text("Yes."),
    ]
    response = chatted(reply(json=complete(content)))
    assert parts_of(response) == [
        ("12 x 12", {"type": "thinking", "closed": True, "signature": "s1"}),
        ("It is 144.", None),
        ("Sure?", {"type": "thinking"}),
        ("Yes.", None),
    ]
    assert (response.text, response.reasoning) == ("It is 144.Yes.", "12 x 12Sure?")


def test_a_stream_switches_between_lists_and_strings() -> None:
    response = streamed(
        piece("", role="assistant"),
        piece([thinking("12 ")]),
        piece([thinking("x 12", closed=True, signature="s1")]),
        piece([thinking("!", closed=True, signature="s1")]),
        piece("It is "),
        piece([text("144.")]),
        {**piece("", "stop"), "usage": {"prompt_tokens": 10, "completion_tokens": 63, "num_cached_tokens": 5}},
    )
    assert parts_of(response) == [
        ("12 x 12!", {"type": "thinking", "closed": True, "signature": "s1"}),
        ("It is 144.", None),
    ]
    assert (response.finish_reason, response.usage) == ("stop", tako.Usage(10, 63, 5))


def test_a_signature_is_kept_when_calls_or_the_end_follow_it() -> None:
    call = {"id": "D681PevKs", "index": 0, "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    first = streamed(piece([thinking("Hm.", signature="s1")]), piece("", "tool_calls", tool_calls=[call]))
    assert parts_of(first)[0] == ("Hm.", {"type": "thinking", "signature": "s1"})
    assert [(call.id, call.args) for call in first.tool_calls] == [("D681PevKs", {"city": "Paris"})]
    last = streamed(piece([thinking("A", signature="s1"), thinking("B", signature="s2")]), piece("", "length"))
    signed = [("A", {"type": "thinking", "signature": "s1"}), ("B", {"type": "thinking", "signature": "s2"})]
    assert parts_of(last) == signed


def test_an_empty_piece_ends_a_thinking_chunk() -> None:
    end = {"type": "thinking", "thinking": [], "closed": True}
    response = streamed(piece([thinking("A")]), piece([end]), piece([thinking("B")]), piece([end]), piece("", "stop"))
    assert parts_of(response) == [
        ("A", {"type": "thinking", "closed": True}),
        ("B", {"type": "thinking", "closed": True}),
    ]


def test_a_signature_without_a_thought_does_not_end_the_text_before_it() -> None:
    sealed = {"type": "thinking", "thinking": [], "signature": "s1"}
    response = streamed(piece("One."), piece([sealed]), piece("Two.", "stop"))
    assert parts_of(response) == [("One.", None), ("", {"type": "thinking", "signature": "s1"}), ("Two.", None)]


@pytest.mark.parametrize("mode", ["complete", "streamed"])
def test_references_keep_their_position_and_are_cited_by_the_text_before_them(mode: str) -> None:
    reference = {"type": "tool_reference", "tool": "web_search", "title": "T", "url": "https://example.org/"}
    content = [text("See"), {"type": "reference", "reference_ids": [1, "b"]}, text(" there."), reference]
    response = chatted(reply(json=complete(content))) if mode == "complete" else streamed(piece(content, "stop"))
    assert [type(part) for part in response.message.parts] == [TextPart, VendorPart, TextPart, VendorPart]
    assert response.citations == [
        Citation(source="1"),
        Citation(source="b"),
        Citation("https://example.org/", "T", source="web_search"),
    ]


@pytest.mark.parametrize("mode", ["complete", "streamed"])
def test_all_references_in_a_row_are_of_the_text_before_them(mode: str) -> None:
    one, two, other = ({"type": "reference", "reference_ids": [id]} for id in (1, 2, 3))
    content = [text("See"), one, two, thinking("Hm."), other]
    response = chatted(reply(json=complete(content))) if mode == "complete" else streamed(piece(content, "stop"))
    assert response.citations == [Citation(source="1"), Citation(source="2")]


@pytest.mark.parametrize(
    ("vendor_reason", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_calls"),
        ("error", "error"),
    ],
)
def test_finish_reasons(vendor_reason: str, reason: str) -> None:
    assert chatted(reply(json=complete("Hi", vendor_reason))).finish_reason == reason
    assert streamed(piece("Hi", vendor_reason)).finish_reason == reason


@pytest.mark.parametrize("usage", [{"num_cached_tokens": 8}, {"prompt_tokens_details": {"cached_tokens": 8}}])
def test_cached_tokens_are_counted_in_either_field(usage: dict[str, Any]) -> None:
    assert chatted(reply(json=complete("Hi", **usage))).usage == tako.Usage(31, 66, 8)


def test_a_call_and_its_result_make_a_second_turn() -> None:
    call = {"id": "null", "function": {"name": "now", "arguments": {}}}
    first = complete("", "tool_calls")
    first["choices"][0]["message"]["tool_calls"] = [call, call]
    with serve(reply(json=first), reply(json=complete("Noon."))) as server:
        provider = Mistral("m", base_url=server.url, api_key="k").blocking
        question = tako.Message.user("Time?")
        response = provider.chat([question])
        results = [tako.Message.tool(call.id, "12:00") for call in response.tool_calls]
        assert provider.chat([question, response.message, *results]).text == "Noon."
    _, calls, *answers = server.requests[1].json["messages"]
    assert [call["id"] for call in calls["tool_calls"]] == [answer["tool_call_id"] for answer in answers]
    assert len({answer["tool_call_id"] for answer in answers}) == 2


def mistral_error(message: Any, type: str, code: str | None) -> dict[str, Any]:
    """Return an error as Mistral sends it."""
    return {"object": "error", "message": message, "type": type, "param": None, "code": code, "raw_status_code": 400}


EXTRA = [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 1}]


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (401, {"detail": "Invalid API Key"}, AuthenticationError, "Invalid API Key"),
        (422, {"detail": EXTRA}, BadRequestError, "body.seed: Extra inputs are not permitted"),
        (
            422,
            mistral_error({"detail": EXTRA}, "invalid_request_error", None),
            BadRequestError,
            "body.seed: Extra inputs are not permitted",
        ),
        (400, mistral_error("Invalid model: x", "invalid_model", "1500"), NotFoundError, "Invalid model: x"),
        (400, mistral_error("Unexpected role", "invalid_request_message_order", "3230"), BadRequestError, "Unexpected"),
        (429, mistral_error("Rate limit exceeded", "rate_limited", "1300"), RateLimitError, "Rate limit exceeded"),
        (503, mistral_error("capacity", "service_tier_capacity_exceeded", "3505"), OverloadedError, "capacity"),
        (502, "<html><body>Bad gateface</body></html>", ServerError, "HTML page"),
    ],
)
def test_refusals_have_their_class(status: int, body: Any, kind: type[ProviderError], message: str) -> None:
    script = reply(body, status=status) if isinstance(body, str) else reply(json=body, status=status)
    with pytest.raises(kind, match=message) as caught:
        chatted(script, max_retries=0)
    assert type(caught.value) is kind
    assert (caught.value.status_code, caught.value.provider) == (status, "mistral")


def test_an_error_inside_a_stream_or_a_reply_has_the_same_class_as_before_it() -> None:
    error = {**mistral_error("Rate limit exceeded", "rate_limited", "1300"), "raw_status_code": 429}
    with pytest.raises(RateLimitError, match="Rate limit exceeded") as caught:
        streamed(piece("Hel"), error, done=False)
    assert caught.value.status_code == 429
    with pytest.raises(RateLimitError, match="Rate limit exceeded"):
        chatted(reply(json=error), max_retries=0)


def test_a_stream_without_an_end_is_truncated() -> None:
    with pytest.raises(StreamTruncatedError) as caught:
        streamed(piece([thinking("Hm.", signature="s1")]), piece("Hel"), done=False)
    assert caught.value.partial is not None
    assert (caught.value.partial.reasoning, caught.value.partial.text) == ("Hm.", "Hel")
