"""Request bodies, and notices about what they can't have."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tako_ollama import Ollama
from tako_ollama.wire import encode_body, encode_part

import tako
from tako import notices
from tako.errors import UnsupportedError, UrlPrefetchError
from tako.parts import ContentPart, ImagePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tako.state import Origin, State
from tako.testing.server import reply, serve
from tako.translator import PartContext

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
ANSWER = {"model": "m", "message": {"role": "assistant", "content": "Hi"}, "done": True, "done_reason": "stop"}
WEATHER = tako.Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})


def sent(request, **options):
    """Send a request; return its body and the notices of the response."""
    with serve(reply(json=ANSWER)) as server:
        response = Ollama("m", base_url=server.url, **options).blocking.chat(request)
    return server.requests[0].json, response.notices


def body_of(messages, **fields):
    return sent(tako.ChatRequest(messages, **fields))


def codes(received):
    return [(notice.code, notice.path) for notice in received]


def test_the_body_of_a_plain_question() -> None:
    body, received = sent("Hello")
    assert body == {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": False}
    assert received == []


def test_parameters_override_options_of_the_provider_and_extra_overrides_both() -> None:
    request = tako.ChatRequest(
        [tako.Message.user("Hi")],
        temperature=0.5,
        top_p=0.9,
        seed=7,
        max_tokens=10,
        stop=["END"],
        extra={"options": {"top_k": 3, "seed": 8}, "keep_alive": "1h"},
    )
    body, received = sent(request, options={"num_ctx": 8192, "temperature": 1.0}, keep_alive="5m")
    assert body["options"] == {
        "num_ctx": 8192,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 8,
        "num_predict": 10,
        "stop": ["END"],
        "top_k": 3,
    }
    assert (body["keep_alive"], received) == ("1h", [])


def test_format_is_json_or_the_schema_itself() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    assert body_of([tako.Message.user("Hi")], response_format="json")[0]["format"] == "json"
    body, received = body_of([tako.Message.user("Hi")], response_format=tako.JsonSchema("person", schema))
    assert (body["format"], received) == (schema, [])


def test_format_is_left_out_with_tools() -> None:
    messages, look = [tako.Message.user("Hi")], [tako.Tool("look")]
    body, received = body_of(messages, response_format="json", tools=look)
    assert "format" not in body
    assert [notice.path for notice in received] == ["response_format"]
    body, _ = body_of(messages, response_format="json", tools=look, tool_choice="none")
    assert body["format"] == "json"


@pytest.mark.parametrize(
    ("model", "reasoning", "think", "expected_codes"),
    [
        ("qwen3", "low", "low", []),
        ("qwen3", "high", "high", []),
        ("qwen3", "none", False, []),
        ("qwen3", 0, False, []),
        ("qwen3", 2000, True, [(notices.CHANGED_PARAMETER, "reasoning")]),
        ("gpt-oss:20b", 5000, "medium", [(notices.CHANGED_PARAMETER, "reasoning")]),
    ],
)
def test_efforts_are_unchanged_and_budgets_become_true_or_an_effort_of_gpt_oss(
    model, reasoning, think, expected_codes
) -> None:
    body, received = body_of([tako.Message.user("Hi")], model=model, reasoning=reasoning)
    assert body["think"] == think
    assert type(body["think"]) is type(think)
    assert codes(received) == expected_codes


def test_images_are_plain_base64_next_to_the_text() -> None:
    parts = [
        ContentPart.image("image/png", PNG),
        ContentPart.text("What is "),
        ContentPart.image_url(f"data:image/png;base64,{PNG}"),
        ContentPart.text("this?"),
    ]
    body, received = body_of([tako.Message.user(parts)])
    assert body["messages"] == [{"role": "user", "content": "What is this?", "images": [PNG, PNG]}]
    assert received == []


def test_a_url_is_left_out_with_a_notice_about_url_prefetch() -> None:
    parts = [ContentPart.text("What?"), ContentPart.image_url("https://example.com/cat.png")]
    body, received = body_of([tako.Message.user(parts)])
    assert body["messages"] == [{"role": "user", "content": "What?"}]
    assert codes(received) == [(notices.UNSUPPORTED_URL, "messages[0].content[1]")]
    assert "url_prefetch=True" in received[0].message


def picture_server():
    import base64

    return serve(reply(base64.b64decode(PNG), headers={"content-type": "image/png"}))


LOCAL = tako.UrlPrefetch(allow_http=True, allow_private_ips=True)


def test_urls_are_fetched_with_url_prefetch() -> None:
    with picture_server() as pictures:
        url = ContentPart.image_url(f"{pictures.url}/cat.png")
        call = tako.Message.assistant([ContentPart.tool_call("c1", "look", {})])
        result = tako.Message.tool("c1", [ContentPart.text("Seen: "), url])
        parts = [ContentPart.image("image/png", PNG), url, ContentPart.text("What?")]
        request = tako.ChatRequest([tako.Message.user(parts), call, result])
        body, received = sent(request, url_prefetch=LOCAL)
    assert body["messages"][0] == {"role": "user", "content": "What?", "images": [PNG, PNG]}
    assert body["messages"][2] == {"role": "tool", "tool_name": "look", "content": "Seen: ", "images": [PNG]}
    assert (received, len(pictures.requests)) == ([], 1)


def test_a_refused_fetch_is_an_error_and_nothing_is_sent() -> None:
    with picture_server() as pictures, serve(reply(json=ANSWER)) as server:
        request = tako.ChatRequest([tako.Message.user([ContentPart.image_url(f"{pictures.url}/cat.png")])])
        with pytest.raises(UrlPrefetchError, match=r"127\.0\.0\.1"):
            Ollama("m", base_url=server.url, url_prefetch=True).blocking.chat(request)
        assert (server.requests, pictures.requests) == ([], [])


def test_a_strict_request_that_loses_something_fetches_nothing() -> None:
    with picture_server() as pictures:
        parts = [ContentPart.image_url(f"{pictures.url}/cat.png"), ContentPart.text("")]
        request = tako.ChatRequest([tako.Message.user(parts)], strict=True)
        with pytest.raises(UnsupportedError):
            Ollama("m", base_url="127.0.0.1:1", url_prefetch=LOCAL).blocking.chat(request)
        assert pictures.requests == []


def test_a_fetched_image_passes_through_the_translator_as_an_image() -> None:
    class Blind:
        @tako.hookimpl(wrapper=True)
        def tako_translator(self):
            inner = yield

            def encode(part, context):
                if isinstance(part, ImagePart):
                    context.notice("no_pictures", "pictures are not for this model")
                    return None
                return inner.encode(part, context)

            return tako.Translator(encode=encode, decode=inner.decode)

    blind = Blind()
    tako.register(blind)
    try:
        with picture_server() as pictures:
            parts = [ContentPart.text("What?"), ContentPart.image_url(f"{pictures.url}/cat.png")]
            body, received = sent(tako.ChatRequest([tako.Message.user(parts)]), url_prefetch=LOCAL)
    finally:
        tako.unregister(blind)
    assert body["messages"][0].get("images", []) == []
    assert codes(received) == [("no_pictures", "messages[0].content[1]")]


def test_a_turn_of_tools_names_the_tools_and_keeps_the_order_of_the_calls() -> None:
    messages = [
        tako.Message.user("Weather?"),
        tako.Message.assistant(
            [
                ReasoningPart("Two cities.", State(Origin("ollama"))),
                ContentPart.text("Checking."),
                ContentPart.tool_call("c1", "weather", {"city": "Paris"}),
                ContentPart.tool_call("c2", "time", {}),
            ]
        ),
        tako.Message.tool("c2", {"hour": 5}),
        tako.Message.tool("c1", "18 °C", is_error=True),
        tako.Message.tool("gone", "who asked?"),
    ]
    body, received = body_of(messages, tools=[WEATHER])
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": "Checking.",
            "thinking": "Two cities.",
            "tool_calls": [
                {"function": {"name": "weather", "arguments": {"city": "Paris"}}},
                {"function": {"name": "time", "arguments": {}}},
            ],
        },
        {"role": "tool", "tool_name": "weather", "content": "18 °C"},
        {"role": "tool", "tool_name": "time", "content": '{"hour":5}'},
        {"role": "tool", "content": "who asked?"},
    ]
    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "weather", "description": "The weather", "parameters": WEATHER.input_schema},
        }
    ]
    assert codes(received) == [(notices.ERROR_FLAG, "messages[3].content[0]")]


def test_a_repeated_id_means_the_latest_call() -> None:
    turn = [tako.Message.assistant([ContentPart.tool_call("c", "first", {})]), tako.Message.tool("c", "1")]
    again = [tako.Message.assistant([ContentPart.tool_call("c", "second", {})]), tako.Message.tool("c", "2")]
    body, _ = body_of([tako.Message.user("Hi"), *turn, *again])
    assert [message.get("tool_name") for message in body["messages"]] == [None, None, "first", None, "second"]


@pytest.mark.parametrize(
    ("args", "wire", "expected_codes"),
    [
        ('{"city": "Paris"}', {"city": "Paris"}, []),
        ('{"city": "Par', {"arguments": '{"city": "Par'}, [notices.CHANGED_PART]),
        ([1], {"arguments": [1]}, [notices.CHANGED_PART]),
        (None, {"arguments": None}, [notices.CHANGED_PART]),
    ],
)
def test_arguments_are_always_an_object(args, wire, expected_codes) -> None:
    body, received = body_of([tako.Message.assistant([ContentPart.tool_call("c", "weather", args)])])
    assert body["messages"][0]["tool_calls"][0]["function"]["arguments"] == wire
    assert [notice.code for notice in received] == expected_codes


@pytest.mark.parametrize(
    ("choice", "has_tools", "code"),
    [
        (None, True, None),
        ("auto", True, None),
        ("none", False, notices.CHANGED_PARAMETER),
        ("required", True, notices.UNSUPPORTED_PARAMETER),
        ("weather", True, notices.UNSUPPORTED_PARAMETER),
    ],
)
def test_tool_choice_cannot_be_sent(choice, has_tools, code) -> None:
    body, received = body_of([tako.Message.user("Hi")], tools=[WEATHER], tool_choice=choice)
    assert ("tools" in body) is has_tools
    assert codes(received) == ([(code, "tool_choice")] if code else [])


def test_parts_that_cannot_be_sent_have_notices() -> None:
    messages = [
        tako.Message.system([ContentPart.image("image/png", PNG), ContentPart.text("Be brief.")]),
        tako.Message.user(
            [ContentPart.text(""), ContentPart.tool_call("c", "x", {}), ContentPart.image("image/bmp", "Qk0=")]
        ),
        tako.Message.assistant(
            [ReasoningPart("x", State(Origin("anthropic"))), ReasoningPart("", State(Origin("ollama")))]
        ),
        tako.Message.tool("c", [ContentPart.text("ok"), ReasoningPart("x", State(Origin("ollama")))]),
    ]
    body, received = body_of(messages, metadata={"user": "1"})
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "tool", "tool_name": "x", "content": "ok"},
    ]
    assert sorted(codes(received)) == sorted(
        [
            (notices.MISPLACED_PART, "messages[0].content[0]"),
            (notices.EMPTY_TEXT, "messages[1].content[0]"),
            (notices.MISPLACED_PART, "messages[1].content[1]"),
            (notices.UNSUPPORTED_MEDIA_TYPE, "messages[1].content[2]"),
            (notices.FOREIGN_STATE, "messages[2].content[0]"),
            (notices.EMPTY_TEXT, "messages[2].content[1]"),
            (notices.MISPLACED_PART, "messages[3].content[0].result[1]"),
            (notices.UNSUPPORTED_PARAMETER, "metadata"),
        ]
    )


def test_a_strict_request_is_refused_before_the_network() -> None:
    with serve(reply(json=ANSWER)) as server:
        request = tako.ChatRequest([tako.Message.user("Hi")], metadata={"a": "b"}, strict=True)
        with pytest.raises(UnsupportedError, match="metadata"):
            Ollama("m", base_url=server.url).blocking.chat(request)
    assert server.requests == []


def test_a_reply_is_sent_back_unchanged() -> None:
    message = {
        "role": "assistant",
        "content": "Hm",
        "thinking": "Why?",
        "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
    }
    with serve(reply(json={**ANSWER, "message": message})) as server:
        provider = Ollama("m", base_url=server.url)
        first = provider.blocking.chat("Hi")
        history = [tako.Message.user("Hi"), first.message, tako.Message.tool(first.tool_calls[0].id, "1")]
        second = provider.blocking.chat(history)
    assert server.requests[1].json["messages"][1] == message
    assert second.notices == []


def test_a_provider_can_be_pickled() -> None:
    with serve(reply(json=ANSWER)) as server:
        provider = Ollama("m", base_url=server.url, options={"num_ctx": 5}, url_prefetch=True)
        provider.blocking.chat("Hi")
        copy = pickle.loads(pickle.dumps(provider))
        assert copy.blocking.chat("Hi").text == "Hi"
    assert server.requests[0].json == server.requests[1].json


text = st.text(max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | text, lambda inner: st.lists(inner, max_size=2), max_leaves=3
)
parts = st.one_of(
    st.builds(TextPart, text),
    st.builds(ImagePart, st.sampled_from(["image/png", "image/bmp", ""]), st.sampled_from(["QUJD", "%%", ""])),
    st.builds(ContentPart.image_url, st.sampled_from(["https://example.com/a.png", "", "gs://b/c", "data:,x"])),
    st.builds(ToolCallPart, st.sampled_from("ab"), text, json_values),
    st.builds(ToolResultPart, st.sampled_from("abc"), json_values),
    st.builds(ReasoningPart, text, st.sampled_from([State(Origin("ollama")), State(Origin("anthropic")), None])),
)
conversations = st.lists(
    st.builds(tako.Message, st.sampled_from(list(tako.Role)), text | st.lists(parts, max_size=4)), max_size=4
)


def count_parts(messages) -> int:
    """Count the parts in a body's messages, which have one part each."""
    count = 0
    for message in messages:
        if message["role"] == "tool":
            count += 1
        else:
            count += bool(message["content"]) + ("thinking" in message)
            count += len(message.get("images", [])) + len(message.get("tool_calls", []))
    return count


@settings(max_examples=80, deadline=None)
@given(conversations)
def test_any_conversation_is_encoded_and_every_part_is_sent_or_has_a_notice(messages) -> None:
    singles = [tako.Message(message.role, [part]) for message in messages for part in message.parts]
    singles.append(tako.Message.user("?"))
    request = tako.ChatRequest(singles)
    context = PartContext(Origin("ollama"), request)
    translator = tako.Translator(encode_part, lambda block: None)
    body = encode_body(request, translator, context, model="m", stream=False, options={}, keep_alive=None)
    lost = [notice for notice in context.notices if notice.code not in (notices.CHANGED_PART, notices.ERROR_FLAG)]
    assert count_parts(body["messages"]) + len(lost) == len(singles)


async def both(request, provider):
    return await provider.chat(request), await provider.stream(request).response()


def test_the_request_for_a_stream_differs_only_in_stream() -> None:
    with serve(reply(json=ANSWER)) as server:
        asyncio.run(both("Hi", Ollama("m", base_url=server.url, options={"num_ctx": 9})))
    complete, streamed = (request.json for request in server.requests)
    assert (complete.pop("stream"), streamed.pop("stream")) == (False, True)
    assert complete == streamed
    assert {request.path for request in server.requests} == {"/api/chat"}
