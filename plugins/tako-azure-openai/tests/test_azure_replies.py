"""Replies, streams and refusals as Azure sends them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import tako
from tako.errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    NotFoundError,
    ProviderError,
    RateLimitError,
    ServerError,
)
from tako.providers import AzureOpenAI
from tako.testing.server import reply, serve, sse

SAFE = {"hate": {"filtered": False, "severity": "safe"}, "jailbreak": {"filtered": False, "detected": False}}
PROMPT = [{"prompt_index": 0, "content_filter_results": SAFE}]
FIRST = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": PROMPT}
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}


def piece(delta: dict[str, Any], finish: str | None = None, results: Any = None) -> dict[str, Any]:
    """Return one chunk of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "content_filter_results": results or {}}
    return {"id": "chatcmpl-1", "model": "gpt-4o-2024-11-20", "choices": [choice]}


def provider_at(url: str, **options: Any) -> AzureOpenAI:
    """Return a provider of a scripted server."""
    return AzureOpenAI("prod", endpoint=url, api_key="key-123", **{"max_retries": 0, **options})


def streamed(*events: Any, done: bool = True) -> tuple[str, tako.types.End]:
    """Return the text and the end of a stream of these events."""
    with serve(reply(sse(*events, done=done))) as server:
        *deltas, end = list(provider_at(server.url).blocking.stream("Hi"))
    assert isinstance(end, tako.types.End)
    return "".join(delta.text or "" for delta in deltas if isinstance(delta, tako.types.Delta)), end


def test_a_reply_has_the_content_filter_results_in_raw() -> None:
    body = {
        "id": "chatcmpl-1",
        "model": "gpt-4o-2024-11-20",
        "prompt_filter_results": PROMPT,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "content_filter_results": SAFE,
                "message": {"role": "assistant", "content": "Hello.", "refusal": None, "annotations": []},
            }
        ],
        "usage": USAGE,
    }
    with serve(reply(json=body)) as server:
        response = provider_at(server.url).blocking.chat("Hi")
    assert (response.text, response.finish_reason, response.model) == ("Hello.", "stop", "gpt-4o-2024-11-20")
    assert response.usage == tako.Usage(7, 2, 4)
    assert response.raw["prompt_filter_results"] == PROMPT
    assert response.raw["choices"][0]["content_filter_results"] == SAFE


def test_a_stream_begins_with_the_prompts_results_and_keeps_them() -> None:
    text, end = streamed(
        FIRST,
        piece({"role": "assistant", "content": ""}),
        piece({"content": "Hel"}, results={"hate": {"filtered": False, "severity": "low"}}),
        piece({"content": 'lo "filtered"'}, results=SAFE),
        piece({}, "stop"),
        {"id": "chatcmpl-1", "model": "gpt-4o-2024-11-20", "choices": [], "usage": USAGE},
    )
    assert text == 'Hello "filtered"'
    assert (end.id, end.model, end.usage) == ("chatcmpl-1", "gpt-4o-2024-11-20", tako.Usage(7, 2, 4))
    assert end.raw["prompt_filter_results"] == PROMPT
    assert end.raw["choices"] == [{"content_filter_results": SAFE}]
    assert end.raw["usage"] == USAGE


def test_a_stream_without_results_has_no_raw() -> None:
    _, end = streamed({"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]})
    assert end.raw is None


def test_results_after_the_text_are_kept() -> None:
    """The asynchronous filter sends them in chunks without a delta."""
    late = {
        "choices": [{"index": 0, "finish_reason": None, "content_filter_results": SAFE, "content_filter_offsets": {}}]
    }
    text, end = streamed(FIRST, piece({"content": "Hi"}), late, piece({}, "stop"))
    assert text == "Hi"
    assert end.raw["choices"] == [{"content_filter_results": SAFE}]


def test_a_filtered_answer_ends_with_its_finish_reason() -> None:
    hit = {"violence": {"filtered": True, "severity": "high"}}
    with serve(reply(sse(FIRST, piece({"content": "Once"}), piece({}, "content_filter", hit)))) as server:
        stream = provider_at(server.url).blocking.stream("Hi")
        list(stream)
        response = stream.response()
    assert (response.text, response.finish_reason) == ("Once", "content_filter")
    assert response.raw["choices"][0]["content_filter_results"] == hit


FILTERED = {
    "message": "The response was filtered due to the prompt triggering the content management policy.",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
    "status": 400,
    "innererror": {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
    },
}
INNER_ONLY = {**FILTERED, "code": None, "type": "invalid_request_error"}


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, {"error": FILTERED}, ContentFilterError, "The response was filtered"),
        (400, {"error": INNER_ONLY}, ContentFilterError, "The response was filtered"),
        (400, {"error": {"code": "context_length_exceeded", "message": "too long"}}, ContextLengthError, "too long"),
        (400, {"error": {"code": "OperationNotSupported", "message": "not here"}}, BadRequestError, "not here"),
        (401, {"statusCode": 401, "message": "Unauthorized", "activityId": "a-1"}, AuthenticationError, "Unauthorized"),
        (401, {"error": {"code": "401", "message": "Access denied"}}, AuthenticationError, "Access denied"),
        (404, {"error": {"code": "DeploymentNotFound", "message": "no such"}}, NotFoundError, "no such"),
        (404, {"error": {"code": "404", "message": "Resource not found"}}, NotFoundError, "Resource not found"),
        (429, {"error": {"code": "429", "message": "rate"}}, RateLimitError, "rate"),
        (429, {"error": {"code": "RateLimitReached", "message": "rate"}}, RateLimitError, "rate"),
        (429, {"statusCode": 429, "message": "Rate limit is exceeded."}, RateLimitError, "Rate limit is exceeded"),
        (500, {"error": {"type": "server_error", "message": "sorry", "code": None}}, ServerError, "sorry"),
    ],
)
def test_refusals_have_their_class(status: int, body: Any, kind: type[ProviderError], message: str) -> None:
    script = reply(json=body, status=status, headers={"apim-request-id": "r-1", "retry-after": "86400"})
    with serve(script) as server, pytest.raises(kind, match=message) as caught:
        provider_at(server.url, max_retries=2).blocking.chat("Hi")
    assert type(caught.value) is kind
    assert (caught.value.status_code, caught.value.request_id) == (status, "r-1")
    assert (caught.value.provider, caught.value.model) == ("azure-openai", "prod")


def test_a_filtered_prompt_says_which_filter_matched() -> None:
    with serve(reply(json={"error": FILTERED}, status=400)) as server, pytest.raises(ContentFilterError) as caught:
        provider_at(server.url).blocking.chat("Hi")
    assert caught.value.code == "content_filter"
    filters = msgspec.json.decode(caught.value.body or "")["error"]["innererror"]["content_filter_result"]
    assert filters["violence"]["filtered"] is True
    assert caught.value.retryable is False


@pytest.mark.parametrize("first", [True, False])
def test_an_error_inside_a_stream_has_the_same_class_as_before_it(first: bool) -> None:
    events = [] if first else [FIRST, piece({"content": "Hel"})]
    with serve(reply(sse(*events, {"error": FILTERED}, done=False))) as server, pytest.raises(ContentFilterError):
        list(provider_at(server.url).blocking.stream("Hi"))
