"""Requests: templates, placeholders, formats, headers; and fields that a template has no placeholder for."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tako_http_generic import EXAMPLES, HttpGeneric, prepare

from tako import (
    ChatRequest,
    ContentPart,
    JsonSchema,
    Message,
    Tool,
    Translator,
    UnsupportedError,
    get_provider,
    hookimpl,
    providers,
    register,
    unregister,
)
from tako.errors import ConfigurationError
from tako.hooks import PLUGINS
from tako.parts import ReasoningPart, TextPart
from tako.state import Origin, State
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from tako.kit.exchange import Exchange

PIXEL = "iVBORw0KGgo="
WEATHER = Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})


def make_provider(template: Any, **options: Any) -> HttpGeneric:
    return HttpGeneric("acme", "large", "http://localhost:1/chat", template, **options)


def encode(provider: HttpGeneric, request: ChatRequest | str, *, stream: bool = False) -> Exchange:
    """Encode a request, without sending it."""
    chat_request = ChatRequest([Message.user(request)]) if isinstance(request, str) else request
    coroutine = prepare(provider, PLUGINS.ask("tako_translator", provider), chat_request, stream)
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # that is what it returns
    raise AssertionError("it waited")


def sent(provider: HttpGeneric, request: ChatRequest | str, *, stream: bool = False) -> Any:
    return msgspec.json.decode(msgspec.json.encode(encode(provider, request, stream=stream).body))


def notices_of(provider: HttpGeneric, request: ChatRequest) -> list[tuple[str, str]]:
    return [(notice.code, notice.path) for notice in encode(provider, request).notices]


EVERYTHING = {
    name: f"{{{{ {name} }}}}"
    for name in (
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "temperature",
        "top_p",
        "max_tokens",
        "stop",
        "seed",
        "response_format",
        "reasoning",
        "metadata",
        "stream",
    )
}
ANSWER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
FULL = ChatRequest(
    [
        Message.system("Be brief."),
        Message.user([ContentPart.text("What is this?"), ContentPart.image("image/png", PIXEL)]),
        Message.assistant([ContentPart.tool_call("c1", "weather", {"city": "Paris"})]),
        Message.tool("c1", {"celsius": 18}),
    ],
    tools=[WEATHER],
    tool_choice="required",
    temperature=0.5,
    top_p=0.9,
    max_tokens=10,
    stop=["END"],
    seed=7,
    response_format=JsonSchema("answer", ANSWER),
    reasoning=2000,
    metadata={"user": "u1"},
)


def test_a_placeholder_is_replaced_by_its_value_and_the_rest_of_the_template_stays() -> None:
    provider = make_provider(
        {"a": ["{{ messages }}", 1, {"b": "{{model}}", "c": None}], "stream": "{{ stream }}", "d": "$ {x}"}
    )
    assert sent(provider, "hi") == {
        "a": [[{"role": "user", "content": "hi"}], 1, {"b": "large", "c": None}],
        "stream": False,
        "d": "$ {x}",
    }


@pytest.mark.parametrize("messages_format", ["tako", "openai", "anthropic", "ollama"])
def test_the_text_placeholder_is_the_messages_as_plain_text(messages_format: Any) -> None:
    provider = make_provider({"prompt": "{{ text }}"}, messages_format=messages_format)
    assert sent(provider, "hi") == {"prompt": "hi"}
    assert sent(provider, ChatRequest([Message.user([ContentPart.text("a"), ContentPart.text("b")])])) == {
        "prompt": "ab"
    }
    turns = [Message.user("Who?"), Message.assistant("Me."), Message.user("Why?")]
    assert sent(provider, ChatRequest(turns)) == {"prompt": "User: Who?\n\nAssistant: Me.\n\nUser: Why?"}
    assert notices_of(provider, ChatRequest(turns)) == []


@pytest.mark.parametrize("messages_format", ["tako", "openai", "anthropic", "ollama"])
def test_what_is_not_text_is_left_out_of_the_text_with_a_notice(messages_format: Any) -> None:
    provider = make_provider({"prompt": "{{ text }}"}, messages_format=messages_format)
    call = [ContentPart.text("Wait."), ContentPart.tool_call("1", "weather", {"city": "Rome"})]
    request = ChatRequest([Message.user("Sunny?"), Message.assistant(call), Message.tool("1", "yes")])
    assert sent(provider, request)["prompt"].startswith("User: Sunny?\n\nAssistant: Wait.")
    assert ("unsupported_part", "messages[1]") in notices_of(provider, request)


@pytest.mark.parametrize("template", ["{{ request }}", {"messages": "{{ messages }}"}, {"prompt": "{{ text }}"}])
@pytest.mark.parametrize("messages_format", ["tako", "openai", "anthropic", "ollama"])
def test_a_request_with_nothing_to_send_is_refused(messages_format: Any, template: Any) -> None:
    provider = make_provider(template, messages_format=messages_format)
    with pytest.raises(ConfigurationError, match=r"acme has nothing to send: messages\[0\]\.content\[0\]: an empty"):
        encode(provider, "")
    with pytest.raises(ConfigurationError, match="the messages are empty"):
        encode(provider, ChatRequest([Message.user([])]), stream=True)


def test_a_system_text_that_has_a_place_may_be_sent_alone() -> None:
    template = {"prompt": "{{ text }}", "system": "{{ system }}"}
    assert sent(make_provider(template), ChatRequest([Message.system("Say hello.")]))["system"] == "Say hello."
    with pytest.raises(ConfigurationError, match="nothing to send"):
        encode(make_provider(template), ChatRequest([Message.system(""), Message.system("")]))


def test_the_system_text_has_its_own_place_beside_the_text() -> None:
    provider = make_provider({"prompt": "{{ text }}", "system": "{{ system }}"})
    request = ChatRequest([Message.system("Be brief."), Message.user("Hi")])
    assert sent(provider, request) == {"prompt": "Hi", "system": "Be brief."}


def test_a_placeholder_for_the_prompt_is_refused_with_the_right_name() -> None:
    with pytest.raises(
        ConfigurationError, match=r"no placeholder '\{\{ prompt \}\}' .*; for the prompt as text, use \{\{ text"
    ):
        make_provider({"prompt": "{{ prompt }}"})


def test_a_key_whose_placeholder_is_absent_is_left_out() -> None:
    provider = make_provider(
        {"m": "{{ messages }}", "t": "{{ temperature }}", "o": {"n": "{{ max_tokens }}"}, "s": "{{ stop }}"}
    )
    assert sent(provider, "hi") == {"m": [{"role": "user", "content": "hi"}], "o": {}}
    zero = ChatRequest([Message.user("hi")], temperature=0.0)
    assert sent(provider, zero)["t"] == 0.0


def test_defaults_are_used_for_fields_that_a_request_does_not_have() -> None:
    with serve(reply(json={"text": "ok"})) as server:
        provider = HttpGeneric("acme", "m", server.url, {"n": "{{ max_tokens }}"}, defaults={"max_tokens": 4096})
        provider.blocking.chat("hi")
        provider.blocking.chat("hi", max_tokens=3)
    assert [sent.json for sent in server.requests] == [{"n": 4096}, {"n": 3}]


def test_the_request_placeholder_is_a_request_that_tako_reads() -> None:
    body = sent(make_provider("{{ request }}"), FULL)
    again = msgspec.convert(body, ChatRequest)
    assert again == msgspec.structs.replace(FULL, model="large")


@pytest.mark.parametrize("message_format", ["tako", "openai", "anthropic", "ollama"])
def test_every_format_has_everything_that_it_has_a_field_for(message_format: Any) -> None:
    exchange = encode(make_provider(EVERYTHING, messages_format=message_format), FULL)
    body = msgspec.json.decode(msgspec.json.encode(exchange.body))
    assert body["system"] == "Be brief."
    assert body["model"] == "large"
    assert len(body["messages"]) == 3
    assert set(body) == set(EVERYTHING)
    if message_format in ("openai", "ollama"):  # efforts are words there
        assert [notice.code for notice in exchange.notices] == ["changed_parameter"]
        assert body["reasoning"] == "low"
    else:
        assert exchange.notices == []


def test_messages_in_the_openai_format() -> None:
    assert sent(make_provider({"m": "{{ messages }}", "t": "{{ tools }}"}, messages_format="openai"), FULL)["m"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
            ],
        },
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"celsius":18}'},
    ]


def test_messages_in_the_anthropic_format_alternate_and_results_come_first() -> None:
    conversation = ChatRequest([*FULL.messages, Message.user("And now?")], tools=[WEATHER])
    template = {"m": "{{ messages }}", "s": "{{ system }}", "t": "{{ tools }}"}
    assert sent(make_provider(template, messages_format="anthropic"), conversation) == {
        "s": "Be brief.",
        "m": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Paris"}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": '{"celsius":18}'},
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
        "t": [{"name": "weather", "description": "The weather", "input_schema": WEATHER.input_schema}],
    }


def test_the_anthropic_format_pairs_calls_with_results_and_notices_those_without_a_counterpart() -> None:
    calls: list[Any] = [ContentPart.tool_call("a|1", "weather", {}), ContentPart.tool_call("c2", "weather", {})]
    request = ChatRequest(
        [
            Message.user("Weather?"),
            Message.assistant(calls),
            Message.tool("a|1", [ContentPart.text("map"), ContentPart.image("image/png", PIXEL)]),
            Message.tool("c9", "?"),
        ],
        tools=[Tool("weather", "", {})],
    )
    provider = make_provider({"m": "{{ messages }}", "t": "{{ tools }}"}, messages_format="anthropic")
    body = sent(provider, request)
    assert body["t"] == [{"name": "weather", "input_schema": {"type": "object"}}]
    assert body["m"][1]["content"] == [{"type": "tool_use", "id": "a_1", "name": "weather", "input": {}}]
    (answer,) = body["m"][2]["content"]
    assert (answer["tool_use_id"], [block["type"] for block in answer["content"]]) == ("a_1", ["text", "image"])
    assert sorted(notices_of(provider, request)) == [
        ("unanswered_call", "messages[1].content[1]"),
        ("unknown_call", "messages[3].content[0]"),
    ]


def test_messages_in_the_ollama_format_have_images_next_to_the_text_and_arguments_as_objects() -> None:
    assert sent(make_provider({"m": "{{ messages }}"}, messages_format="ollama"), FULL)["m"][1:] == [
        {"role": "user", "content": "What is this?", "images": [PIXEL]},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": {"city": "Paris"}}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "tool_name": "weather", "content": '{"celsius":18}'},
    ]


def test_fields_without_a_placeholder_have_notices_and_a_strict_request_is_refused() -> None:
    provider = make_provider({"m": "{{ messages }}"})
    named = ["max_tokens", "metadata", "reasoning", "response_format", "seed", "stop", "temperature"]
    named += ["tool_choice", "tools", "top_p"]
    assert sorted(notices_of(provider, FULL)) == [("unsupported_parameter", name) for name in named]
    other = ChatRequest([Message.user("hi")], model="small")
    assert notices_of(provider, other) == [("unsupported_parameter", "model")]
    with pytest.raises(UnsupportedError, match="acme:large can't send everything in this strict request: tools: "):
        provider.blocking.chat(ChatRequest([Message.user("hi")], tools=[WEATHER], strict=True))


def test_messages_without_a_placeholder_have_notices() -> None:
    assert notices_of(make_provider({"s": "{{ system }}"}), ChatRequest([Message.system("a"), Message.user("b")])) == [
        ("unsupported_part", "messages[1]")
    ]
    anthropic = make_provider({"m": "{{ messages }}"}, messages_format="anthropic")
    assert notices_of(anthropic, ChatRequest([Message.system("a"), Message.user("b")])) == [
        ("unsupported_part", "messages[0].content[0]")
    ]


@pytest.mark.parametrize("message_format", ["tako", "openai", "anthropic", "ollama"])
def test_parts_that_cannot_be_sent_have_notices_in_every_format(message_format: Any) -> None:
    parts: list[Any] = [
        ContentPart.text(""),
        ContentPart.image("image/tiff", "SUkqAA=="),
        ContentPart.image("image/png", "%%%"),
        ContentPart.image_url("ftp://example.com/a.png"),
        ContentPart.text("kept"),
    ]
    thought = ReasoningPart("hm", State(Origin("other-vendor"), {"signature": "sig"}))
    request = ChatRequest([Message.user(parts), Message.assistant([thought, ContentPart.text("ok")])])
    assert notices_of(make_provider({"m": "{{ messages }}"}, messages_format=message_format), request) == [
        ("empty_text", "messages[0].content[0]"),
        ("unsupported_media_type", "messages[0].content[1]"),
        ("invalid_image", "messages[0].content[2]"),
        ("unsupported_url", "messages[0].content[3]"),
        ("foreign_state", "messages[1].content[0]"),
    ]


def test_ollama_fetches_no_images() -> None:
    picture = ChatRequest([Message.user([ContentPart.image_url("https://example.com/a.png"), ContentPart.text("?")])])
    assert notices_of(make_provider({"m": "{{ messages }}"}, messages_format="ollama"), picture) == [
        ("unsupported_url", "messages[0].content[0]")
    ]


def test_own_reasoning_goes_back_with_its_state() -> None:
    own = ReasoningPart("hm", State(Origin("acme"), {"signature": "sig"}))
    sealed = ReasoningPart("", State(Origin("acme"), {"type": "redacted_thinking", "data": "x"}))
    request = ChatRequest([Message.user("a"), Message.assistant([own, sealed, ContentPart.text("b")])])
    assert sent(make_provider("{{ messages }}", messages_format="anthropic"), request)[1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "b"},
    ]
    assert sent(make_provider("{{ messages }}"), request)[1]["content"][0]["state"]["data"] == {"signature": "sig"}


def test_extra_is_merged_into_the_body_last() -> None:
    extra = {"options": {"b": 2}, "model": "other"}
    request = ChatRequest([Message.user("hi")], extra=extra)
    body = sent(make_provider({"m": "{{ messages }}", "model": "{{ model }}", "options": {"a": 1}}), request)
    assert body["options"] == {"a": 1, "b": 2}
    assert body["model"] == "other"
    assert notices_of(make_provider("{{ messages }}"), request) == [("unsupported_parameter", "extra")]


def test_streams_may_have_their_own_body_and_address() -> None:
    config = {"kind": "ndjson", "content_pointer": "/t", "finish_reason_pointer": "/f"}
    provider = HttpGeneric(
        "acme",
        "a/b",
        "http://localhost:1/{{ model }}:ask?v=1",
        {"m": "{{ messages }}"},
        stream_url="http://localhost:1/{{ model }}:stream",
        stream_body_template={"live": "{{ stream }}"},
        stream_config=config,
        query={"region": "eu west"},
    )
    assert encode(provider, "hi").url == "http://localhost:1/a%2Fb:ask?v=1&region=eu+west"
    exchange = encode(provider, "hi", stream=True)
    assert (exchange.url, exchange.body) == ("http://localhost:1/a%2Fb:stream?region=eu+west", {"live": True})
    assert [notice.code for notice in exchange.notices] == ["unsupported_part"]


TEXT = st.one_of(
    st.text(min_size=1),
    st.sampled_from(["{{ model }}", '"}], "x": "', "\\", "</s>", "\u2028", "$HOME", "/a/b", "{{ messages }}\n"]),
).filter(str.strip)


@settings(max_examples=60, deadline=None)
@given(text=TEXT, system=TEXT, message_format=st.sampled_from(["tako", "openai", "anthropic", "ollama"]))
def test_any_text_arrives_as_that_text_and_never_changes_the_structure(
    text: str, system: str, message_format: Any
) -> None:
    template = {"a": {"s": "{{ system }}", "m": "{{ messages }}"}, "z": ["{{ model }}", "end"]}
    request = ChatRequest([Message.system(system), Message.user(text)])
    assert sent(make_provider(template, messages_format=message_format), request) == {
        "a": {"s": system, "m": [{"role": "user", "content": text}]},
        "z": ["large", "end"],
    }


def test_a_plugin_changes_one_mapping_and_leaves_the_rest() -> None:
    class Shout:
        @hookimpl(wrapper=True)
        def tako_translator(self) -> Any:
            inner = yield

            def encode(part: Any, context: Any) -> Any:
                return inner.encode(TextPart(part.text.upper()) if isinstance(part, TextPart) else part, context)

            return Translator(encode, inner.decode)

    plugin = Shout()
    register(plugin)
    try:
        assert sent(make_provider({"m": "{{ messages }}"}), "hi") == {"m": [{"role": "user", "content": "HI"}]}
        call, result = ContentPart.tool_call("c1", "weather", {}), ContentPart.tool_result("c1", [TextPart("rain")])
        request = ChatRequest([Message.user("hi"), Message.assistant([call]), Message.user([result])])
        for message_format in ("anthropic", "openai"):  # parts inside of results, too
            assert "RAIN" in str(sent(make_provider({"m": "{{ messages }}"}, messages_format=message_format), request))
    finally:
        unregister(plugin)


def test_headers_come_from_the_environment_and_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_2_KEY", "s3cret-value")
    headers = [("Authorization", "Bearer $ACME_2_KEY"), ("X-Price", "$$5"), ("X-Team", "$ACME_2_KEY-$ACME_2_KEY$$")]
    with serve(reply(json={"text": "ok"}), reply(json={"error": "s3cret-value is bad"}, status=401)) as server:
        provider = HttpGeneric("acme", "m", server.url, {"m": "{{ messages }}"}, headers=headers)
        copy = pickle.loads(pickle.dumps(provider))
        assert copy.blocking.chat("hi").text == "ok"
        assert server.requests[0].headers["authorization"] == "Bearer s3cret-value"
        assert server.requests[0].headers["x-price"] == "$5"
        assert server.requests[0].headers["x-team"] == "s3cret-value-s3cret-value$"
        with pytest.raises(Exception, match=r"\*\*\* is bad"):
            provider.blocking.chat("hi")
    shown = repr(provider) + repr(vars(provider)) + repr(pickle.dumps(provider))
    assert "s3cret" not in shown


def test_requests_have_the_configured_method() -> None:
    with serve(reply(json={"text": "ok"})) as server:
        HttpGeneric("acme", "m", server.url, {"m": "{{ messages }}"}, method="PUT").blocking.chat("hi")
    assert server.requests[0].method == "PUT"


def test_by_name_with_all_parameters_or_with_a_file() -> None:
    provider = get_provider("http-generic:large", name="acme", url="http://localhost:1", body_template="{{ request }}")
    assert provider.id == "acme:large"
    other = get_provider("http-generic:qwen3", file=str(EXAMPLES / "ollama.toml"), name="box")
    assert (other.id, other.timeout) == ("box:qwen3", 600.0)  # type: ignore[attr-defined]  # it is an HttpGeneric
    assert providers.HttpGeneric is HttpGeneric
