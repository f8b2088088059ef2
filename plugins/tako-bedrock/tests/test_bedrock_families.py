"""What a family refuses is the same on Bedrock as elsewhere; what only Converse refuses is left out, too."""

import json

import httpx
import pytest
from tako_bedrock import Bedrock

from tako import ChatRequest, Message, Tool
from tako.errors import BadRequestError, ServerError, UnsupportedError
from tako.parts import ReasoningPart, TextPart, ToolCallPart
from tako.state import Origin, State
from tako.testing.eventstream import CONTENT_TYPE, event, frame
from tako.testing.server import reply, serve

ANSWER = {"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}, "stopReason": "end_turn"}
CALL = {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Rome"}}}
TOOL_CALL_ANSWER = {"output": {"message": {"role": "assistant", "content": [CALL]}}, "stopReason": "tool_use"}
STREAMED = [
    event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hi"}}),
    event("messageStop", {"stopReason": "end_turn"}),
    event("metadata", {"usage": {}}),
]
MODEL_FIELDS = "additionalModelRequestFields"
HI = [Message.user("Hi")]
PREFILLED = [*HI, Message.assistant("{ ")]
WEATHER = Tool("weather", "", {"type": "object", "properties": {"city": {"type": "string"}}})
FAILED_CALL = [
    *HI,
    Message.assistant([ToolCallPart("t1", "weather", {})]),
    Message.tool("t1", "no such city", is_error=True),
]
SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS = "global.anthropic.claude-opus-4-7-v1"
PROFILE = "arn:aws:bedrock:us-east-2:123456789012:application-inference-profile/abc12xyz"
LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"


def send(model, messages=HI, options=None, **fields):
    """Return the body that went out, and the codes and paths of the notices."""
    with serve(reply(json=ANSWER)) as server:
        provider = Bedrock(model, region="us-east-1", endpoint_url=server.url, **(options or {}))
        response = provider.blocking.chat(ChatRequest(messages, **fields))
        return server.requests[0].json, [(notice.code, notice.path) for notice in response.notices]


@pytest.mark.parametrize(
    ("model", "sent", "left_out"),
    [
        (SONNET, {"temperature": 0.2}, ["top_p"]),
        (OPUS, None, ["temperature", "top_p"]),
        ("anthropic.claude-sonnet-4-20250514-v1:0", {"temperature": 0.2, "topP": 0.9}, []),
        ("amazon.nova-lite-v1:0", {"temperature": 0.2, "topP": 0.9}, []),
        ("openai.gpt-oss-120b-1:0", {"temperature": 0.2, "topP": 0.9}, []),
        ("global.openai.gpt-6-astra", None, ["temperature", "top_p"]),
    ],
)
def test_sampling_is_sent_as_the_model_accepts_it(model, sent, left_out):
    body, notices = send(model, temperature=0.2, top_p=0.9)
    assert (body.get("inferenceConfig"), notices) == (sent, [("unsupported_parameter", name) for name in left_out])


def test_a_temperature_above_1_is_sent_as_1_if_that_is_the_models_maximum():
    body, notices = send(SONNET, temperature=1.5)
    assert (body["inferenceConfig"], notices) == ({"temperature": 1}, [("changed_parameter", "temperature")])


def test_max_tokens_has_room_for_the_answer_and_the_thinking_budget():
    body, notices = send(SONNET, max_tokens=500, reasoning=16_000)
    assert body["inferenceConfig"] == {"maxTokens": 16_500}
    assert body[MODEL_FIELDS] == {"thinking": {"type": "enabled", "budget_tokens": 16_000}}
    assert notices == [("changed_parameter", "max_tokens")]


def test_a_thinking_budget_is_reduced_to_the_longest_reply():
    body, notices = send("anthropic.claude-opus-4-1-20250805-v1:0", max_tokens=8000, reasoning=31_000)
    assert body["inferenceConfig"] == {"maxTokens": 32_000}
    assert body[MODEL_FIELDS]["thinking"]["budget_tokens"] == 24_000
    assert notices == [("changed_parameter", "reasoning"), ("changed_parameter", "max_tokens")]


def test_a_temperature_is_left_out_with_thinking():
    body, notices = send(SONNET, temperature=0.5, max_tokens=30_000, reasoning=2048)
    assert (body["inferenceConfig"], notices) == ({"maxTokens": 30_000}, [("unsupported_parameter", "temperature")])
    assert send(SONNET, temperature=1, reasoning=2048)[1] == []


def test_thinking_is_left_out_if_a_tool_must_be_called_or_earlier_calls_have_none():
    _, notices = send(SONNET, tools=[WEATHER], tool_choice="required", reasoning=2048)
    assert notices == [("unsupported_parameter", "reasoning")]
    body, notices = send(SONNET, FAILED_CALL, tools=[WEATHER], reasoning=2048)
    assert (MODEL_FIELDS in body, notices) == (False, [("unsupported_parameter", "reasoning")])


def test_a_prefilled_reply_is_left_out_for_later_claude_models():
    body, notices = send(OPUS, PREFILLED)
    assert (len(body["messages"]), notices) == (1, [("misplaced_part", "messages[1].content[0]")])


def test_earlier_models_get_a_prefilled_reply_without_trailing_white_space():
    body, notices = send(SONNET, PREFILLED)
    assert body["messages"][1]["content"] == [{"text": "{"}]
    assert notices == [("changed_part", "messages[1].content[0]")]


def test_the_highest_effort_of_nova_2_is_sent_without_sampling_and_limit():
    body, notices = send("us.amazon.nova-2-lite-v1:0", max_tokens=100, temperature=0.5, stop=["X"], reasoning="max")
    assert body["inferenceConfig"] == {"stopSequences": ["X"]}
    assert [path for _, path in notices] == ["reasoning", "max_tokens", "temperature"]


@pytest.mark.parametrize(
    ("model", "stop", "sent"),
    [
        ("openai.gpt-oss-120b-1:0", ["X"], None),
        ("qwen.qwen3-coder-480b-a35b-v1:0", ["X"], None),
        (SONNET, ["X", " "], {"stopSequences": ["X"]}),
    ],
)
def test_stop_sequences_that_a_model_refuses_are_left_out(model, stop, sent):
    body, notices = send(model, stop=stop)
    assert (body.get("inferenceConfig"), notices) == (sent, [("unsupported_parameter", "stop")])


@pytest.mark.parametrize(
    ("model", "choice", "expected", "codes"),
    [
        (SONNET, "weather", {"tool": {"name": "weather"}}, []),
        ("mistral.mistral-large-2407-v1:0", "weather", {"any": {}}, ["changed_parameter"]),
        (LLAMA, "required", None, ["unsupported_parameter"]),
    ],
)
def test_tool_choice_is_sent_as_far_as_the_model_accepts_it(model, choice, expected, codes):
    body, notices = send(model, tools=[WEATHER], tool_choice=choice)
    assert (body["toolConfig"].get("toolChoice"), [notice_code for notice_code, _ in notices]) == (expected, codes)


@pytest.mark.parametrize("model", ["us.writer.palmyra-x4-v1:0", LLAMA, PROFILE])
def test_the_error_mark_of_a_result_is_left_out_if_the_model_refuses_it(model):
    body, notices = send(model, FAILED_CALL, tools=[WEATHER])
    assert '"status"' not in json.dumps(body)
    assert notices == [("error_flag", "messages[2].content[0]")]


POINT = {"cachePoint": {"type": "default"}}
MARKED = [Message.system([TextPart("Be brief.", cache=True)]), Message.user([TextPart("Hi", cache="1h")])]


@pytest.mark.parametrize(
    ("model", "cache_points", "noted_paths"),
    [
        (SONNET, [POINT, {"cachePoint": {"type": "default", "ttl": "1h"}}, POINT], []),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", [POINT, POINT, POINT], ["messages[1].content[0]"]),
        ("amazon.nova-lite-v1:0", [POINT, POINT], ["messages[1].content[0]", "tools[0].cache"]),
        (LLAMA, [], ["messages[0].content[0]", "messages[1].content[0]", "tools[0].cache"]),
    ],
)
def test_cache_points_are_sent_where_the_model_accepts_them(model, cache_points, noted_paths):
    body, notices = send(model, MARKED, tools=[Tool("weather", cache=True)])
    blocks = [*body["system"], *body["messages"][0]["content"], *body["toolConfig"]["tools"]]
    assert [block for block in blocks if "cachePoint" in block] == cache_points
    assert [path for _, path in notices] == noted_paths


@pytest.mark.parametrize("model", ["mistral.mistral-7b-instruct-v0:2", "amazon.titan-text-express-v1"])
def test_system_text_is_sent_as_the_users_if_the_model_has_no_system_messages(model):
    body, notices = send(model, [Message.system("Be brief."), *HI])
    assert body == {"messages": [{"role": "user", "content": [{"text": "Be brief."}, {"text": "Hi"}]}]}
    assert notices == [("changed_part", "messages[0].content[0]")]


def thinking_of(model):
    state = State(Origin("bedrock", model), {"reasoningContent": {"reasoningText": {"signature": "EqQB"}}})
    return [*HI, Message.assistant([ReasoningPart("Hm.", state), TextPart("An answer")]), Message.user("And?")]


@pytest.mark.parametrize("origin", [SONNET, ""])
def test_claude_models_accept_each_others_thinking(origin):
    body, notices = send(OPUS, thinking_of(origin))
    assert (body["messages"][1]["content"][0]["reasoningContent"]["reasoningText"]["signature"], notices) == (
        "EqQB",
        [],
    )


@pytest.mark.parametrize("model", ["us.amazon.nova-lite-v1:0", LLAMA, "anthropic.claude-3-haiku-20240307-v1:0"])
@pytest.mark.parametrize("origin", [SONNET, ""])
def test_other_families_get_no_thinking_of_another_model(model, origin):
    body, notices = send(model, thinking_of(origin))
    assert body["messages"][1]["content"] == [{"text": "An answer"}]
    assert notices == [("foreign_state", "messages[1].content[0]")]


def test_a_models_own_reasoning_goes_back_unless_it_is_known_to_refuse_it():
    haiku = "anthropic.claude-3-haiku-20240307-v1:0"
    assert send(haiku, thinking_of(haiku))[1] == []
    r1 = "us.deepseek.r1-v1:0"
    assert send(r1, thinking_of(r1))[1] == [("foreign_state", "messages[1].content[0]")]


def ask_for_tools(model, script, **options):
    """Stream a request with tools; return the response and the ends of the paths that were asked."""
    with serve(script) as server:
        provider = Bedrock(model, region="us-east-1", endpoint_url=server.url, max_retries=0, **options)
        response = provider.blocking.stream(ChatRequest(HI, tools=[WEATHER])).response()
        return response, [request.path.rpartition("/")[2] for request in server.requests]


@pytest.mark.parametrize("options", [{}, {"base_model": LLAMA}])
def test_a_family_that_can_not_stream_tools_is_asked_for_a_whole_reply(options):
    response, operations = ask_for_tools(PROFILE if options else LLAMA, reply(json=TOOL_CALL_ANSWER), **options)
    assert operations == ["converse"]
    assert ([call.args for call in response.tool_calls], response.finish_reason) == ([{"city": "Rome"}], "tool_calls")


def test_a_model_that_refuses_tools_in_streams_is_asked_for_a_whole_reply():
    def script(request):
        if request.path.endswith("/converse-stream"):
            text = "This model doesn't support tool use in streaming mode."
            headers = {"x-amzn-errortype": "ValidationException"}
            return reply(json={"message": text}, status=400, headers=headers)
        return reply(json=TOOL_CALL_ANSWER)

    response, operations = ask_for_tools("acme.new-model-v1:0", script)
    assert operations == ["converse-stream", "converse"]
    assert len(response.tool_calls) == 1


def test_any_other_refusal_is_raised():
    refusal = reply(json={"message": "no"}, status=400, headers={"x-amzn-errortype": "ValidationException"})
    with pytest.raises(BadRequestError):
        ask_for_tools("acme.new-model-v1:0", refusal)


def test_without_tools_the_same_family_streams():
    with serve(reply(STREAMED, headers=CONTENT_TYPE)) as server:
        Bedrock(LLAMA, region="us-east-1", endpoint_url=server.url).blocking.stream("Hi").response()
    assert server.requests[0].path.endswith("/converse-stream")


def test_base_model_says_which_model_an_inference_profile_is():
    body, notices = send(
        PROFILE, FAILED_CALL, options={"base_model": SONNET}, tools=[WEATHER], temperature=0.2, top_p=0.9
    )
    assert body["inferenceConfig"] == {"temperature": 0.2}
    assert notices == [("unsupported_parameter", "top_p")]
    provider = Bedrock(PROFILE, base_model=SONNET)
    assert provider.capabilities.max_context_tokens == Bedrock(SONNET).capabilities.max_context_tokens == 200_000
    assert provider.rules_for("amazon.nova-lite-v1:0").family == "nova"  # a request that names another model


class RecordingTransport:
    """A transport that keeps the requests."""

    def __init__(self):
        self.requests = []

    async def handle_async_request(self, request):
        self.requests.append(request)
        return httpx.Response(200, json=ANSWER)


@pytest.mark.parametrize("option", [None, "eu-west-1"])
def test_the_region_of_an_arn_wins_over_any_other(aws, option):
    aws.setenv("AWS_REGION", "ap-south-1")
    transport = RecordingTransport()
    provider = Bedrock(PROFILE, region=option, transport=transport)
    provider.blocking.chat("Hi")
    provider.blocking.chat(ChatRequest(HI, model="amazon.nova-lite-v1:0"))
    hosts = [request.url.host for request in transport.requests]
    default_region = option or "ap-south-1"
    assert hosts == [f"bedrock-runtime.{region}.amazonaws.com" for region in ("us-east-2", default_region)]
    signed_regions = [request.headers["authorization"].split("/")[2] for request in transport.requests]
    assert signed_regions == ["us-east-2", default_region]


INTERNAL_ERROR = frame({":message-type": "error", ":error-code": "InternalError", ":error-message": "it broke"}, b"")
UNKNOWN_ERROR = frame({":message-type": "error", ":error-code": "SomethingElse", ":error-message": "it broke"}, b"")


@pytest.mark.parametrize("error_frame", [INTERNAL_ERROR, UNKNOWN_ERROR])
def test_an_error_message_in_a_stream_is_a_server_error(error_frame):
    with serve(reply([STREAMED[0], error_frame], headers=CONTENT_TYPE)) as server:
        provider = Bedrock(SONNET, region="us-east-1", endpoint_url=server.url, max_retries=0)
        with pytest.raises(ServerError, match="it broke") as caught:
            provider.blocking.stream("Hi").response()
    assert caught.value.retryable


def test_an_error_message_before_the_first_chunk_is_retried():
    with serve(reply([INTERNAL_ERROR], headers=CONTENT_TYPE), reply(STREAMED, headers=CONTENT_TYPE)) as server:
        provider = Bedrock(SONNET, region="us-east-1", endpoint_url=server.url, max_retries=1)
        assert provider.blocking.stream("Hi").response().text == "Hi"


def test_a_strict_request_fails_before_anything_is_sent():
    request = ChatRequest(HI, temperature=0.1, top_p=0.2, strict=True)
    with pytest.raises(UnsupportedError, match="top_p"):
        Bedrock(SONNET, region="us-east-1").blocking.chat(request)
