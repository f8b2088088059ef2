"""The Gemini Developer API: the same wire as Vertex, by a key alone."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from tako_vertex import Vertex
from tako_vertex.gemini import Gemini

import tako
from tako import ChatRequest, Message
from tako.errors import AuthenticationError, BadRequestError, ConfigurationError
from tako.parts import FileUrlPart
from tako.testing.server import reply, serve

CANDIDATE = {"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}
ANSWER = reply(json={"candidates": [CANDIDATE]})
SIGNED_CALL = {"functionCall": {"name": "f", "args": {}, "id": "x"}, "thoughtSignature": "EqQB"}
TOOL_CALL_ANSWER = reply(json={"candidates": [{"content": {"parts": [SIGNED_CALL]}, "finishReason": "STOP"}]})


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "models/gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "models/gemini-2.5-flash"),
        ("tunedModels/mine", "tunedModels/mine"),
    ],
)
def test_a_request_has_the_model_in_the_url_and_the_key_in_a_header(model: str, path: str) -> None:
    with serve(ANSWER) as server:
        response = Gemini(model, api_key="AIza-key", base_url=server.url).blocking.chat("Hello")
    sent = server.requests[0]
    assert (sent.path, sent.query, sent.headers["x-goog-api-key"]) == (
        f"/v1beta/{path}:generateContent",
        {},
        "AIza-key",
    )
    assert sent.json == {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    assert (response.text, response.provider) == ("ok", f"gemini:{model}")


def test_a_stream_is_server_sent_events() -> None:
    event = b'data: {"candidates":[{"content":{"parts":[{"text":"ok"}]},"finishReason":"STOP"}]}\n\n'
    with serve(reply([event])) as server:
        assert Gemini("gemini-3-flash", api_key="k", base_url=server.url).blocking.stream("Hi").response().text == "ok"
    assert (server.requests[0].path, server.requests[0].query) == (
        "/v1beta/models/gemini-3-flash:streamGenerateContent",
        {"alt": "sse"},
    )


def test_the_key_comes_from_either_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="GEMINI_API_KEY or GOOGLE_API_KEY"):
        Gemini("gemini-3-flash")
    monkeypatch.setenv("GOOGLE_API_KEY", "of-google")
    with serve(ANSWER) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        Gemini("gemini-3-flash").blocking.chat("Hi")
        monkeypatch.setenv("GEMINI_API_KEY", "of-gemini")
        tako.get_provider("gemini:gemini-3-flash").blocking.chat("Hi")
    assert [request.headers["x-goog-api-key"] for request in server.requests] == ["of-google", "of-gemini"]


def test_the_url_of_a_whole_call_is_accepted_as_base_url() -> None:
    url = "https://gate.example/google/v1beta/models/x:generateContent"
    assert Gemini("m", api_key="k", base_url=url).base_url == "https://gate.example/google"


@pytest.mark.parametrize("model", ["../x", "a?b", ""])
def test_a_model_name_that_changes_the_path_is_refused(model: str) -> None:
    with pytest.raises(ConfigurationError):
        Gemini(model, api_key="k")


def test_a_wrong_key_is_an_authentication_error() -> None:
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    error = {"code": 400, "message": "API key not valid", "status": "INVALID_ARGUMENT", "details": [detail]}
    with serve(reply(json={"error": error}, status=400)) as server, pytest.raises(AuthenticationError) as caught:
        Gemini("gemini-3-flash", api_key="AIza-key", base_url=server.url).blocking.chat("Hi")
    assert caught.value.code == "API_KEY_INVALID"


def test_no_repr_and_no_pickle_has_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-secret")
    provider = Gemini("gemini-3-flash")
    assert "AIza-secret" not in repr(vars(provider)) + repr(provider)
    assert b"AIza-secret" not in pickle.dumps(provider)


def test_features_of_google_cloud_are_left_out() -> None:
    with serve(ANSWER) as server:
        provider = Gemini("gemini-3-flash", api_key="k", base_url=server.url)
        stored = FileUrlPart("gs://bucket/a.pdf")
        linked = FileUrlPart("https://files.example/a.pdf")
        message = Message.user([*Message.user("Hi").parts, stored, linked])
        response = provider.blocking.chat(ChatRequest([message], metadata={"team": "x"}))
    assert "labels" not in server.requests[0].json
    assert [part for part in server.requests[0].json["contents"][0]["parts"] if "fileData" in part] == [
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://files.example/a.pdf"}}
    ]
    assert [(notice.code, notice.path) for notice in response.notices] == [
        ("unsupported_url", "messages[0].content[1]"),
        ("unsupported_parameter", "metadata.team"),
    ]


@pytest.mark.parametrize("first", ["gemini", "vertex"])
def test_gemini_and_vertex_accept_each_others_state(first: str) -> None:
    with serve(TOOL_CALL_ANSWER, ANSWER) as server:
        providers: dict[str, Any] = {
            "gemini": Gemini("gemini-3-flash", api_key="k", base_url=server.url),
            "vertex": Vertex("gemini-3-flash", access_token="t", project_id="p", endpoint_url=server.url),
        }
        first_provider = providers.pop(first)
        (second_provider,) = providers.values()
        tool = tako.Tool("f")
        request = ChatRequest([Message.user("Hi")], tools=[tool])
        response = first_provider.blocking.chat(request)
        history = [*request.messages, response.message, Message.tool("x", "done")]
        assert second_provider.blocking.chat(ChatRequest(history, tools=[tool])).notices == []
    assert server.requests[1].json["contents"][1]["parts"] == [SIGNED_CALL]


def test_gemini_and_vertex_share_one_table() -> None:
    assert Gemini("gemini-2.5-pro", api_key="k").capabilities == Vertex("gemini-2.5-pro", api_key="k").capabilities


@pytest.mark.parametrize("is_stream", [False, True], ids=["chat", "stream"])
def test_an_unsigned_call_goes_back_unchanged_and_signed_if_gemini_refuses_that(is_stream: bool) -> None:
    unsigned = {"functionCall": {"name": "f", "args": {}, "id": "x"}}
    message = "Function call `f` in the 2. content block is missing a `thought_signature`."
    refusal = reply(json={"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}, status=400)
    unsigned_answer = reply(json={"candidates": [{"content": {"parts": [unsigned, unsigned]}, "finishReason": "STOP"}]})
    with serve(unsigned_answer, refusal, ANSWER, refusal) as server:
        provider = Gemini("gemini-3-flash", api_key="k", base_url=server.url, max_retries=0).blocking
        messages = [Message.user("Hi")]
        first_response = provider.chat(ChatRequest(messages))
        history = [
            *messages,
            first_response.message,
            *(Message.tool(call.id, "1") for call in first_response.tool_calls),
        ]
        response = provider.stream(history).response() if is_stream else provider.chat(history)
        with pytest.raises(BadRequestError, match="thought_signature"):
            provider.chat(ChatRequest(history, strict=True))
    _, first, second, strict = (request.json["contents"] for request in server.requests)
    signed = {**unsigned, "thoughtSignature": "skip_thought_signature_validator"}
    second_call = {
        "functionCall": {"name": "f", "args": {}}
    }  # tako gave it a new id, because the first call has the same one
    assert (first[1]["parts"], second[1]["parts"]) == ([unsigned, second_call], [signed, second_call])
    assert first == strict
    assert [notice.code for notice in response.notices] == ["changed_part"]
