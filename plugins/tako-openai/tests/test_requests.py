"""Request bodies of tako-openai."""

from __future__ import annotations

from typing import Any

import pytest
from tako_openai import OpenAI

from tako import ChatRequest, ChatResponse, ContentPart, JsonSchema, Message, Role, Tool, UnsupportedError
from tako.errors import ConfigurationError
from tako.parts import ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tako.state import Origin, State
from tako.testing.server import Server, reply, serve

ANSWER = reply(json={"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]})
PIXEL = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def ask(request: ChatRequest | str, model: str = "gpt-4o", **options: Any) -> tuple[Server, ChatResponse]:
    with serve(ANSWER) as server:
        provider = OpenAI(model, api_key="sk-test", base_url=f"{server.url}/v1", **options)
        return server, provider.blocking.chat(request)


def body(request: ChatRequest, **options: Any) -> Any:
    return ask(request, **options)[0].requests[0].json


def user(*parts: Any, **parameters: Any) -> ChatRequest:
    return ChatRequest([Message(Role.USER, list(parts))], **parameters)


def test_a_request_goes_to_chat_completions_with_the_key_and_the_ids() -> None:
    server, _ = ask("Hello", organization="org-1", project="proj-1", headers={"x-extra": "1"})
    sent = server.requests[0]
    assert (sent.method, sent.path) == ("POST", "/v1/chat/completions")
    assert sent.headers["authorization"] == "Bearer sk-test"
    assert (sent.headers["openai-organization"], sent.headers["openai-project"]) == ("org-1", "proj-1")
    assert sent.headers["x-extra"] == "1"
    assert sent.json == {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


def test_text_alone_is_a_string_and_mixed_content_an_array_in_source_order() -> None:
    text, url = ContentPart.text("What is this?"), ContentPart.image_url("https://example.com/a.png")
    inline = ContentPart.image("image/png", f"data:image/png;base64,{PIXEL}")
    assert body(user(text))["messages"] == [{"role": "user", "content": "What is this?"}]
    assert body(user(inline, text, url))["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]


def test_calls_and_results_keep_their_pairs_and_each_result_is_a_message() -> None:
    conversation = [
        Message.user("Weather?"),
        Message.assistant(
            [
                ContentPart.text("Looking."),
                ContentPart.tool_call("a", "weather", {"city": "Rome"}),
                ContentPart.tool_call("b", "weather", "{bro"),
            ]
        ),
        Message(Role.TOOL, [ContentPart.tool_result("a", "18 °C"), ContentPart.tool_result("b", {"error": 1})]),
    ]
    assert body(ChatRequest(conversation))["messages"][1:] == [
        {
            "role": "assistant",
            "content": "Looking.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}},
                {"id": "b", "type": "function", "function": {"name": "weather", "arguments": '{"arguments":"{bro"}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "18 °C"},
        {"role": "tool", "tool_call_id": "b", "content": '{"error":1}'},
    ]


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_tools_and_the_choice_among_them(choice: str, wire: Any) -> None:
    sent = body(user(ContentPart.text("?"), tools=[Tool("weather", "Tells it", SCHEMA)], tool_choice=choice))
    function = {"name": "weather", "description": "Tells it", "parameters": SCHEMA}
    assert sent["tools"] == [{"type": "function", "function": function}]
    assert sent["tool_choice"] == wire


def test_parameters_have_the_names_of_the_api() -> None:
    parameters: dict[str, Any] = {"temperature": 0.2, "top_p": 0.9, "max_tokens": 64, "stop": ["END"], "seed": 7}
    sent = body(user(ContentPart.text("?"), **parameters, metadata={"k": "v"}, extra={"user": "u", "seed": 8}))
    assert {key: sent[key] for key in ("temperature", "top_p", "max_tokens", "stop", "seed", "metadata", "user")} == {
        "temperature": 0.2,
        "top_p": 0.9,
        "max_tokens": 64,
        "stop": ["END"],
        "seed": 8,
        "metadata": {"k": "v"},
        "user": "u",
    }


@pytest.mark.parametrize("model", ["o3-mini", "gpt-5", "openai/gpt-5-mini", "o4"])
def test_reasoning_models_get_their_limit_as_max_completion_tokens(model: str) -> None:
    sent = body(user(ContentPart.text("?"), max_tokens=64), model=model)
    assert sent["max_completion_tokens"] == 64
    assert "max_tokens" not in sent


def test_output_formats() -> None:
    assert body(user(ContentPart.text("?"), response_format="json"))["response_format"] == {"type": "json_object"}
    schema = JsonSchema("place", SCHEMA, strict=False)
    assert body(user(ContentPart.text("?"), response_format=schema))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "place", "schema": SCHEMA, "strict": False},
    }


def test_a_budget_of_reasoning_becomes_an_effort_with_a_notice() -> None:
    server, response = ask(user(ContentPart.text("?"), reasoning=4000), model="gpt-5")
    assert server.requests[0].json["reasoning_effort"] == "medium"
    assert [(notice.code, notice.path) for notice in response.notices] == [("changed_parameter", "reasoning")]


@pytest.mark.parametrize(
    ("model", "least"), [("o3-mini", "low"), ("gpt-5-mini", "minimal"), ("gpt-5.2", "none"), ("qwen3", "none")]
)
def test_a_budget_of_zero_is_the_least_effort_that_a_model_accepts(model: str, least: str) -> None:
    assert body(user(ContentPart.text("?"), reasoning=0), model=model)["reasoning_effort"] == least


STOPS = list("abcdef")


@pytest.mark.parametrize(
    ("model", "effort", "sampling", "stops"),
    [
        ("gpt-4o", False, True, 4),
        ("gpt-4.1-mini", False, True, 4),
        ("gpt-5-chat-latest", False, True, 4),
        ("o1", True, False, 4),
        ("openai/o3-mini", True, False, 4),
        ("o4-mini", True, False, 0),
        ("gpt-5", True, False, 0),
        ("gpt-5-nano-2025-08-07", True, False, 0),
        ("gpt-5.2", True, False, 0),
        ("gpt-oss-120b", True, True, 6),
        ("deepseek-chat", True, True, 6),
    ],
)
def test_parameters_that_a_model_refuses_are_left_out_with_a_notice(
    model: str, effort: bool, sampling: bool, stops: int
) -> None:
    request = user(ContentPart.text("?"), reasoning="low", temperature=0.2, top_p=0.9, stop=STOPS)
    server, response = ask(request, model=model)
    sent = server.requests[0].json
    assert sent.get("reasoning_effort") == ("low" if effort else None)
    assert [sent.get("temperature"), sent.get("top_p")] == ([0.2, 0.9] if sampling else [None, None])
    assert sent.get("stop", []) == STOPS[:stops]
    changed = {"stop"} if stops < len(STOPS) else set()
    expected = changed | (set() if effort else {"reasoning"}) | (set() if sampling else {"temperature", "top_p"})
    assert {notice.path for notice in response.notices} == expected


def test_later_models_sample_without_an_effort() -> None:
    for reasoning in (None, "none"):
        request = user(ContentPart.text("?"), reasoning=reasoning, temperature=0.2, top_p=0.9)
        sent = body(request, model="gpt-5.2")
        assert (sent["temperature"], sent["top_p"]) == (0.2, 0.9)


@pytest.mark.parametrize(
    ("schema", "wire"),
    [
        ({}, {"type": "object", "properties": {}}),
        ({"type": "object"}, {"type": "object", "properties": {}}),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        (SCHEMA, SCHEMA),
    ],
)
def test_a_tool_without_parameters_has_the_schema_of_an_object_without_properties(schema: Any, wire: Any) -> None:
    sent = body(user(ContentPart.text("?"), tools=[Tool("now", "", schema)]))
    assert sent["tools"] == [{"type": "function", "function": {"name": "now", "parameters": wire}}]


@pytest.mark.parametrize(("name", "wire"), [("Person, émigré", "Person___migr_"), ("", "schema"), ("x" * 70, "x" * 64)])
def test_the_name_of_a_schema_is_changed_to_one_that_servers_accept(name: str, wire: str) -> None:
    server, response = ask(user(ContentPart.text("?"), response_format=JsonSchema(name, SCHEMA, strict=False)))
    assert server.requests[0].json["response_format"]["json_schema"]["name"] == wire
    assert [(notice.code, notice.path) for notice in response.notices] == [("changed_parameter", "response_format")]


def test_parts_that_cannot_be_sent_have_notices_or_are_refused() -> None:
    bitmap, empty = ContentPart.image("image/bmp", "Qk0="), ContentPart.text("")
    broken, bucket = ContentPart.image("image/png", "?!"), ContentPart.image_url("gs://bucket/a.png")
    foreign = ReasoningPart("hm", State(Origin("anthropic"), {"signature": "sig"}))
    request = ChatRequest(
        [Message.user([bitmap, empty, broken, bucket, ContentPart.text("Hi")]), Message.assistant([foreign])]
    )
    server, response = ask(request)
    assert server.requests[0].json["messages"] == [{"role": "user", "content": "Hi"}]
    assert [(notice.code, notice.path) for notice in response.notices] == [
        ("unsupported_media_type", "messages[0].content[0]"),
        ("empty_text", "messages[0].content[1]"),
        ("invalid_image", "messages[0].content[2]"),
        ("unsupported_url", "messages[0].content[3]"),
        ("foreign_state", "messages[1].content[0]"),
    ]
    strict = ChatRequest(request.messages, strict=True)
    with serve(ANSWER) as silent, pytest.raises(UnsupportedError, match="openai:m can't send") as refused:
        OpenAI("m", api_key="k", base_url=silent.url).blocking.chat(strict)
    assert silent.requests == []
    assert len(refused.value.notices) == 5


def test_a_compatible_server_gets_its_own_reasoning_back_in_its_field() -> None:
    own = ReasoningPart("hm", State(Origin("openai"), {"reasoning": ""}))
    request = ChatRequest([Message.user("?"), Message.assistant([own, ContentPart.text("so")]), Message.user("!")])
    assert body(request)["messages"][1] == {"role": "assistant", "content": "so", "reasoning": "hm"}
    assert body(request, reasoning_field="reasoning_content")["messages"][1] == {
        "role": "assistant",
        "content": "so",
        "reasoning_content": "hm",
    }


@pytest.mark.parametrize(("data", "field"), [({"reasoning": ""}, ""), ({"encrypted_content": "x"}, None)])
def test_reasoning_without_a_field_is_left_out_with_a_notice(data: Any, field: str | None) -> None:
    own = ReasoningPart("hm", State(Origin("openai"), data))
    request = ChatRequest([Message.user("?"), Message.assistant([own, ContentPart.text("so")]), Message.user("!")])
    server, response = ask(request, reasoning_field=field)
    assert server.requests[0].json["messages"][1] == {"role": "assistant", "content": "so"}
    assert [notice.code for notice in response.notices] == ["unsupported_part"]


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://host/v1", "http://", "http://host:99999/v1", "http://user:pw@host", "http://h/v1?x=1"]
)
def test_an_invalid_base_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url") as refused:
        OpenAI("m", api_key="k", base_url=url)
    assert "pw" not in str(refused.value)


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        OpenAI("m")
    with pytest.raises(ConfigurationError, match="MY_KEY"):
        OpenAI("m", api_key="$ENV:MY_KEY")
    monkeypatch.setenv("MY_KEY", "sk-mine")
    with serve(ANSWER) as server:
        OpenAI("m", api_key="$ENV:MY_KEY", base_url=server.url).blocking.chat("Hi")
    assert server.requests[0].headers["authorization"] == "Bearer sk-mine"


MARKED = [
    Message.system([TextPart("A long handbook.", cache="12h")]),
    Message.user([TextPart("Hi", cache=True)]),
    Message.assistant([ToolCallPart("c1", "now", {}, cache=True)]),
    Message(Role.TOOL, [ToolResultPart("c1", "12:00", cache=True)]),
]


def test_cache_marks_are_breakpoints_of_models_that_have_them() -> None:
    server, response = ask(ChatRequest(MARKED, tools=[Tool("now", cache=True)]), model="gpt-5.6-sol")
    system, user, _, result = server.requests[0].json["messages"]
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    handbook = {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}
    assert system["content"] == [{"type": "text", "text": "A long handbook.", **handbook}]
    assert user["content"] == [{"type": "text", "text": "Hi", **mark}]
    assert result["content"] == [{"type": "text", "text": "12:00", **mark}]
    assert [(notice.code, notice.path) for notice in response.notices] == [
        ("unsupported_parameter", "messages[2].content[0]"),
        ("unsupported_parameter", "tools[0].cache"),
        ("changed_parameter", "reasoning"),
    ]


def test_cache_marks_have_notices_if_a_model_has_none_and_a_strict_request_is_refused() -> None:
    server, response = ask(ChatRequest(MARKED[:2]))
    assert server.requests[0].json["messages"][1] == {"role": "user", "content": "Hi"}
    assert [notice.code for notice in response.notices] == ["unsupported_parameter"] * 2
    with pytest.raises(UnsupportedError, match="cache was left out"):
        ask(ChatRequest(MARKED[:2], strict=True))


def test_extra_is_merged_into_tools_and_parts_and_appended_to_the_tools() -> None:
    search = Tool.vendor("openai", {"type": "custom", "custom": {"name": "sql"}})
    foreign = Tool.vendor("anthropic", {"type": "web_search_20260318", "name": "web_search"})
    schema = {**SCHEMA, "required": ["city"], "additionalProperties": False}
    strict = Tool("now", "", schema, strict=True, extra={"defer": True})
    text = TextPart("?", extra={"cache_control": {"type": "ephemeral"}})
    request = ChatRequest(
        [Message.user([text])],
        tools=[strict, search, foreign],
        tool_choice="custom",
        parallel_tool_calls=False,
        extra={"tools": [{"a": 1}]},
    )
    server, response = ask(request)
    sent = server.requests[0].json
    assert sent["messages"][0]["content"] == [{"type": "text", "text": "?", "cache_control": {"type": "ephemeral"}}]
    assert sent["tools"] == [
        {"type": "function", "function": {"name": "now", "parameters": schema, "strict": True}, "defer": True},
        {"type": "custom", "custom": {"name": "sql"}},
        {"a": 1},
    ]
    assert sent["parallel_tool_calls"] is False
    assert sent["tool_choice"] == {"type": "custom", "custom": {"name": "sql"}}
    assert [(notice.code, notice.path) for notice in response.notices] == [("unsupported_parameter", "tools[2]")]


def test_calls_of_tools_need_tools() -> None:
    _, response = ask(user(ContentPart.text("?"), parallel_tool_calls=True))
    assert [(notice.code, notice.path) for notice in response.notices] == [
        ("unsupported_parameter", "parallel_tool_calls")
    ]
