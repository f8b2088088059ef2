"""What tako-vertex makes of whole replies and of refusals."""

from __future__ import annotations

from typing import Any

import pytest
from tako_vertex import Vertex

from tako import ChatRequest, ChatResponse, FinishReason, Message, Usage, errors
from tako.parts import ImagePart, ReasoningPart, TextPart, ToolCallPart, VendorPart
from tako.state import Origin, State
from tako.testing.server import Reply, reply, serve


def state(**data: Any) -> State:
    return State(Origin("vertex", "gemini-2.5-flash"), data)


def answer(*parts: Any, finish: str | None = "STOP", **fields: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, **({"finishReason": finish} if finish else {})}
    return {"candidates": [candidate], **fields}


def ask(answer: Any) -> ChatResponse:
    with serve(answer if isinstance(answer, Reply) else reply(json=answer)) as server:
        provider = Vertex(
            "gemini-2.5-flash", project_id="p", access_token="ya29.x", endpoint_url=server.url, max_retries=0
        )
        return provider.blocking.chat("Hello")


def test_parts_keep_their_order_and_signatures() -> None:
    response = ask(
        answer(
            {"text": "hm", "thought": True},
            {"text": "Hi", "thoughtSignature": "s1"},
            {"executableCode": {"code": "1"}, "thoughtSignature": "s9"},
            {"functionCall": {"name": "f", "args": {"a": 1}, "id": "g1"}, "thoughtSignature": "s2"},
            {"text": "", "thoughtSignature": "s3"},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            modelVersion="gemini-2.5-flash-001",
            responseId="r1",
        )
    )
    assert response.message.parts == [
        ReasoningPart("hm", state()),
        TextPart("Hi", state=state(thoughtSignature="s1")),
        VendorPart("executableCode", state(executableCode={"code": "1"}, thoughtSignature="s9")),
        ToolCallPart("g1", "f", {"a": 1}, state(thoughtSignature="s2")),
        TextPart("", state=state(thoughtSignature="s3")),
        ImagePart("image/png", "AAAA", state()),
    ]
    assert (response.model, response.id) == ("gemini-2.5-flash-001", "r1")
    assert response.finish_reason is FinishReason.TOOL_CALLS
    assert response.raw["candidates"][0]["content"]["parts"][2] == {
        "executableCode": {"code": "1"},
        "thoughtSignature": "s9",
    }


def test_a_reply_goes_back_unchanged() -> None:
    parts = [
        {"text": "hm", "thought": True, "thoughtSignature": "s0"},
        {"text": "Hi", "thoughtSignature": "s1"},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "s2"},
        {"functionCall": {"id": "g", "name": "f", "args": {"a": [1]}}},
    ]
    with serve(reply(json=answer(*parts))) as server:
        provider = Vertex("gemini-3-pro", project_id="p", access_token="t", endpoint_url=server.url)
        first = provider.blocking.chat("Hello")
        results = [Message.tool(call.id, {"ok": True}) for call in first.tool_calls]
        provider.blocking.chat(ChatRequest([Message.user("Hello"), first.message, *results]))
    contents = server.requests[1].json["contents"]
    assert contents[1] == {"role": "model", "parts": parts}
    assert [part["functionResponse"].get("id") for part in contents[2]["parts"]] == [None, "g"]


def test_calls_without_a_unique_id_get_one() -> None:
    calls = ask(
        answer({"functionCall": {"name": "f"}}, *[{"functionCall": {"name": "f", "id": "x", "args": None}}] * 2)
    ).tool_calls
    assert [call.args for call in calls] == [{}, {}, {}]
    assert calls[1].id == "x"
    assert len({call.id for call in calls}) == 3


def test_usage_counts_tool_prompts_as_input_and_thoughts_as_output() -> None:
    counts = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 4,
        "cachedContentTokenCount": 6,
    }
    assert ask(answer({"text": "x"}, usageMetadata=counts)).usage == Usage(15, 7, 6, 0, 4)
    assert ask(answer({"text": "x"}, usageMetadata={"promptTokenCount": 2})).usage == Usage(2)


@pytest.mark.parametrize(
    ("vendor_reason", "expected"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("UNEXPECTED_TOOL_CALL", "error"),
        ("SOMETHING_NEW", "other"),
    ],
)
def test_finish_reasons(vendor_reason: str, expected: str) -> None:
    candidate = {"finishReason": vendor_reason, "finishMessage": "because"}
    for variant in (candidate, {**candidate, "content": {}}, {**candidate, "content": {"role": "model"}}):
        response = ask({"candidates": [variant]})
        assert (response.finish_reason, response.message.parts) == (expected, [])
        expected_codes = {"stop": ["empty_reply"], "length": []}.get(expected, ["blocked"])
        assert [notice.code for notice in response.notices] == expected_codes


def test_a_refused_prompt_has_the_finish_reason_content_filter_and_a_notice() -> None:
    response = ask({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}})
    assert (response.finish_reason, response.text, response.usage.input_tokens) == ("content_filter", "", 4)
    assert "PROHIBITED_CONTENT" in response.notices[0].message


def test_other_candidates_are_not_mixed_in() -> None:
    body = answer({"text": "one"})
    body["candidates"].append({"index": 1, "content": {"parts": [{"text": "two"}]}})
    assert ask(body).text == "one"


@pytest.mark.parametrize("answer", [reply(json={}), reply("[]"), reply("<html>"), reply(""), reply("{"), reply("[1]")])
def test_an_invalid_reply_is_a_response_error(answer: Reply) -> None:
    with pytest.raises(errors.ResponseError):
        ask(answer)


STATUSES: list[tuple[int, str, type[errors.ProviderError]]] = [
    (400, "INVALID_ARGUMENT", errors.BadRequestError),
    (400, "FAILED_PRECONDITION", errors.BadRequestError),
    (401, "UNAUTHENTICATED", errors.AuthenticationError),
    (403, "PERMISSION_DENIED", errors.PermissionDeniedError),
    (404, "NOT_FOUND", errors.NotFoundError),
    (409, "ABORTED", errors.ServerError),
    (429, "RESOURCE_EXHAUSTED", errors.RateLimitError),
    (500, "INTERNAL", errors.ServerError),
    (503, "UNAVAILABLE", errors.OverloadedError),
    (504, "DEADLINE_EXCEEDED", errors.ServerError),
]


@pytest.mark.parametrize(("error_status", "code", "cls"), STATUSES)
@pytest.mark.parametrize("in_list", [False, True])
def test_an_error_is_the_same_class_before_and_after_status_200(
    error_status: int, code: str, cls: type[errors.ProviderError], in_list: bool
) -> None:
    body: Any = {"error": {"code": error_status, "message": "the vendor's words", "status": code}}
    body = [body] if in_list else body
    for http_status in (error_status, 200):
        with pytest.raises(errors.ProviderError) as caught:
            ask(reply(json=body, status=http_status))
        error = caught.value
        assert type(error) is cls
        assert (error.code, error.status_code) == (code, error_status)
        assert "the vendor's words" in str(error)


def test_retry_info_says_how_long_to_wait() -> None:
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure"},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "48s"},
    ]
    body = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": details}}
    with pytest.raises(errors.RateLimitError) as caught:
        ask(reply(json=body, status=429, headers={"retry-after": "1"}))
    assert caught.value.retry_after == 48.0
    details[1]["retryDelay"] = "soon"
    with pytest.raises(errors.RateLimitError) as caught:
        ask(reply(json=body, status=429))
    assert caught.value.retry_after is None


def test_a_wrong_key_is_an_authentication_error_with_status_400() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    body = {"error": {"code": 400, "message": "no such key", "status": "INVALID_ARGUMENT", "details": details}}
    with pytest.raises(errors.AuthenticationError, match="API_KEY_INVALID"):
        ask(reply(json=body, status=400))


def test_a_refused_access_token_is_not_tried_again_and_not_shown() -> None:
    body = {"error": {"code": 401, "message": "token ya29.secret-token is bad", "status": "UNAUTHENTICATED"}}
    with serve(reply(json=body, status=401)) as server:
        provider = Vertex("m", project_id="p", access_token="ya29.secret-token", endpoint_url=server.url)
        with pytest.raises(errors.AuthenticationError) as caught:
            provider.blocking.chat("Hello")
    assert len(server.requests) == 1
    assert "secret-token" not in f"{caught.value!r}{caught.value}{caught.value.body}{vars(provider)}"
