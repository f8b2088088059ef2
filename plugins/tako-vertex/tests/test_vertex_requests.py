"""What tako-vertex puts on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from tako_vertex import Vertex

from tako import ChatRequest, ChatResponse, ContentPart, JsonSchema, Message, Role, Tool, UnsupportedError
from tako.errors import ConfigurationError
from tako.parts import ReasoningPart, TextPart, ToolCallPart
from tako.state import Origin, State
from tako.testing.server import Server, reply, serve

ANSWER = reply(json={"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]})
PIXEL = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = Tool("weather", "Get the weather", SCHEMA)


def ask(request: ChatRequest | str, model: str = "gemini-2.5-flash", **options: Any) -> tuple[Server, ChatResponse]:
    options = options or {"project_id": "proj", "access_token": "ya29.test"}
    with serve(ANSWER) as server:
        return server, Vertex(model, endpoint_url=server.url, **options).blocking.chat(request)


def body(request: ChatRequest, model: str = "gemini-2.5-flash") -> Any:
    return ask(request, model)[0].requests[0].json


def codes(request: ChatRequest, model: str = "gemini-2.5-flash") -> list[tuple[str, str]]:
    return [(notice.code, notice.path) for notice in ask(request, model)[1].notices]


def user(*parts: Any, **parameters: Any) -> ChatRequest:
    return ChatRequest([Message(Role.USER, list(parts))], **parameters)


def conversation_with_calls(*calls: ToolCallPart, results: list[Any]) -> list[Message]:
    return [Message.user("?"), Message.assistant(list(calls)), Message(Role.TOOL, results)]


def test_a_request_has_the_projects_model_in_the_url_and_the_token_in_a_header() -> None:
    server, _ = ask("Hello")
    sent = server.requests[0]
    path = "/v1/projects/proj/locations/global/publishers/google/models/gemini-2.5-flash:generateContent"
    assert (sent.method, sent.path, sent.query) == ("POST", path, {})
    assert sent.headers["authorization"] == "Bearer ya29.test"
    assert sent.json == {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


def test_express_mode_has_no_project_and_keeps_its_key_out_of_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "not-this-one")
    server, _ = ask("Hello", api_key="AIza-key")
    sent = server.requests[0]
    assert sent.path == "/v1/publishers/google/models/gemini-2.5-flash:generateContent"
    assert (sent.query, sent.headers["x-goog-api-key"]) == ({}, "AIza-key")
    assert "authorization" not in sent.headers
    assert Vertex("gemini-2.5-flash", api_key="AIza-key").endpoint_url == "https://aiplatform.googleapis.com"


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ("us", "https://aiplatform.us.rep.googleapis.com"),
    ],
)
def test_the_location_names_the_host(location: str, host: str) -> None:
    assert Vertex("m", project_id="p", location=location, access_token="t").endpoint_url == host


def test_location_and_project_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "env-project")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "global")
    server, _ = ask("Hello", access_token="t")
    assert server.requests[0].path.startswith("/v1/projects/env-project/locations/global/publishers/google/")


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/gemini-x", "/v1/projects/proj/locations/global/publishers/google/models/gemini-x"),
        ("endpoints/123", "/v1/projects/proj/locations/global/endpoints/123"),
        ("projects/q/locations/eu/endpoints/1", "/v1/projects/q/locations/eu/endpoints/1"),
        ("gemini:x y", "/v1/projects/proj/locations/global/publishers/google/models/gemini%3Ax%20y"),
    ],
)
def test_a_model_may_be_of_another_publisher_or_tuned(model: str, path: str) -> None:
    assert ask("Hello", model)[0].requests[0].path == f"{path}:generateContent"


def test_a_request_may_name_another_model() -> None:
    server, _ = ask(ChatRequest([Message.user("Hi")], model="gemini-3-pro"))
    assert server.requests[0].path.endswith("/models/gemini-3-pro:generateContent")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"access_token": "t"}, "GOOGLE_CLOUD_PROJECT"),
        ({"access_token": "t", "api_key": "k"}, "give one of access_token, api_key"),
        ({"api_key": "k", "project_id": "p"}, "leave project_id and location out"),
        ({"access_token": "t", "project_id": "p", "location": "evil.example/x"}, "isn't a location"),
        ({"access_token": "$ENV:TAKO_NO_SUCH_TOKEN", "project_id": "p"}, "TAKO_NO_SUCH_TOKEN"),
        ({"access_token": "a\nb", "project_id": "p"}, "access_token contains a line break"),
        ({"credentials": ("creds", "project")}, "pass its first item"),
    ],
)
def test_a_wrong_option_is_an_error_of_one_line(
    options: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    with pytest.raises(ConfigurationError, match=expected) as caught:
        Vertex("m", **options)
    assert "\n" not in str(caught.value)


def test_a_token_may_be_the_name_of_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "ya29.env")
    server, _ = ask("Hello", access_token="$ENV:MY_TOKEN", project_id="p")
    assert server.requests[0].headers["authorization"] == "Bearer ya29.env"


def test_system_messages_are_the_instruction_and_turns_of_one_role_are_merged() -> None:
    request = ChatRequest(
        [
            Message.system("Be brief."),
            Message.user("One"),
            Message.user("Two"),
            Message.system("Be kind."),
            Message.assistant("Three"),
        ]
    )
    assert body(request) == {
        "contents": [
            {"role": "user", "parts": [{"text": "One"}, {"text": "Two"}]},
            {"role": "model", "parts": [{"text": "Three"}]},
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
    }


def test_images_are_sent_inline_or_by_url_with_a_guessed_type() -> None:
    request = user(
        ContentPart.image("image/png", f"data:image/png;base64,{PIXEL}"),
        ContentPart.image_url("gs://bucket/cat.JPG"),
        ContentPart.image_url("https://example.com/a%20b.webp?size=1.gif#x"),
        ContentPart.image_url("gs://bucket/movie", "video/mp4"),
        ContentPart.image_url("data:image/gif;base64,R0lGODlh"),
    )
    assert body(request)["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "gs://bucket/cat.JPG"}},
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://example.com/a%20b.webp?size=1.gif#x"}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://bucket/movie"}},
        {"inlineData": {"mimeType": "image/gif", "data": "R0lGODlh"}},
    ]


def test_each_part_that_is_left_out_has_a_notice() -> None:
    request = user(
        ContentPart.text("Hi"),
        ContentPart.text(""),
        ContentPart.image_url("https://example.png"),
        ContentPart.image_url("http://example.com/a.png"),
        ContentPart.image("image/bmp", "Qk0="),
        ReasoningPart("hm", State(Origin("anthropic"))),
        ContentPart.tool_call("a", "f", {}),
        ContentPart.tool_result("nobody", "x"),
    )
    assert codes(request) == [
        ("empty_text", "messages[0].content[1]"),
        ("unsupported_media_type", "messages[0].content[2]"),
        ("unsupported_url", "messages[0].content[3]"),
        ("unsupported_media_type", "messages[0].content[4]"),
        ("foreign_state", "messages[0].content[5]"),
        ("misplaced_part", "messages[0].content[6]"),
        ("unknown_call", "messages[0].content[7]"),
    ]
    assert body(request)["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    with pytest.raises(UnsupportedError):
        ask(user(ContentPart.text(""), strict=True))


def test_tools_are_sent_as_json_schema() -> None:
    request = ChatRequest([Message.user("?")], tools=[TOOL, Tool("now")], tool_choice="weather")
    encoded = body(request)
    assert encoded["tools"][0]["functionDeclarations"][0] == {
        "name": "weather",
        "description": "Get the weather",
        "parametersJsonSchema": SCHEMA,
    }
    calling_config = {"mode": "ANY", "allowedFunctionNames": ["weather"]}
    assert encoded["toolConfig"] == {"functionCallingConfig": calling_config}


@pytest.mark.parametrize(("choice", "mode"), [("auto", "AUTO"), ("none", "NONE"), ("required", "ANY")])
def test_tool_choice_is_sent_as_geminis_mode(choice: str, mode: str) -> None:
    request = ChatRequest([Message.user("?")], tools=[TOOL], tool_choice=choice)
    assert body(request)["toolConfig"] == {"functionCallingConfig": {"mode": mode}}


def test_results_are_sent_in_the_order_of_the_calls_with_their_names_and_ids() -> None:
    calls = [
        ContentPart.tool_call("vertex_0", "weather", {"city": "Rome"}),
        ContentPart.tool_call("g-1", "weather", {"city": "Oslo"}),
        ContentPart.tool_call("g-2", "now", {}),
    ]
    results = [
        ContentPart.tool_result("g-2", {"hour": 9}),
        ContentPart.tool_result("g-1", "no data", is_error=True),
        ContentPart.tool_result("vertex_0", "18C"),
    ]
    contents = body(ChatRequest(conversation_with_calls(*calls, results=[ContentPart.text("Here."), *results])))[
        "contents"
    ]
    assert contents[1]["parts"] == [
        {"functionCall": {"name": "weather", "args": {"city": "Rome"}}},
        {"functionCall": {"id": "g-1", "name": "weather", "args": {"city": "Oslo"}}},
        {"functionCall": {"id": "g-2", "name": "now", "args": {}}},
    ]
    assert contents[2] == {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "weather", "response": {"result": "18C"}}},
            {"functionResponse": {"id": "g-1", "name": "weather", "response": {"error": "no data"}}},
            {"functionResponse": {"id": "g-2", "name": "now", "response": {"hour": 9}}},
            {"text": "Here."},
        ],
    }


def test_unanswered_calls_are_left_out_with_a_notice() -> None:
    calls = [ContentPart.tool_call("a", "f", {}), ContentPart.tool_call("b", "f", {})]
    request = ChatRequest(
        conversation_with_calls(*calls, results=[ContentPart.tool_result("b", 1), ContentPart.tool_result("b", 2)])
    )
    assert [len(content["parts"]) for content in body(request)["contents"]] == [1, 1, 1]
    assert codes(request) == [
        ("unanswered_call", "messages[1].content[0]"),
        ("unknown_call", "messages[2].content[1]"),
    ]


def test_arguments_that_are_not_an_object_are_wrapped_in_one() -> None:
    request = ChatRequest(
        conversation_with_calls(ContentPart.tool_call("a", "f", "{broken"), results=[ContentPart.tool_result("a", [1])])
    )
    contents = body(request)["contents"]
    assert contents[1]["parts"][0]["functionCall"]["args"] == {"arguments": "{broken"}
    assert contents[2]["parts"][0]["functionResponse"]["response"] == {"result": [1]}
    assert codes(request) == [("changed_part", "messages[1].content[0]")]


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-pro"])
def test_media_of_a_result_are_in_it_on_gemini_3_and_next_to_it_before(model: str) -> None:
    result = ContentPart.tool_result("a", [ContentPart.text("see"), ContentPart.image("image/png", PIXEL)])
    parts = body(ChatRequest(conversation_with_calls(ContentPart.tool_call("a", "f", {}), results=[result])), model)[
        "contents"
    ][2]["parts"]
    media = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
    answer = {"id": "a", "name": "f", "response": {"result": "see"}}
    if model == "gemini-3-pro":
        assert parts == [{"functionResponse": {**answer, "parts": [media]}}]
    else:
        assert parts == [{"functionResponse": answer}, media]


def signed(signature: str) -> State:
    return State(Origin("vertex"), {"thoughtSignature": signature})


def test_state_only_goes_back_to_its_origin() -> None:
    turn: list[Any] = [
        ReasoningPart("hm", State(Origin("vertex"))),
        TextPart("Hi", state=signed("s1")),
        TextPart("", state=signed("s2")),
        TextPart("there", state=State(Origin("anthropic"), {"citations": []})),
        ToolCallPart("a", "f", {"b": 1}, signed("s3")),
        ToolCallPart("c", "f", {}, State(Origin("vertex"))),
    ]
    request = ChatRequest(
        [
            Message.user("?"),
            Message.assistant(turn),
            Message(Role.TOOL, [ContentPart.tool_result("a", {}), ContentPart.tool_result("c", {})]),
        ]
    )
    assert body(request)["contents"][1]["parts"] == [
        {"text": "hm", "thought": True},
        {"text": "Hi", "thoughtSignature": "s1"},
        {"text": "", "thoughtSignature": "s2"},
        {"text": "there"},
        {"functionCall": {"id": "a", "name": "f", "args": {"b": 1}}, "thoughtSignature": "s3"},
        {"functionCall": {"id": "c", "name": "f"}},
    ]
    assert codes(request) == [("foreign_state", "messages[1].content[3]")]


def test_gemini_3_gets_a_placeholder_signature_for_another_models_call() -> None:
    calls = [ContentPart.tool_call("a", "f", {}), ContentPart.tool_call("b", "f", {})]
    results = [ContentPart.tool_result("a", {}), ContentPart.tool_result("b", {})]
    parts = body(ChatRequest(conversation_with_calls(*calls, results=results)), "gemini-3-flash")["contents"][1][
        "parts"
    ]
    assert [part.get("thoughtSignature") for part in parts] == ["skip_thought_signature_validator", None]
    parts = body(ChatRequest(conversation_with_calls(*calls, results=results)))["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [None, None]


def test_every_parameter_is_sent() -> None:
    request = ChatRequest(
        [Message.user("?")],
        temperature=0.5,
        top_p=0.9,
        max_tokens=7,
        seed=3,
        stop=["A"],
        response_format=JsonSchema("x", SCHEMA),
        metadata={"team": "blue"},
        extra={"generationConfig": {"topK": 4, "seed": 5}, "safetySettings": []},
    )
    assert body(request) | {"contents": None} == {
        "contents": None,
        "generationConfig": {
            "temperature": 0.5,
            "topP": 0.9,
            "maxOutputTokens": 7,
            "seed": 5,
            "stopSequences": ["A"],
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
            "topK": 4,
        },
        "labels": {"team": "blue"},
        "safetySettings": [],
    }
    json = body(ChatRequest([Message.user("?")], response_format="json"))
    assert json["generationConfig"] == {"responseMimeType": "application/json"}


def test_parameters_that_gemini_refuses_have_notices() -> None:
    request = ChatRequest(
        [Message.user("?")], tool_choice="auto", stop=list("abcdef"), metadata={"Team": "x"}, reasoning="utterly"
    )
    assert codes(request) == [
        ("unsupported_parameter", "tool_choice"),
        ("changed_parameter", "stop"),
        ("unsupported_parameter", "reasoning"),
        ("unsupported_parameter", "metadata.Team"),
    ]


@pytest.mark.parametrize(
    ("model", "reasoning", "expected"),
    [
        ("gemini-2.5-pro", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-pro", "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-2.5-flash", 0, {"thinkingBudget": 0}),
        ("gemini-2.5-flash", -1, {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-3-pro-preview", "low", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3-flash", -1, {"includeThoughts": True}),
        ("endpoints/77", "medium", {"thinkingBudget": 8192, "includeThoughts": True}),
        ("gemini-2.0-flash", "low", None),
    ],
)
def test_reasoning_is_a_budget_for_gemini_2_and_a_level_for_gemini_3(model: str, reasoning: Any, expected: Any) -> None:
    encoded = body(ChatRequest([Message.user("?")], reasoning=reasoning), model)
    assert encoded.get("generationConfig", {}).get("thinkingConfig") == expected
