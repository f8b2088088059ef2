"""Tools and schemas that vendors refuse are adapted on every wire, whole and streamed, and said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

import tako
from tako import ChatRequest, JsonSchema, Message, Tool, UnsupportedError
from tako.parts import ToolCallPart
from tako.testing.dialects import Call, Script
from tests.schemas import refusals
from tests.schemas.vendors import CLAUDE, MAKERS, ask, declared, dialect_of, reply_schema
from tests.schemas.zoo import SCHEMAS

NAMES = (
    "github.com/linear:list issues",
    "github.com/linear/list issues",
    "café",
    "天気",
    "天氣",
    "x" * 80,
    "x" * 79 + "y",
    "plain",
    "-dash",
    "9lives",
)
LONGEST = {"anthropic": 128}
FIRST = {"vertex": "[a-zA-Z_]"}
KINDS = {"openai": "openai", "responses": "openai", "azure": "azure", "anthropic": "claude", "bedrock": "claude"}
TOOL_KINDS = {**KINDS, "bedrock": "converse", "mistral": "mistral", "vertex": "gemini", "ollama": "ollama"}
RENAMING = [vendor for vendor in MAKERS if vendor != "ollama"]
HISTORY = [
    Message.user("?"),
    Message.assistant([ToolCallPart("c1", NAMES[0], {}), ToolCallPart("c2", "gone.tool", {})]),
    Message.tool("c1", "1"),
    Message.tool("c2", "2"),
    Message.user("and?"),
]


pytestmark = pytest.mark.usefixtures("without_finalizers")


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-example")


def codes(response: tako.ChatResponse) -> set[str]:
    return {notice.code for notice in response.notices}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("vendor", RENAMING)
def test_calls_come_back_by_the_tools_own_names(vendor: str, stream: bool) -> None:
    def answer(request: Any) -> Script:
        sent = [tool["name"] for tool in declared(vendor, request.json)]
        return Script(calls=tuple(Call(name, {"n": n}, f"call_{n}") for n, name in enumerate(sent)))

    request = ChatRequest([Message.user("?")], tools=[Tool(name) for name in NAMES])
    with dialect_of(vendor).serve(answer) as server:
        response = ask(vendor, server.url, request, stream=stream)
    sent = [tool["name"] for tool in declared(vendor, server.requests[0].json)]
    pattern = rf"(?={FIRST.get(vendor, '')})[a-zA-Z0-9_.-]{{1,{LONGEST.get(vendor, 64)}}}"
    assert [name for name in sent if not re.fullmatch(pattern, name)] == []
    assert len({*sent}) == len(NAMES)
    assert [call.name for call in response.tool_calls] == [*NAMES]
    assert "renamed_tool" in codes(response)
    assert sent[NAMES.index("plain")] == "plain"


@pytest.mark.parametrize("tools", [[], [Tool(NAMES[0])]])
@pytest.mark.parametrize("vendor", RENAMING)
def test_a_history_and_its_tools_have_one_name(vendor: str, tools: list[Tool]) -> None:
    with dialect_of(vendor).serve(Script(text="ok")) as server:
        response = ask(vendor, server.url, ChatRequest(HISTORY, tools=tools))
    body = server.requests[0].json
    called = [part.name for part in dialect_of(vendor).read(server.requests[0]).of("call")]
    gemini = ["github.com_linear_list_issues", "gone.tool"]
    assert called == (gemini if vendor == "vertex" else ["github_com_linear_list_issues", "gone_tool"])
    assert {tool["name"] for tool in declared(vendor, body)} <= {*called}
    assert not {"unknown_call", "unanswered_call"} & codes(response)
    assert response.text == "ok"


@pytest.mark.parametrize("vendor", RENAMING)
def test_the_form_of_a_name_stays_while_a_conversation_grows(vendor: str) -> None:
    tools = [Tool(NAMES[1]), Tool(NAMES[0])]
    sent: list[list[str]] = []
    for messages in ([Message.user("?")], HISTORY, [*HISTORY, Message.assistant("ok"), Message.user("so?")]):
        with dialect_of(vendor).serve(Script(text="ok")) as server:
            ask(vendor, server.url, ChatRequest(messages, tools=tools))
        sent.append([tool["name"] for tool in declared(vendor, server.requests[0].json)])
    assert sent[0] == sent[1] == sent[2]


@pytest.mark.parametrize("vendor", [vendor for vendor in RENAMING if vendor != "bedrock"])
def test_a_tool_that_has_to_be_called_is_named_as_it_is_declared(vendor: str) -> None:
    request = ChatRequest([Message.user("?")], tools=[Tool("a.b/c"), Tool("d")], tool_choice="a.b/c")
    with dialect_of(vendor).serve(Script(text="ok")) as server:
        ask(vendor, server.url, request)
    choice = str(server.requests[0].json.get("tool_choice") or server.requests[0].json["toolConfig"])
    assert f"'{declared(vendor, server.requests[0].json)[0]['name']}'" in choice


def test_a_name_that_fits_is_never_given_away() -> None:
    tools = [Tool("a.b"), Tool("a_b"), Tool.vendor("anthropic", {"type": "web_search_20260318", "name": "web_search"})]
    request = ChatRequest([Message.user("?")], tools=[*tools, Tool("web search")])
    with dialect_of("anthropic").serve(Script(text="ok")) as server:
        response = ask("anthropic", server.url, request)
    sent = [tool["name"] for tool in server.requests[0].json["tools"]]
    assert len({*sent}) == 4
    assert (sent[1], sent[2]) == ("a_b", "web_search")
    assert [(notice.code, notice.path) for notice in response.notices] == [
        ("renamed_tool", "tools[0].name"),
        ("renamed_tool", "tools[3].name"),
    ]


def test_a_name_in_another_form_does_not_refuse_a_strict_request() -> None:
    request = ChatRequest([Message.user("?")], tools=[Tool("a.b")], strict=True)
    with dialect_of("openai").serve(Script(text="ok")) as server:
        assert ask("openai", server.url, request).text == "ok"


@pytest.mark.parametrize("strict", [None, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("vendor", MAKERS)
def test_every_schema_of_a_tool_is_taken_and_a_loss_is_said(vendor: str, stream: bool, strict: bool | None) -> None:
    tools = [Tool(f"t{n}", "", schema, strict=strict) for n, schema in enumerate(SCHEMAS.values())]
    with dialect_of(vendor).serve(Script(text="ok")) as server:
        response = ask(vendor, server.url, ChatRequest([Message.user("?")], tools=tools), stream=stream)
    sent = declared(vendor, server.requests[0].json)
    loop = [*SCHEMAS].index("a loop of references")
    assert [refusals.tool(TOOL_KINDS[vendor], tool["schema"]) for n, tool in enumerate(sent) if n != loop] == [None] * (
        len(SCHEMAS) - 1
    )
    at = [*SCHEMAS].index("anyOf of required")
    assert ("loosened_schema", f"tools[{at}].input_schema") in [(one.code, one.path) for one in response.notices]


@pytest.mark.parametrize("vendor", ["openai", "responses", "azure", "anthropic", "bedrock", "mistral"])
def test_a_strict_tool_fits_or_goes_out_without_strict_and_with_a_notice(vendor: str) -> None:
    tools = [Tool(f"t{n}", "", schema, strict=True) for n, schema in enumerate(SCHEMAS.values())]
    with dialect_of(vendor).serve(Script(text="ok")) as server:
        response = ask(vendor, server.url, ChatRequest([Message.user("?")], tools=tools))
    paths = {notice.path for notice in response.notices if notice.code == "unsupported_parameter"}
    for n, tool in enumerate(declared(vendor, server.requests[0].json)):
        if tool["strict"]:
            assert refusals.strict(KINDS.get(vendor, vendor), tool["schema"]) is None
        assert bool(tool["strict"]) is (f"tools[{n}].strict" not in paths)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", SCHEMAS)
@pytest.mark.parametrize("vendor", MAKERS)
def test_every_schema_of_a_reply_is_carried_or_told_in_words(vendor: str, kind: str, stream: bool) -> None:
    request = ChatRequest([Message.user("?")], response_format=JsonSchema("reply", SCHEMAS[kind]))
    with dialect_of(vendor).serve(Script(text="{}")) as server:
        response = ask(vendor, server.url, request, stream=stream)
    schema, is_strict = reply_schema(vendor, server.requests[0].json)
    if schema is None:
        assert b"fits this JSON Schema" in server.requests[0].body
        assert "changed_parameter" in codes(response)
    elif is_strict or vendor in ("anthropic", "bedrock"):
        assert refusals.strict(KINDS.get(vendor, vendor), schema) is None
    elif is_strict is False:
        assert "unsupported_parameter" in codes(response)


@pytest.mark.parametrize("vendor", ["openai", "responses", "azure", "mistral"])
def test_a_schema_that_is_not_strict_goes_out_as_it_is(vendor: str) -> None:
    schema = SCHEMAS["optional"]
    request = ChatRequest([Message.user("?")], response_format=JsonSchema("reply", schema, strict=False))
    with dialect_of(vendor).serve(Script(text="{}")) as server:
        response = ask(vendor, server.url, request)
    assert reply_schema(vendor, server.requests[0].json) == (schema, False)
    assert response.notices == []


# Models without schemas ----------------------------------------------------------------------------------------------

WITHOUT = [
    ("anthropic", "claude-3-5-haiku-20241022"),
    ("anthropic", "claude-opus-4-20250514"),
    ("bedrock", "amazon.nova-lite-v1:0"),
    ("bedrock", "eu.anthropic.claude-3-7-sonnet-20250219-v1:0"),
    ("bedrock", "meta.llama3-3-70b-instruct-v1:0"),
    ("openai", "gpt-4-turbo"),
    ("azure", "gpt-35-turbo"),
]
WITH = [
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-opus-4-1"),
    ("anthropic", "claude-opus-5-5"),
    ("bedrock", CLAUDE),
    ("bedrock", "qwen.qwen3-32b-v1:0"),
    ("openai", "gpt-4.1"),
    ("openai", "gpt-4o"),
    ("openai", "ft:gpt-4o-mini:me"),
]


def asked_for_a_schema(vendor: str, model: str, *, strict: bool = False, stream: bool = False) -> tuple[Any, Any]:
    form = JsonSchema("reply", SCHEMAS["closed"])
    messages = [Message.system("Be brief."), Message.user("?")]
    request = ChatRequest(messages, model=model, response_format=form, strict=strict)
    with dialect_of(vendor).serve(Script(text="{}")) as server:
        try:
            return ask(vendor, server.url, request, stream=stream), server.requests[0]
        except UnsupportedError as error:
            return error, server.requests


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("vendor", "model"), WITHOUT)
def test_a_model_without_schemas_is_told_in_words(vendor: str, model: str, stream: bool) -> None:
    response, request = asked_for_a_schema(vendor, model, stream=stream)
    assert reply_schema(vendor, request.json) == (None, None)
    system = [part.value for part in dialect_of(vendor).read(request).of("text") if part.role == "system"]
    assert "Be brief." in system[0]
    assert '"city"' in system[-1]
    assert ("changed_parameter", "response_format") in [(one.code, one.path) for one in response.notices]
    error, requests = asked_for_a_schema(vendor, model, strict=True)
    assert isinstance(error, UnsupportedError)
    assert requests == []


@pytest.mark.parametrize(("vendor", "model"), WITH)
def test_a_model_with_schemas_gets_it(vendor: str, model: str) -> None:
    response, request = asked_for_a_schema(vendor, model, strict=True)
    assert reply_schema(vendor, request.json)[0] == SCHEMAS["closed"]
    assert response.notices == []


@pytest.mark.parametrize("vendor", ["openai", "responses", "azure"])
def test_json_mode_says_json_where_nothing_else_does(vendor: str) -> None:
    for text, expected in (("Three cities", {"added_turn"}), ("Three cities as JSON", set[str]())):
        with dialect_of(vendor).serve(Script(text="{}")) as server:
            response = ask(vendor, server.url, ChatRequest([Message.user(text)], response_format="json", strict=True))
        assert codes(response) == expected
        assert b"JSON" in server.requests[0].body


def test_nova_gets_the_three_words_that_its_root_may_have() -> None:
    request = ChatRequest(
        [Message.user("?")], model="us.amazon.nova-pro-v1:0", tools=[Tool("t", "", SCHEMAS["told apart"])]
    )
    with dialect_of("bedrock").serve(Script(text="ok")) as server:
        ask("bedrock", server.url, request)
    schema = declared("bedrock", server.requests[0].json)[0]["schema"]
    assert refusals.tool("nova", schema) is None
    assert len(schema["properties"]["pet"]["oneOf"]) == 2


@dataclass
class Person:
    """A type with a field that may be left out, and that null doesn't fit."""

    name: str
    nick: str = "none"


@pytest.mark.parametrize("vendor", ["openai", "azure", "anthropic"])
def test_a_typed_reply_has_the_default_where_strict_mode_said_null(vendor: str) -> None:
    with dialect_of(vendor).serve(Script(text='{"name": "Ada", "nick": null}')) as server:
        response = MAKERS[vendor][1](server.url).blocking.chat("Who?", response_type=Person)
    assert response.parsed == Person("Ada", "none")
    assert len(server.requests) == 1
