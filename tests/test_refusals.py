"""What vendors say of a failure: its class, its code, whether and when to ask again, and the id of its request."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tako_http_generic import EXAMPLES, HttpGeneric

from tako import errors, get_provider
from tako.kit.failures import Facts, facts_of, make_error
from tako.kit.retry_after import retry_after
from tako.testing.eventstream import CONTENT_TYPE, event
from tako.testing.server import Reply, reply, serve, sse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider

    At = Callable[..., Provider]

VENDORS = ("openai", "azure-openai", "anthropic", "mistral", "ollama", "bedrock", "vertex", "http-generic")
SSE = ("openai", "azure-openai", "anthropic", "mistral", "vertex", "http-generic", "responses")
PIECE = {"choices": [{"index": 0, "delta": {"content": "Once upon"}}]}


@pytest.fixture
def failing(at: At, monkeypatch: pytest.MonkeyPatch) -> Callable[..., errors.ProviderError]:
    """Return what asks a vendor and returns its error and the number of requests."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")

    def ask(name: str, script: Any, *, streamed: bool = False, retries: int = 0) -> errors.ProviderError:
        with serve(script) as server:
            if name == "http-generic":
                provider: Any = HttpGeneric.from_file(
                    EXAMPLES / "openai.toml", "m", url=server.url, max_retries=retries
                )
            elif name == "responses":
                provider = get_provider(
                    "openai:m", api_key="k", base_url=server.url, api="responses", max_retries=retries
                )
            else:
                provider = at(name, server.url, max_retries=retries)
            with pytest.raises(errors.ProviderError) as caught:
                asyncio.run(provider.stream("hi").response() if streamed else provider.chat("hi"))
        assert len(server.requests) == 1
        return caught.value

    return ask


def refusal(name: str, status: int, **headers: str) -> Reply:
    """A refusal in the words of each vendor, with its most general code."""
    errors: dict[str, Any] = {
        "bedrock": {"message": "no"},
        "vertex": {"error": {"code": status, "message": "no", "status": "INVALID_ARGUMENT"}},
        "ollama": {"error": "no"},
    }
    body = errors.get(name, {"type": "error", "error": {"message": "no", "type": "invalid_request_error"}})
    more = {"x-amzn-errortype": "ValidationException"} if name == "bedrock" else {}
    return reply(json=body, status=status, headers=headers | more)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", VENDORS)
def test_no_credit_is_no_bad_request(name: str, streamed: bool, failing: Any) -> None:
    error = failing(name, refusal(name, 402), streamed=streamed, retries=1)
    assert (type(error), error.status_code, error.retryable) == (errors.PermissionDeniedError, 402, False)


@pytest.mark.parametrize("name", VENDORS)
def test_what_a_server_cannot_do_it_is_asked_once(name: str, failing: Any) -> None:
    script = reply(json={"error": {"message": "no"}}, status=501)
    error = failing(name, script, retries=2)
    assert (type(error), error.retryable) == (errors.ServerError, False)


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("status", [429, 503])
def test_a_vendor_that_says_so_is_asked_once(name: str, status: int, failing: Any) -> None:
    error = failing(name, refusal(name, status, **{"x-should-retry": "false", "retry-after": "0"}), retries=2)
    assert not error.retryable


def test_a_vendor_may_ask_for_a_retry_whatever_its_status(at: At, answers: dict[str, Any]) -> None:
    first = refusal("openai", 400, **{"x-should-retry": "true", "retry-after": "0"})
    with serve(first, reply(json=answers["openai"])) as server:
        assert at("openai", server.url, max_retries=1).blocking.chat("hi").text == "ok"


SPENT = "credit_balance_exhausted"
GOOGLE = "type.googleapis.com/google.rpc."
CODES: dict[str, tuple[Any, int, str, type[errors.ProviderError], bool]] = {
    "Anthropic's spend limit": (
        {
            "type": "error",
            "error": {
                "type": "rate_limit_error",
                "message": "m",
                "details": {"error_code": "contract_spend_limit_reached"},
            },
        },
        429,
        "contract_spend_limit_reached",
        errors.RateLimitError,
        False,
    ),
    "Anthropic's ramp limit": (
        {"error": {"type": "rate_limit_error", "message": "m", "details": {"error_code": "ramp_limit_exceeded"}}},
        429,
        "ramp_limit_exceeded",
        errors.RateLimitError,
        True,
    ),
    "OpenAI's spend limit": (
        {"error": {"message": "m", "type": "insufficient_quota", "code": "project_spend_limit_exceeded"}},
        429,
        "project_spend_limit_exceeded",
        errors.RateLimitError,
        False,
    ),
    "a quota by its type alone": (
        {"error": {"message": "m", "type": "exceeded_current_quota_error"}},
        429,
        "exceeded_current_quota_error",
        errors.RateLimitError,
        False,
    ),
    "a rate": (
        {"error": {"message": "m", "type": "tokens", "code": "rate_limit_exceeded"}},
        429,
        "rate_limit_exceeded",
        errors.RateLimitError,
        True,
    ),
    "Google's reason": (
        {
            "error": {
                "code": 403,
                "message": "m",
                "status": "PERMISSION_DENIED",
                "details": [{"@type": f"{GOOGLE}ErrorInfo", "reason": "BILLING_DISABLED"}],
            }
        },
        403,
        "BILLING_DISABLED",
        errors.PermissionDeniedError,
        False,
    ),
    "Google's quota of a day": (
        {
            "error": {
                "code": 429,
                "message": "m",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {"@type": f"{GOOGLE}QuotaFailure", "violations": [{"quotaId": "RequestsPerDayPerModel-FreeTier"}]},
                    {"@type": f"{GOOGLE}RetryInfo", "retryDelay": "39s"},
                ],
            }
        },
        429,
        "RESOURCE_EXHAUSTED",
        errors.RateLimitError,
        False,
    ),
    "Anthropic's credit": (
        {"error": {"type": "invalid_request_error", "message": "m", "details": {"error_code": SPENT}}},
        400,
        SPENT,
        errors.RateLimitError,
        False,
    ),
    "a gateway's quota": (
        {"error": {"type": "new_api_error", "message": "m", "code": "insufficient_user_quota_exceeded"}},
        403,
        "insufficient_user_quota_exceeded",
        errors.RateLimitError,
        False,
    ),
    "llama.cpp's context": (
        {"error": {"code": 400, "message": "m", "type": "exceed_context_size_error", "n_ctx": 256}},
        400,
        "exceed_context_size_error",
        errors.ContextLengthError,
        False,
    ),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("case", CODES)
def test_the_most_exact_code_is_the_error_s(case: str, name: str, streamed: bool, failing: Any) -> None:
    body, status, code, cls, retryable = CODES[case]
    error = failing(name, reply(json=body, status=status), streamed=streamed)
    assert (error.code, type(error), error.retryable) == (code, cls, retryable)
    assert str(error).count(str(status)) == 1


@pytest.mark.parametrize("name", VENDORS)
def test_google_says_in_the_body_how_long_to_wait(name: str, failing: Any) -> None:
    details = [{"@type": f"{GOOGLE}RetryInfo", "retryDelay": "48.5s"}]
    body = {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED", "details": details}}
    assert failing(name, reply(json=[body], status=429)).retry_after == 48.5


def soon(seconds: int) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset-requests": "1m0.5s"}, 60.5),
        ({"x-ratelimit-reset-requests": "1h2m"}, 3720),
        ({"x-ratelimit-reset-tokens": "250ms"}, 0.25),
        ({"x-ratelimit-reset-tokens": "7"}, 7),
        ({"ratelimit-reset": "7"}, 7),
        ({"retry-after": "2", "x-ratelimit-reset-tokens": "7s"}, 2),
        ({"x-ratelimit-reset-tokens": "soon"}, None),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "59",
                "x-ratelimit-reset-tokens": "6s",
                "x-ratelimit-remaining-tokens": "0",
            },
            6,
        ),
        ({"x-ratelimit-reset-requests": "12s", "x-ratelimit-reset-tokens": "6s"}, 6),
        ({"ratelimitbysize-reset": "9", "ratelimitbysize-remaining": "0"}, 9),
        ({"x-ratelimitbysize-reset-minute": "9"}, 9),
        ({"x-rate-limit-reset": "5"}, 5),
        ({"ratelimit": '"default";r=0;t=30'}, 30),
        ({"ratelimit": '"second";r=3;t=1, "day";r=0;t=50'}, 50),
        ({"ratelimit": "limit=10, remaining=0, reset=7"}, 7),
        ({"ratelimit": "nonsense"}, None),
    ],
)
def test_limits_say_when_they_are_reset(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, 429) == seconds


@pytest.mark.parametrize(
    ("code", "lasting"),
    [
        ("personal-team-blocked:spending-limit", True),
        ("InsufficientBalance", True),
        ("insufficient_funds", True),
        ("monthly_quota_exceeded", True),
        ("rate_limit_exceeded", False),
        ("RATE_LIMIT_EXCEEDED", False),
        ("slow_down", False),
    ],
)
def test_a_code_that_names_a_spent_limit_is_not_retried_whoever_s_it_is(code: str, lasting: bool) -> None:
    facts = Facts("no", [code])
    error = make_error(facts, codes={}, status=429, headers={}, body="")
    assert isinstance(error, errors.RateLimitError)
    assert error.retryable is not lasting


def test_only_of_a_refusal_for_too_many_requests() -> None:
    assert retry_after({"x-ratelimit-reset-requests": "1s"}, 400) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"anthropic-ratelimit-tokens-reset": soon(3600)},
        {"x-ratelimit-reset": str(int((datetime.now(UTC) + timedelta(hours=1)).timestamp()))},
        {"x-ratelimit-reset": str(int((datetime.now(UTC) + timedelta(hours=1)).timestamp() * 1000))},
    ],
)
def test_a_reset_may_be_a_moment(headers: dict[str, str]) -> None:
    assert 1800 < (retry_after(headers, 429) or 0) <= 3600


ERRORS: dict[str, bytes] = {
    "a field": b'error: {"code": 500, "message": "the context is full", "type": "server_error"}\n\n',
    "a field with an object": b'error: {"error": {"code": 500, "message": "the context is full"}}\n\n',
    "a field of text": b"error:the context is full\r\n\r\n",
    "an event": b'event: error\ndata: {"code": 500, "message": "the context is full"}\n\n',
    "an event of text": b"event: error\ndata: the context is full\n\n",
    "a list": b'data: {"errors": [{"message": "the context is full", "code": 3040}], "success": false}\n\n',
    "bare JSON": b'{"error": {"message": "the context is full"}}\n\n',
    "bare JSON in lines": b'{\n  "error": {\n    "message": "the context is full"\n  }\n}\n\n',
}


@pytest.mark.parametrize("name", SSE)
@pytest.mark.parametrize("case", ERRORS)
def test_an_error_within_a_stream_is_one_however_it_is_told(case: str, name: str, failing: Any) -> None:
    opening = {
        "anthropic": b'event: ping\ndata: {"type": "ping"}\n\n',
        "vertex": b'data: {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}\n\n',
        "responses": b'data: {"type": "response.in_progress", "response": {}}\n\n',
    }.get(name, sse(PIECE, done=False)[0])
    for pieces in ([opening, ERRORS[case], b"data: [DONE]\n\n"], [opening, ERRORS[case]]):
        error = failing(name, reply(pieces, headers={"x-request-id": "req-42"}), streamed=True)
        assert "the context is full" in str(error)
        assert error.request_id == "req-42"


@pytest.mark.parametrize("name", SSE)
@pytest.mark.parametrize("text", ["event: error", "event: error\ndata:", "event: error\ndata: null", "error:"])
def test_an_error_is_one_although_it_tells_nothing(text: str, name: str, failing: Any) -> None:
    bodies = {
        "anthropic": b"",
        "responses": b"",
        "vertex": sse({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}, done=False)[0],
    }.get(name, sse({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}, done=False)[0])
    error = failing(name, reply([f"{text}\n\n".encode(), bodies, b"data: [DONE]\n\n"]), streamed=True)
    assert type(error) is errors.ProviderError
    assert "the vendor reported an error" in str(error)


def test_an_error_of_ollama_may_be_a_list(failing: Any) -> None:
    lines = b'{"message": {"content": "a"}}\n{"errors": [{"message": "the context is full"}]}\n'
    for streamed in (False, True):
        body = lines if streamed else lines.partition(b"\n")[2]
        assert "the context is full" in str(failing("ollama", reply(body), streamed=streamed))


@pytest.mark.parametrize("name", [*VENDORS, "responses"])
def test_a_list_of_errors_is_no_reply(name: str, failing: Any) -> None:
    if name == "bedrock":
        pytest.skip("AWS has no such replies")
    error = failing(name, reply(json={"errors": [{"message": "no capacity left"}], "success": False}))
    assert "no capacity left" in str(error)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", VENDORS)
def test_a_reply_that_is_cut_or_none_has_the_id_of_its_request(name: str, streamed: bool, failing: Any) -> None:
    header = "x-amzn-requestid" if name == "bedrock" else "x-request-id"
    for body in (b"", b"{", b"hello"):
        for ending in ("end", "cut"):
            error = failing(name, reply(body, headers={header: "req-42"}, ending=ending), streamed=streamed)
            assert error.request_id == "req-42", (body, ending, error)


@pytest.mark.parametrize("name", ["bedrock", "vertex"])
def test_a_timeout_in_mid_stream_has_what_came_and_the_id_of_its_request(name: str, at: At) -> None:
    begun = {
        "bedrock": event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Once"}}),
        "vertex": sse({"candidates": [{"content": {"parts": [{"text": "Once"}]}}]}, done=False)[0],
    }[name]
    headers = {"x-request-id": "req-42", **(CONTENT_TYPE if name == "bedrock" else {})}
    with serve(reply([begun], headers=headers, ending="hang")) as server:
        stream = at(name, server.url, max_retries=0, timeout=0.3).blocking.stream("hi")
        with pytest.raises(errors.ProviderTimeoutError) as caught:
            list(stream)
    assert (caught.value.partial and caught.value.partial.text, caught.value.request_id) == ("Once", "req-42")


def test_an_id_in_the_body_is_the_request_s() -> None:
    facts = facts_of({"type": "error", "error": {"type": "api_error", "message": "m"}, "request_id": "req-7"})
    assert make_error(facts, codes={}, status=None, headers={}, body="").request_id == "req-7"
