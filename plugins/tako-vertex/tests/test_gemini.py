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
SIGNED = {"functionCall": {"name": "f", "args": {}, "id": "x"}, "thoughtSignature": "EqQB"}
CALLED = reply(json={"candidates": [{"content": {"parts": [SIGNED]}, "finishReason": "STOP"}]})


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
def test_a_request_goes_to_the_model_with_the_key_in_a_header(model: str, path: str) -> None:
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


def test_the_key_is_its_own_variables_or_googles(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="GEMINI_API_KEY or GOOGLE_API_KEY"):
        Gemini("gemini-3-flash")
    monkeypatch.setenv("GOOGLE_API_KEY", "of-google")
    with serve(ANSWER) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        Gemini("gemini-3-flash").blocking.chat("Hi")
        monkeypatch.setenv("GEMINI_API_KEY", "of-gemini")
        tako.get_provider("gemini:gemini-3-flash").blocking.chat("Hi")
    assert [request.headers["x-goog-api-key"] for request in server.requests] == ["of-google", "of-gemini"]


def test_the_address_of_a_whole_call_stands_for_its_base() -> None:
    url = "https://gate.example/google/v1beta/models/x:generateContent"
    assert Gemini("m", api_key="k", base_url=url).base_url == "https://gate.example/google"


@pytest.mark.parametrize("model", ["../x", "a?b", ""])
def test_a_name_that_leaves_its_place_is_refused(model: str) -> None:
    with pytest.raises(ConfigurationError):
        Gemini(model, api_key="k")


def test_a_wrong_key_is_an_authentication_error() -> None:
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    error = {"code": 400, "message": "API key not valid", "status": "INVALID_ARGUMENT", "details": [detail]}
    with serve(reply(json={"error": error}, status=400)) as server, pytest.raises(AuthenticationError) as caught:
        Gemini("gemini-3-flash", api_key="AIza-key", base_url=server.url).blocking.chat("Hi")
    assert caught.value.code == "API_KEY_INVALID"


def test_the_key_is_in_no_repr_and_no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-secret")
    provider = Gemini("gemini-3-flash")
    assert "AIza-secret" not in repr(vars(provider)) + repr(provider)
    assert b"AIza-secret" not in pickle.dumps(provider)


def test_what_google_cloud_alone_has_is_left_out() -> None:
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
def test_it_and_vertex_take_each_others_state(first: str) -> None:
    with serve(CALLED, ANSWER) as server:
        made: dict[str, Any] = {
            "gemini": Gemini("gemini-3-flash", api_key="k", base_url=server.url),
            "vertex": Vertex("gemini-3-flash", access_token="t", project_id="p", endpoint_url=server.url),
        }
        one = made.pop(first)
        (other,) = made.values()
        tool = tako.Tool("f")
        asked = ChatRequest([Message.user("Hi")], tools=[tool])
        response = one.blocking.chat(asked)
        history = [*asked.messages, response.message, Message.tool("x", "done")]
        assert other.blocking.chat(ChatRequest(history, tools=[tool])).notices == []
    assert server.requests[1].json["contents"][1]["parts"] == [SIGNED]


def test_both_share_one_table() -> None:
    assert Gemini("gemini-2.5-pro", api_key="k").capabilities == Vertex("gemini-2.5-pro", api_key="k").capabilities


@pytest.mark.parametrize("streams", [False, True], ids=["chat", "stream"])
def test_a_call_that_gemini_left_unsigned_goes_back_as_it_came_and_signed_if_gemini_refuses_that(streams: bool) -> None:
    unsigned = {"functionCall": {"name": "f", "args": {}, "id": "x"}}
    words = "Function call `f` in the 2. content block is missing a `thought_signature`."
    refusal = reply(json={"error": {"code": 400, "message": words, "status": "INVALID_ARGUMENT"}}, status=400)
    turn = reply(json={"candidates": [{"content": {"parts": [unsigned, unsigned]}, "finishReason": "STOP"}]})
    with serve(turn, refusal, ANSWER, refusal) as server:
        provider = Gemini("gemini-3-flash", api_key="k", base_url=server.url, max_retries=0).blocking
        asked = [Message.user("Hi")]
        called = provider.chat(ChatRequest(asked))
        history = [*asked, called.message, *(Message.tool(call.id, "1") for call in called.tool_calls)]
        response = provider.stream(history).response() if streams else provider.chat(history)
        with pytest.raises(BadRequestError, match="thought_signature"):
            provider.chat(ChatRequest(history, strict=True))
    _, first, second, strict = (request.json["contents"] for request in server.requests)
    signed = {**unsigned, "thoughtSignature": "skip_thought_signature_validator"}
    other = {"functionCall": {"name": "f", "args": {}}}  # tako gave it an id of its own: the vendor's was there already
    assert (first[1]["parts"], second[1]["parts"]) == ([unsigned, other], [signed, other])
    assert first == strict
    assert [notice.code for notice in response.notices] == ["changed_part"]
