"""What a request looks like on the wire of Converse."""

import asyncio
import base64

import pytest
from tako_bedrock import Bedrock

import tako
from tako import ChatRequest, ContentPart, JsonSchema, Message, Tool, UrlPrefetch
from tako.errors import UnsupportedError, UrlPrefetchError
from tako.parts import ReasoningPart, TextPart, ToolCallPart
from tako.state import Origin, State
from tako.testing.server import reply, serve

ANSWER = {"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}, "stopReason": "end_turn"}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 8).decode()
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
WEATHER = Tool("get_weather", "Get the weather", {"type": "object", "properties": {}})


def send(messages, model="m", options=None, **fields):
    """Return the body that went out, and the codes of the notices."""
    with serve(reply(json=ANSWER)) as server:
        provider = Bedrock(model, region="us-east-1", endpoint_url=server.url, **(options or {}))
        messages = [Message.user(messages)] if isinstance(messages, str) else messages
        response = provider.blocking.chat(ChatRequest(messages, **fields))
        return server.requests[0].json, [notice.code for notice in response.notices]


def test_system_texts_are_kept_in_order_and_turns_of_one_role_merged():
    body, notices = send(
        [
            Message.system("A"),
            Message.user("1"),
            Message.user("2"),
            Message.assistant("3"),
            Message.system("B"),
            Message.user("4"),
        ]
    )
    assert body == {
        "system": [{"text": "A"}, {"text": "B"}],
        "messages": [
            {"role": "user", "content": [{"text": "1"}, {"text": "2"}]},
            {"role": "assistant", "content": [{"text": "3"}]},
            {"role": "user", "content": [{"text": "4"}]},
        ],
    }
    assert notices == ["moved_turn"]


def test_parallel_calls_are_answered_in_one_turn_results_first():
    body, notices = send(
        [
            Message.user("Weather?"),
            Message.assistant(
                [
                    TextPart("Checking."),
                    ToolCallPart("c1", "get_weather", {"city": "Paris"}),
                    ToolCallPart("c2", "get_weather", {"city": "Rome"}),
                    ToolCallPart("c3", "get_weather", {}),
                ]
            ),
            Message.tool("c1", "18C"),
            Message.user("Quickly!"),
            Message.tool("c2", {"reason": "no data"}, is_error=True),
            Message.tool("c3", [TextPart("see"), ContentPart.image("image/png", PNG)]),
        ],
        CLAUDE,
        tools=[WEATHER],
    )
    assert body["messages"][1]["content"][1] == {
        "toolUse": {"toolUseId": "c1", "name": "get_weather", "input": {"city": "Paris"}}
    }
    assert body["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "18C"}]}},
        {"toolResult": {"toolUseId": "c2", "content": [{"json": {"reason": "no data"}}], "status": "error"}},
        {
            "toolResult": {
                "toolUseId": "c3",
                "content": [{"text": "see"}, {"image": {"format": "png", "source": {"bytes": PNG}}}],
            }
        },
        {"text": "Quickly!"},
    ]
    assert notices == []


def calls(*ids, args=None):
    messages = [Message.assistant([ToolCallPart(id, "f", {} if args is None else args) for id in ids])]
    return [Message.user("Go"), *messages, *[Message.tool(id, "ok") for id in ids]]


def test_ids_of_other_vendors_are_mapped_in_calls_and_results():
    body, notices = send(calls("a/b", "a_b", "x" * 80), tools=[Tool("f")])
    sent = [block["toolUse"]["toolUseId"] for block in body["messages"][1]["content"]]
    assert sent == [block["toolResult"]["toolUseId"] for block in body["messages"][2]["content"]]
    assert sent == ["a_b", "a_b_2", "x" * 64]
    assert notices == []


def test_ids_of_bedrock_stay_but_claude_accepts_none_with_dots():
    assert "functions.f:0" in str(send(calls("functions.f:0"), tools=[Tool("f")])[0])
    assert "functions_f_0" in str(send(calls("functions.f:0"), model=CLAUDE, tools=[Tool("f")])[0])


def test_calls_without_results_and_results_without_calls_are_left_out_with_a_notice():
    body, notices = send(
        [
            Message.user("Go"),
            Message.assistant([TextPart("Well"), ToolCallPart("c1", "f", {})]),
            Message.tool("c2", "x"),
        ]
    )
    assert body["messages"][1:] == [{"role": "assistant", "content": [{"text": "Well"}]}]
    assert sorted(notices) == ["unanswered_call", "unknown_call"]


def test_a_request_whose_history_has_calls_declares_the_called_tools():
    body, notices = send(calls("c1"))
    assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["f"]
    assert notices == ["added_tools"]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [(None, None), ("auto", None), ("required", {"any": {}}), ("get_weather", {"tool": {"name": "get_weather"}})],
)
def test_tool_choice(choice, sent):
    body, notices = send("Weather?", tools=[WEATHER], tool_choice=choice)
    assert body["toolConfig"].get("toolChoice") == sent
    assert notices == []


def test_forbidden_tools_are_left_out_unless_the_history_needs_them():
    body, notices = send("Weather?", tools=[WEATHER], tool_choice="none")
    assert "toolConfig" not in body
    assert notices == ["changed_parameter"]
    body, notices = send(calls("c1"), tools=[Tool("f")], tool_choice="none")
    assert "toolConfig" in body
    assert notices == ["changed_parameter"]


def test_arguments_that_are_not_an_object_are_wrapped_in_one():
    body, notices = send(calls("c1", args="not json {"), tools=[Tool("f")])
    assert body["messages"][1]["content"][0]["toolUse"]["input"] == {"arguments": "not json {"}
    assert notices == ["changed_part"]


def test_images_are_inline_or_in_s3():
    parts = [
        TextPart("What?"),
        ContentPart.image("image/png", PNG),
        ContentPart.image_url(f"data:image/png;base64,{PNG}"),
        ContentPart.image_url("s3://bucket/cat.JPG"),
        ContentPart.image_url("https://example.com/cat.png"),
        ContentPart.image_url("s3://bucket/cat"),
        ContentPart.image("image/avif", "QUJD"),
        TextPart(" "),
    ]
    body, notices = send([Message.user(parts)])
    inline = {"image": {"format": "png", "source": {"bytes": PNG}}}
    in_s3 = {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/cat.JPG"}}}}
    assert body["messages"][0]["content"] == [{"text": "What?"}, inline, inline, in_s3]
    assert notices == ["unsupported_url", "unsupported_media_type", "unsupported_media_type", "empty_text"]
    assert len(body["messages"][0]["content"]) + len(notices) == len(parts)


def test_images_by_url_are_fetched_when_allowed_in_tool_results_too():
    with serve(reply(base64.b64decode(PNG), headers={"content-type": "image/png"})) as images:
        policy = UrlPrefetch(allow_http=True, allow_private_ips=True)
        url = ContentPart.image_url(images.url + "/cat.png")
        messages = [*calls("c1")[:2], Message.tool("c1", [url]), Message.user([url, TextPart("Same?")])]
        body, notices = send(messages, tools=[Tool("f")], options={"url_prefetch": policy})
    inline = {"image": {"format": "png", "source": {"bytes": PNG}}}
    result, *rest = body["messages"][2]["content"]
    assert result["toolResult"]["content"] == [inline]
    assert rest == [inline, {"text": "Same?"}]
    assert notices == []


def test_a_refused_fetch_is_an_error_before_anything_is_sent():
    with serve(reply(json=ANSWER)) as server:
        provider = Bedrock("m", region="us-east-1", endpoint_url=server.url, url_prefetch=True)
        with pytest.raises(UrlPrefetchError, match="127"):
            provider.blocking.chat([Message.user([ContentPart.image_url("https://127.0.0.1/cat.png")])])
    assert not server.requests


def reasoning(**content):
    return State(Origin("bedrock"), {"reasoningContent": content})


def test_a_models_own_reasoning_goes_back_unchanged_and_that_of_others_is_left_out():
    body, notices = send(
        [
            Message.user("Go"),
            Message.assistant(
                [
                    ReasoningPart("Hm", reasoning(reasoningText={"signature": "sig"})),
                    ReasoningPart("", reasoning(redactedContent="c2Vj")),
                    ReasoningPart("Hm", State(Origin("anthropic"), {"signature": "sig"})),
                    TextPart("42"),
                ]
            ),
            Message.user("Why?"),
        ]
    )
    assert body["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "c2Vj"}},
        {"text": "42"},
    ]
    assert notices == ["foreign_state"]


def test_parameters_schema_metadata_and_extra():
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": False}
    body, notices = send(
        "Hello",
        temperature=0.2,
        top_p=0.9,
        max_tokens=64,
        stop=["END"],
        metadata={"team": "a"},
        response_format=JsonSchema("person", schema),
        extra={
            "inferenceConfig": {"maxTokens": 65},
            "additionalModelRequestFields": {"top_k": 5},
            "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        },
    )
    text = '{"type":"object","properties":{"name":{"type":"string"}},"additionalProperties":false}'
    structure = {"jsonSchema": {"schema": text, "name": "person"}}
    assert body == {
        "messages": [{"role": "user", "content": [{"text": "Hello"}]}],
        "inferenceConfig": {"maxTokens": 65, "temperature": 0.2, "topP": 0.9, "stopSequences": ["END"]},
        "requestMetadata": {"team": "a"},
        "outputConfig": {"textFormat": {"type": "json_schema", "structure": structure}},
        "additionalModelRequestFields": {"top_k": 5},
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
    }
    assert notices == []


def test_parameters_that_converse_lacks_are_left_out_with_a_notice():
    body, notices = send("Hello", seed=1, response_format="json", tool_choice="auto", reasoning="high")
    assert body == {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
    assert notices == ["unsupported_parameter"] * 4


ADAPTIVE = {"thinking": {"type": "adaptive", "display": "summarized"}}
MODEL_FIELDS = "additionalModelRequestFields"


@pytest.mark.parametrize(
    ("model", "requested", "expected", "notice_count"),
    [
        (CLAUDE, 4000, {MODEL_FIELDS: {"thinking": {"type": "enabled", "budget_tokens": 4000}}}, 0),
        (CLAUDE, "low", {MODEL_FIELDS: {"thinking": {"type": "enabled", "budget_tokens": 2048}}}, 1),
        ("us.anthropic.claude-opus-4-7-v1", "high", {"outputConfig": {"effort": "high"}, MODEL_FIELDS: ADAPTIVE}, 0),
        ("us.anthropic.claude-opus-4-7-v1", 4000, {"outputConfig": {"effort": "medium"}, MODEL_FIELDS: ADAPTIVE}, 1),
        ("anthropic.claude-3-5-sonnet-20240620-v1:0", "high", {}, 1),
        ("openai.gpt-oss-120b-1:0", "low", {MODEL_FIELDS: {"reasoning_effort": "low"}}, 0),
        (
            "amazon.nova-2-lite-v1:0",
            "low",
            {MODEL_FIELDS: {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}},
            0,
        ),
        ("meta.llama4-scout-17b-instruct-v1:0", "low", {}, 1),
    ],
)
def test_reasoning_is_sent_in_the_fields_of_each_family(model, requested, expected, notice_count):
    body, notices = send("Hello", model=model, reasoning=requested)
    body.pop("messages")
    assert body == expected
    assert len(notices) == notice_count


def test_cache_marks_become_cache_points_of_which_the_last_four_stay():
    marked = [TextPart(str(n), cache=True) for n in range(5)]
    body, notices = send([Message.system(marked[:1]), Message.user(marked[1:])], CLAUDE)
    assert body["system"] == [{"text": "0"}]
    assert body["messages"][0]["content"][:2] == [{"text": "1"}, {"cachePoint": {"type": "default"}}]
    assert notices == ["unsupported_parameter"]


def test_a_strict_request_fails_before_anything_is_sent():
    with serve(reply(json=ANSWER)) as server:
        provider = Bedrock("m", endpoint_url=server.url)  # not even a region is looked for
        with pytest.raises(UnsupportedError, match="seed"):
            provider.blocking.chat(ChatRequest([Message.user("Hello")], seed=1, strict=True))
    assert not server.requests


def test_a_plugins_translator_gets_every_part_and_block():
    class Shout:
        @staticmethod
        @tako.hookimpl(wrapper=True)
        def tako_translator(provider):
            inner = yield

            def encode(part, context):
                return inner.encode(TextPart(part.text.upper()) if isinstance(part, TextPart) else part, context)

            return tako.Translator(encode, lambda block, context: inner.decode({"text": block["text"] + "!"}, context))

    tako.register(Shout)
    try:
        with serve(reply(json=ANSWER)) as server:
            provider = Bedrock("m", region="us-east-1", endpoint_url=server.url)
            assert asyncio.run(provider.chat("hello")).text == "Hi!"
    finally:
        tako.unregister(Shout)
    assert server.requests[0].json["messages"][0]["content"] == [{"text": "HELLO"}]
