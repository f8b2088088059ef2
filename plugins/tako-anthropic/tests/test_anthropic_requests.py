"""What goes to Anthropic, and what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako import ChatRequest, ContentPart, JsonSchema, Message, Origin, Role, State, Tool
from tako.errors import ConfigurationError, UnsupportedError
from tako.parts import Part, ReasoningPart, TextPart
from tako.providers import Anthropic
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.testing.server import Received, Server

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
ANSWER = {
    "id": "msg_1",
    "model": "claude",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "usage": {},
}
WEATHER = Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
ORIGIN = Origin("anthropic")
OLD, BOTH, NEW = "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-5-5"


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(reply(json=ANSWER)) as running:
        yield running


def ask(server: Server, request: Any, model: str = OLD, **options: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Send a request. Returns the body that arrived, and the codes and paths of the notices."""
    provider = Anthropic(model, api_key="sk-ant-test", base_url=server.url, **options)
    response = provider.blocking.chat(request)
    return server.requests[-1].json, [(notice.code, notice.path) for notice in response.notices]


def sent(server: Server, **options: Any) -> Received:
    Anthropic(OLD, api_key="sk-ant-test", base_url=server.url, **options).blocking.chat("Hi")
    return server.requests[-1]


def test_a_request_goes_to_v1_messages_with_the_key_and_the_version(server: Server) -> None:
    request = sent(server)
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert request.headers["x-api-key"] == "sk-ant-test"
    assert request.headers["anthropic-version"] == "2026-10-21"
    assert "anthropic-beta" not in request.headers
    assert request.json == {"model": OLD, "max_tokens": 4096, "messages": [{"role": "user", "content": "Hi"}]}


def test_beta_features_version_and_default_length_are_options(server: Server) -> None:
    request = sent(server, beta=["files-api-2025-04-14", "x-1"], version="2026-10-21", default_max_tokens=7)
    assert request.headers["anthropic-beta"] == "files-api-2025-04-14,x-1"
    assert request.headers["anthropic-version"] == "2026-10-21"
    assert request.json["max_tokens"] == 7


def test_base_url_comes_from_the_environment_unless_it_is_set(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-env")
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    assert Anthropic("m").base_url == "https://api.anthropic.com"
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url + "/")
    Anthropic("m").blocking.chat("Hi")
    assert server.requests[-1].headers["x-api-key"] == "sk-ant-env"
    assert Anthropic("m", base_url="https://example.com/a").base_url == "https://example.com/a"


def test_an_invalid_default_length_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="default_max_tokens"):
        Anthropic("m", api_key="k-12345", default_max_tokens=0)


def test_all_system_messages_are_kept_in_order(server: Server) -> None:
    messages = [Message.system("One."), Message.user("Hi"), Message.system("Two."), Message.user("there")]
    body, notices = ask(server, messages)
    assert body["system"] == [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]
    assert [message["role"] for message in body["messages"]] == ["user"]
    assert [block["text"] for block in body["messages"][0]["content"]] == ["Hi", "there"]
    assert notices == [("moved_turn", "messages[2].content[0]")]


def test_results_of_parallel_calls_are_first_in_one_user_message(server: Server) -> None:
    calls = [
        ContentPart.tool_call("a", "weather", {"city": "Paris"}),
        ContentPart.tool_call("b", "weather", {"city": "Rome"}),
    ]
    messages = [
        Message.user("Weather?"),
        Message.assistant([ContentPart.text("Checking."), *calls]),
        Message.user("Quickly, please."),
        Message.tool("b", {"celsius": 20}),
        Message.tool("a", "unknown", is_error=True),
    ]
    body, notices = ask(server, ChatRequest(messages, tools=[WEATHER]))
    assert body["messages"][1]["content"] == [
        {"type": "text", "text": "Checking."},
        {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Paris"}},
        {"type": "tool_use", "id": "b", "name": "weather", "input": {"city": "Rome"}},
    ]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "b", "content": '{"celsius":20}'},
        {"type": "tool_result", "tool_use_id": "a", "content": "unknown", "is_error": True},
        {"type": "text", "text": "Quickly, please."},
    ]
    assert notices == []


def test_results_may_have_text_and_images(server: Server) -> None:
    result = [ContentPart.text("See:"), ContentPart.image("image/png", PNG), ContentPart.tool_call("x", "y", {})]
    messages = [
        Message.user("?"),
        Message.assistant([ContentPart.tool_call("a", "look", {})]),
        Message.tool("a", result),
    ]
    body, notices = ask(server, ChatRequest(messages, tools=[WEATHER]))
    content = body["messages"][2]["content"][0]["content"]
    assert [block["type"] for block in content] == ["text", "image"]
    assert notices == [("misplaced_part", "messages[2].content[0].result[2]")]


def test_ids_of_other_vendors_are_made_valid_and_unique_in_calls_and_results(server: Server) -> None:
    def turn(city: str) -> list[Message]:
        return [
            Message.assistant([ContentPart.tool_call("call|1", "weather", {"city": city})]),
            Message.tool("call|1", city),
        ]

    body, notices = ask(server, ChatRequest([Message.user("?"), *turn("Paris"), *turn("Rome")], tools=[WEATHER]))
    ids = [block.get("id") or block["tool_use_id"] for message in body["messages"][1:] for block in message["content"]]
    assert ids == ["call_1", "call_1", "call_1_2", "call_1_2"]
    assert notices == []


def test_calls_without_results_and_results_without_calls_are_left_out(server: Server) -> None:
    messages = [
        Message.tool("z", "before any call"),
        Message.user("?"),
        Message.assistant([ContentPart.text("Well"), ContentPart.tool_call("a", "weather", {})]),
        Message.user("Never mind"),
        Message.assistant("Fine."),
        Message.tool("a", "too late"),
        Message.user("Bye"),
    ]
    body, notices = ask(server, ChatRequest(messages, tools=[WEATHER]))
    assert [message["content"] for message in body["messages"]] == ["?", "Well", "Never mind", "Fine.", "Bye"]
    assert sorted(notices) == [
        ("unanswered_call", "messages[2].content[1]"),
        ("unknown_call", "messages[0].content[0]"),
        ("unknown_call", "messages[5].content[0]"),
    ]


def test_a_request_without_tools_declares_the_tools_that_its_history_calls(server: Server) -> None:
    messages = [Message.user("?"), Message.assistant([ContentPart.tool_call("a", "x.y", {})]), Message.tool("a", "1")]
    body, notices = ask(server, messages)
    assert body["tools"] == [{"name": "x_y", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}
    assert notices == [("added_tools", "tools")]


def test_arguments_that_are_not_an_object_are_wrapped_in_one(server: Server) -> None:
    calls: list[Part] = [
        ContentPart.tool_call("a", "weather", '{"city": "Par'),
        ContentPart.tool_call("b", "weather", None),
    ]
    messages = [Message.user("?"), Message.assistant(calls), Message.tool("a", "bad"), Message.tool("b", "1")]
    body, notices = ask(server, ChatRequest(messages, tools=[WEATHER]))
    inputs = [block["input"] for block in body["messages"][1]["content"]]
    assert inputs == [{"arguments": '{"city": "Par'}, {}]
    assert notices == [("changed_part", "messages[1].content[0]")]


def test_the_first_message_must_be_the_users(server: Server) -> None:
    body, notices = ask(server, [Message.assistant("Welcome!"), Message.user("Hi"), Message.assistant("I say ")])
    assert body["messages"] == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "I say"}]
    assert notices == [("misplaced_part", "messages[0].content[0]"), ("changed_part", "messages[2].content[0]")]


def test_images_are_sent_inline_and_by_url(server: Server) -> None:
    parts: list[Part] = [
        ContentPart.image("image/png", f"data:image/png;base64,{PNG}"),
        ContentPart.image_url("https://example.com/cat.png"),
        ContentPart.image_url(f"data:image/png;base64,{PNG}"),
        ContentPart.image("image/tiff", "SUkqAA=="),
        ContentPart.image_url("ftp://example.com/cat.png"),
        ContentPart.text(" \n"),
    ]
    body, notices = ask(server, [Message.user(parts), Message.assistant([parts[0]]), Message.system([parts[0]])])
    inline = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    by_address = {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}}
    assert body["messages"] == [{"role": "user", "content": [inline, by_address, inline]}]
    assert [code for code, _ in notices] == [
        "unsupported_media_type",
        "unsupported_url",
        "empty_text",
        "misplaced_part",
        "misplaced_part",
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ("weather", {"type": "tool", "name": "weather"}),
    ],
)
def test_tool_choice_is_sent_in_anthropics_format(server: Server, choice: str, expected: dict[str, str]) -> None:
    body, _ = ask(server, ChatRequest([Message.user("?")], tools=[WEATHER], tool_choice=choice))
    assert body["tool_choice"] == expected
    assert body["tools"] == [
        {"name": "weather", "description": "The weather", "input_schema": WEATHER.input_schema},
    ]


def test_parameters_that_the_api_lacks_have_a_notice(server: Server) -> None:
    request = ChatRequest(
        [Message.user("?")],
        tool_choice="auto",
        seed=1,
        response_format="json",
        stop=["END", "\n"],
        metadata={"user_id": "u1", "team": "x"},
    )
    body, notices = ask(server, request)
    assert body["stop_sequences"] == ["END"]
    assert body["metadata"] == {"user_id": "u1"}
    assert sorted(path for _, path in notices) == ["metadata.team", "response_format", "seed", "stop", "tool_choice"]
    with pytest.raises(UnsupportedError, match="seed"):
        ask(server, ChatRequest([Message.user("?")], seed=1, strict=True))


def test_a_schema_is_sent_with_an_effort(server: Server) -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    request = ChatRequest([Message.user("?")], response_format=JsonSchema("thing", schema), reasoning="low")
    body, notices = ask(server, request, BOTH)
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}, "effort": "low"}
    assert body["thinking"] == {"type": "adaptive"}
    assert notices == []


@pytest.mark.parametrize(("model", "version"), [(OLD, "2026-10-21"), (NEW, "2023-06-01")])
def test_sampling_is_left_out_if_the_version_or_the_model_refuses_it(server: Server, model: str, version: str) -> None:
    request = ChatRequest([Message.user("?")], temperature=0.2, top_p=0.9)
    body, notices = ask(server, request, model, version=version)
    assert body.keys() == {"model", "max_tokens", "messages"}
    assert notices == [("unsupported_parameter", "temperature"), ("unsupported_parameter", "top_p")]
    with pytest.raises(UnsupportedError, match="temperature"):
        ask(server, ChatRequest([Message.user("?")], temperature=0.2, strict=True), model, version=version)


def test_a_budget_leaves_room_for_the_answer(server: Server) -> None:
    body, notices = ask(
        server, ChatRequest([Message.user("?")], reasoning=2000, max_tokens=500, temperature=0.5, top_p=0.96)
    )
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert (body["max_tokens"], body["top_p"]) == (2500, 0.96)
    assert notices == [("changed_parameter", "max_tokens"), ("unsupported_parameter", "temperature")]
    body, notices = ask(server, ChatRequest([Message.user("?")], reasoning=100))
    assert (body["thinking"]["budget_tokens"], body["max_tokens"]) == (1024, 4096)
    assert notices == [("changed_parameter", "reasoning")]


@pytest.mark.parametrize(
    ("model", "requested", "expected", "has_notice"),
    [
        (OLD, "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}, True),
        (BOTH, 3000, {"thinking": {"type": "enabled", "budget_tokens": 3000}}, False),
        (BOTH, "max", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, False),
        (
            NEW,
            "high",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}},
            False,
        ),
        (
            NEW,
            5000,
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "medium"}},
            True,
        ),
        (NEW, "odd", {}, True),
        (OLD, 0, {}, True),
        ("claude-3-5-haiku-latest", "high", {}, True),
        (
            "anthropic/claude-opus-4.7",
            "xhigh",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}},
            False,
        ),
        ("some-other", 2000, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, False),
    ],
)
def test_reasoning_is_sent_in_the_fields_of_the_model(
    server: Server, model: str, requested: int | str, expected: dict[str, Any], has_notice: bool
) -> None:
    body, notices = ask(server, ChatRequest([Message.user("?")], reasoning=requested), model)
    assert {key: body[key] for key in ("thinking", "output_config") if key in body} == expected
    assert [path for _, path in notices] == (["reasoning"] if has_notice else [])


def test_thinking_is_left_out_if_a_tool_must_be_called(server: Server) -> None:
    request = ChatRequest([Message.user("?")], tools=[WEATHER], tool_choice="required", reasoning="high")
    for model, expected in ((OLD, {}), (NEW, {"output_config": {"effort": "high"}})):
        body, notices = ask(server, request, model)
        assert {key: body[key] for key in ("thinking", "output_config") if key in body} == expected
        assert [path for _, path in notices] == ["reasoning"]


def test_a_budget_is_left_out_if_the_calls_are_of_another_model(server: Server) -> None:
    call = ContentPart.tool_call("a", "weather", {})
    thought = ReasoningPart("Hm", State(ORIGIN, {"signature": "sig"}))
    cases: list[tuple[list[Part], bool]] = [([call], False), ([thought, call], True)]
    for parts, has_thinking in cases:
        messages = [Message.user("?"), Message.assistant(parts), Message.tool("a", "1")]
        body, _ = ask(server, ChatRequest(messages, tools=[WEATHER], reasoning=2000))
        assert ("thinking" in body) is has_thinking


def test_own_reasoning_goes_back_unchanged_and_that_of_others_is_left_out(server: Server) -> None:
    redacted = {"type": "redacted_thinking", "data": "EmwK"}
    parts: list[Part] = [
        ReasoningPart("Hm", State(ORIGIN, {"signature": "sig=="})),
        ReasoningPart("", State(ORIGIN, redacted)),
        ReasoningPart("", State(ORIGIN, {"signature": "sig2"})),
        ReasoningPart("Ah", State(Origin("vertex"), {"thoughtSignature": "sig"})),
        ReasoningPart("by hand"),
        TextPart("Yes", state=State(Origin("vertex"), {"thoughtSignature": "state"})),
    ]
    body, notices = ask(server, [Message.user("?"), Message.assistant(parts), Message.user("!")])
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Hm", "signature": "sig=="},
        redacted,
        {"type": "thinking", "thinking": "", "signature": "sig2"},
        {"type": "text", "text": "Yes"},
    ]
    assert notices == [("foreign_state", f"messages[1].content[{i}]") for i in (3, 4, 5)]


def test_the_last_four_cache_marks_are_sent(server: Server) -> None:
    marked = [TextPart(str(n), cache=True) for n in range(3)]
    body, notices = ask(
        server, [Message.system([TextPart("S", cache=True)]), Message(Role.USER, [*marked, TextPart("3", cache=True)])]
    )
    assert body["system"] == "S"
    assert [block.get("cache_control") for block in body["messages"][0]["content"]] == [{"type": "ephemeral"}] * 4
    assert notices == [("unsupported_parameter", "messages[0].content[0]")]


def test_extra_is_merged_last(server: Server) -> None:
    tools = [{"name": "weather", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}]
    extra = {"tools": tools, "top_k": 3, "max_tokens": 9, "metadata": {"user_id": "u2"}}
    body, _ = ask(server, ChatRequest([Message.user("?")], extra=extra, metadata={"user_id": "u1"}))
    assert (body["tools"], body["top_k"], body["max_tokens"]) == (tools, 3, 9)
    assert body["metadata"] == {"user_id": "u2"}
    body, _ = ask(server, ChatRequest([Message.user("?")], tools=[WEATHER], extra={"tools": [SEARCH]}))
    assert [tool["name"] for tool in body["tools"]] == ["weather", "web_search"]


def test_a_plugins_translator_chooses_the_block_of_a_part(server: Server) -> None:
    class Shouting:
        @tako.hookimpl(wrapper=True)
        def tako_translator(self, provider: tako.Provider) -> tako.Around[tako.Translator]:
            inner = yield

            def encode(part: Any, context: Any) -> Any:
                return inner.encode(TextPart(part.text.upper()) if isinstance(part, TextPart) else part, context)

            return tako.Translator(encode, inner.decode)

    plugin = Shouting()
    tako.register(plugin)
    try:
        body, _ = ask(server, "hello")
    finally:
        tako.unregister(plugin)
    assert body["messages"] == [{"role": "user", "content": "HELLO"}]
