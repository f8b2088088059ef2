"""Parameters that a Gemini model refuses are left out or changed, with a notice; and the URLs of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tako_vertex import Vertex

from tako import ChatRequest, JsonSchema, Message, Role, Tool
from tako.errors import AuthenticationError
from tako.parts import ToolCallPart
from tako.testing.server import Received, Reply, reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HI = [Message.user("Hi")]
CANDIDATE = {"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}
ANSWER = reply(json={"candidates": [CANDIDATE]})
TOOL = Tool("describe", "", {"type": "object", "properties": {}})
SCHEMA = {"properties": {"cookies": {"items": {"$ref": "#/$defs/Cookie"}}}, "$defs": {"Cookie": {"type": "object"}}}


def send(model: str, messages: list[Message] = HI, **fields: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the body that was sent, and the codes and paths of the notices."""
    with serve(ANSWER) as server:
        provider = Vertex(model, endpoint_url=server.url, project_id="p", access_token="t")
        response = provider.blocking.chat(ChatRequest(messages, **fields))
        return server.requests[0].json, [(notice.code, notice.path) for notice in response.notices]


@pytest.mark.parametrize(
    ("model", "requested", "expected", "has_notice"),
    [
        ("gemini-2.5-pro", 64, {"thinkingBudget": 128}, True),
        ("gemini-2.5-pro", 100_000, {"thinkingBudget": 32_768}, True),
        ("gemini-2.5-pro", 2000, {"thinkingBudget": 2000}, False),
        ("gemini-2.5-pro", "max", {"thinkingBudget": 32_768}, False),
        ("gemini-2.5-flash", "max", {"thinkingBudget": 24_576}, False),
        ("gemini-2.5-flash-lite", 100, {"thinkingBudget": 512}, True),
        ("gemini-3.8-flash", "max", {"thinkingLevel": "HIGH"}, True),
        ("gemini-3.8-flash", "minimal", {"thinkingLevel": "LOW"}, True),
        ("gemini-3-flash", "minimal", {"thinkingLevel": "MINIMAL"}, False),
        ("gemini-3-pro-preview", "medium", {"thinkingLevel": "HIGH"}, True),
        ("gemini-3-pro-preview", 2000, {"thinkingLevel": "LOW"}, True),
    ],
)
def test_thinking_is_sent_as_the_nearest_value_that_the_model_accepts(
    model: str, requested: int | str, expected: dict[str, Any], has_notice: bool
) -> None:
    body, notices = send(model, reasoning=requested)
    assert body["generationConfig"]["thinkingConfig"] == {**expected, "includeThoughts": True}
    assert notices == ([("changed_parameter", "reasoning")] if has_notice else [])


@pytest.mark.parametrize(
    ("model", "requested", "expected", "has_notice"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}, False),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}, True),
        ("gemini-2.5-pro", 0, {"thinkingBudget": 128}, True),
        ("gemini-3-flash", "none", {"thinkingLevel": "MINIMAL"}, True),
        ("gemini-3.8-flash", 0, {"thinkingLevel": "LOW"}, True),
    ],
)
def test_none_is_sent_as_the_least_thinking_of_the_model(
    model: str, requested: int | str, expected: dict[str, Any], has_notice: bool
) -> None:
    body, notices = send(model, reasoning=requested)
    config = body["generationConfig"]["thinkingConfig"]
    assert {name: value for name, value in config.items() if name != "includeThoughts"} == expected
    assert bool(notices) is has_notice


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-2.5-flash-image"])
def test_reasoning_is_left_out_for_a_model_that_does_not_think(model: str) -> None:
    assert send(model, reasoning="low") == (
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
        [("unsupported_parameter", "reasoning")],
    )


def test_before_gemini_3_response_format_is_left_out_with_tools() -> None:
    schema = JsonSchema("p", {"type": "object", "properties": {}})
    body, notices = send("gemini-2.5-flash", tools=[TOOL], response_format=schema)
    assert ("generationConfig" in body, notices) == (False, [("unsupported_parameter", "response_format")])
    search = {"tools": [{"googleSearch": {}}]}
    assert "generationConfig" not in send("gemini-2.5-flash", extra=search, response_format="json")[0]
    body, notices = send("gemini-3-flash", tools=[TOOL], response_format=schema)
    assert (body["generationConfig"]["responseMimeType"], notices) == ("application/json", [])


def test_later_models_get_neither_sampling_nor_a_prefilled_reply() -> None:
    prefilled = [*HI, Message.assistant("{")]
    body, notices = send("gemini-3.8-flash", prefilled, temperature=0.2)
    assert (len(body["contents"]), "generationConfig" in body) == (1, False)
    assert notices == [("misplaced_part", "messages[1].content[0]"), ("unsupported_parameter", "temperature")]
    body, notices = send("gemini-3-flash", prefilled, temperature=0.2)
    assert (len(body["contents"]), body["generationConfig"], notices) == (2, {"temperature": 0.2}, [])


@pytest.mark.parametrize(
    ("result", "is_error"), [(SCHEMA, False), ([{"a": SCHEMA}], False), (SCHEMA, True)], ids=["object", "list", "error"]
)
def test_a_result_with_a_reference_is_sent_as_text(result: Any, is_error: bool) -> None:
    history = [
        *HI,
        Message.assistant([ToolCallPart("c1", "describe", {})]),
        Message.tool("c1", result, is_error=is_error),
    ]
    body, notices = send("gemini-2.5-flash", history, tools=[TOOL])
    response = body["contents"][2]["parts"][0]["functionResponse"]["response"]
    assert '"$ref":"#/$defs/Cookie"' in response["error" if is_error else "result"]
    assert notices == [("changed_part", "messages[2].content[0]")]


@pytest.mark.parametrize(
    ("vendor_reason", "expected"),
    [
        ("MODEL_ARMOR", "content_filter"),
        ("IMAGE_PROHIBITED_CONTENT", "content_filter"),
        ("ESCALATION", "content_filter"),
        ("CONTINUATION", "pause"),
        ("NO_IMAGE", "error"),
        ("MISSING_THOUGHT_SIGNATURE", "error"),
        ("IMAGE_OTHER", "other"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_finish_reasons_of_the_vendor(vendor_reason: str, expected: str, stream: bool) -> None:
    body = {"candidates": [{**CANDIDATE, "finishReason": vendor_reason}]}
    with serve(reply(json=[body] if stream else body)) as server:
        blocking = Vertex("m", endpoint_url=server.url, project_id="p", access_token="t").blocking
        response = blocking.stream("Hi").response() if stream else blocking.chat("Hi")
    assert (response.finish_reason, response.finish_word, response.text) == (expected, vendor_reason, "ok")


def test_a_missing_signature_is_an_error_even_with_calls() -> None:
    call = {"functionCall": {"name": "describe", "args": {}}}
    body = {"candidates": [{"content": {"parts": [call]}, "finishReason": "MISSING_THOUGHT_SIGNATURE"}]}
    with serve(reply(json=body)) as server:
        provider = Vertex("m", endpoint_url=server.url, project_id="p", access_token="t")
        response = provider.blocking.chat("Hi")
    assert (response.finish_reason, len(response.tool_calls)) == ("error", 1)
    assert [notice.code for notice in response.notices] == ["blocked"]


def test_a_path_with_a_location_is_sent_to_that_location() -> None:
    hosts: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(200, json={"candidates": [CANDIDATE]})

    transport = httpx.MockTransport(answer)
    for model in ("projects/p/locations/europe-west4/endpoints/77", "gemini-3-flash"):
        Vertex(model, project_id="p", access_token="t", transport=transport).blocking.chat("Hi")
    assert hosts == ["europe-west4-aiplatform.googleapis.com", "aiplatform.googleapis.com"]


def test_base_model_says_which_model_was_tuned() -> None:
    with serve(ANSWER) as server:
        provider = Vertex("endpoints/77", base_model="gemini-3-flash", project_id="p", access_token="t")
        provider.endpoint_url = server.url
        provider.blocking.chat(ChatRequest(HI, reasoning="minimal"))
        provider.blocking.chat(ChatRequest(HI, reasoning="minimal", model="gemini-2.5-flash"))
    configs = [request.json["generationConfig"]["thinkingConfig"] for request in server.requests]
    assert [next(iter(config)) for config in configs] == ["thinkingLevel", "thinkingBudget"]


def test_credentials_that_were_renewed_on_disk_are_read_again(account: Callable[..., Path]) -> None:
    valid_key = "1"
    keys_requested: list[str] = []

    def google(request: Received) -> Reply:
        if request.path == "/token":
            keys_requested.append(valid_key)
            is_valid = _key_of(request) == valid_key
            answer = {"access_token": f"ya29.{valid_key}", "expires_in": 3600, "token_type": "Bearer"}
            return reply(json=answer if is_valid else {"error": "invalid_grant"}, status=200 if is_valid else 400)
        is_valid = request.headers["authorization"] == f"Bearer ya29.{valid_key}"
        return ANSWER if is_valid else reply(json={"error": {"status": "UNAUTHENTICATED"}}, status=401)

    with serve(google) as server:
        file = account(server)
        provider = Vertex("m", service_account_file=file, endpoint_url=server.url, max_retries=0)
        assert provider.blocking.chat("Hi").text == "ok"
        account(server, private_key_id="2")
        valid_key = "2"
        assert provider.blocking.chat("Hi").text == "ok"
        valid_key = "3"
        with pytest.raises(AuthenticationError):
            provider.blocking.chat("Hi")
    assert keys_requested == ["1", "2", "2", "3"]  # the last one was refused, and the file is the same


def _key_of(request: Received) -> str:
    """Return the id of the key that signed a request for a token."""
    import base64
    import json
    from urllib.parse import parse_qs

    head = parse_qs(request.body.decode())["assertion"][0].partition(".")[0]
    key: str = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    return key


def test_a_tool_message_may_have_several_results() -> None:
    calls = [ToolCallPart("c1", "describe", {}), ToolCallPart("c2", "describe", {})]
    results = [*Message.tool("c1", SCHEMA).parts, *Message.tool("c2", {"a": 1}).parts]
    body, _ = send("gemini-3-flash", [*HI, Message.assistant(calls), Message(Role.TOOL, results)], tools=[TOOL])
    first, second = (part["functionResponse"]["response"] for part in body["contents"][2]["parts"])
    assert (first.keys(), second) == ({"result"}, {"a": 1})
