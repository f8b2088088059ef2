"""A request goes out as boto3 would send it, and its signature is the one that AWS computes."""

import asyncio
import logging
import re

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tako_bedrock import Bedrock

import tako
from tako.errors import ConfigurationError
from tako.testing.server import reply, serve

ANSWER = {"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}, "stopReason": "end_turn"}
SECRET = "wJalrXUtnFEMI-bPxRfiCYEXAMPLEKEY"
MODELS = [
    "amazon.nova-lite-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "m",
]


def ask(model="m", request="Hello", **options):
    """Send one request and return what arrived."""
    with serve(reply(json=ANSWER)) as server:

        async def main():
            endpoint = options.pop("endpoint", "{}").format(server.url)
            async with Bedrock(model, region="us-east-1", endpoint_url=endpoint, **options) as provider:
                await provider.chat(request)

        asyncio.run(main())
        return server.url, server.requests[0]


def signed_headers(request):
    return re.search(r"SignedHeaders=([^,]+)", request.headers["authorization"])[1]


def expected_signature(url, request, token=None):
    """The authorization that belongs to the request as it arrived."""
    signer = SigV4Auth(Credentials("AKIDEXAMPLE", SECRET, token), "bedrock", "us-east-1")
    names = [name for name in signed_headers(request).split(";") if name != "host"]
    headers = {name: request.headers[name] for name in names}
    copy = AWSRequest("POST", url + request.path, headers, request.body)
    copy.context["timestamp"] = request.headers["x-amz-date"]
    to_sign = signer.string_to_sign(copy, signer.canonical_request(copy))
    return signer.signature(to_sign, copy)


@pytest.mark.parametrize("token", [None, "FwoG//SESSION+TOKEN=="])
@pytest.mark.parametrize("endpoint", ["{}", "{}/prefix/of%20a/gateway/"])
@pytest.mark.parametrize("model", MODELS)
def test_the_signature_is_the_same_as_botocores(aws, model, endpoint, token):
    if token:
        aws.setenv("AWS_SESSION_TOKEN", token)
    url, request = ask(model, "café 🚀", endpoint=endpoint)
    assert request.headers["authorization"].endswith("Signature=" + expected_signature(url, request, token))
    assert signed_headers(request) == "content-type;host;x-amz-date" + (";x-amz-security-token" if token else "")


def test_headers_of_the_user_are_signed_too():
    url, request = ask(headers={"X-Amzn-Bedrock-Trace": "a   b", "User-Agent": "mine"})
    assert signed_headers(request) == "content-type;host;x-amz-date;x-amzn-bedrock-trace"
    assert request.headers["authorization"].endswith("Signature=" + expected_signature(url, request))


def test_a_large_body_is_signed_in_a_thread_and_the_same():
    url, request = ask(request="x" * (1 << 20))
    assert request.headers["authorization"].endswith("Signature=" + expected_signature(url, request))


def test_large_bodies_of_blocking_calls_are_signed_in_a_thread_too():
    answer = {"output": {"message": {"role": "assistant", "content": [{"text": "ok"}]}}, "stopReason": "end_turn"}
    with serve(reply(json=answer)) as server:
        face = tako.providers.Bedrock("m", region="us-east-1", endpoint_url=server.url).blocking
        assert [face.chat("x" * (1 << 20)).text for _ in range(3)] == ["ok"] * 3
        face.close()


def test_no_log_has_a_session_token(aws, caplog):
    aws.setenv("AWS_SESSION_TOKEN", "SESSION+TOKEN")
    caplog.set_level(logging.DEBUG)
    ask()
    assert "SESSION+TOKEN" not in caplog.text
    assert SECRET not in caplog.text


REQUEST = tako.ChatRequest(
    [tako.Message.system("Be brief."), tako.Message.user("Weather in Paris? é")],
    tools=[tako.Tool("get_weather", "Get the weather", {"type": "object", "properties": {"city": {"type": "string"}}})],
    tool_choice="required",
    temperature=0.5,
    max_tokens=100,
    stop=["END"],
    metadata={"team": "a"},
)
AS_BOTO3_HAS_IT = {
    "system": [{"text": "Be brief."}],
    "messages": [{"role": "user", "content": [{"text": "Weather in Paris? é"}]}],
    "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "stopSequences": ["END"]},
    "toolConfig": {
        "tools": [
            {
                "toolSpec": {
                    "name": "get_weather",
                    "description": "Get the weather",
                    "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
                }
            }
        ],
        "toolChoice": {"any": {}},
    },
    "requestMetadata": {"team": "a"},
}


@pytest.mark.parametrize("path", ["", "/gate/way"])
@pytest.mark.parametrize("model", MODELS)
def test_boto3_sends_the_same(aws, model, path):
    with serve(reply(json=ANSWER)) as server:
        aws.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url + path)
        client = boto3.client("bedrock-runtime", region_name="us-east-1")
        client.converse(modelId=model, **AS_BOTO3_HAS_IT)
        client.converse_stream(modelId=model, **AS_BOTO3_HAS_IT)["stream"].close()
        client.close()

        async def main():
            async with Bedrock(model, region="us-east-1") as provider:
                await provider.chat(REQUEST)
                await provider.stream(REQUEST).response()

        asyncio.run(main())
    for boto3_request, tako_request in zip(server.requests[:2], server.requests[2:], strict=True):
        assert (tako_request.method, tako_request.path, tako_request.query) == (
            boto3_request.method,
            boto3_request.path,
            boto3_request.query,
        )
        assert tako_request.json == boto3_request.json
        assert signed_headers(tako_request) == signed_headers(boto3_request)
        for name in ("content-type", "host"):
            assert tako_request.headers[name] == boto3_request.headers[name]


def test_a_bearer_key_wins_over_access_keys_and_needs_no_region(aws):
    aws.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-key-of-mine")
    with serve(reply(json=ANSWER)) as server:

        async def main():
            async with Bedrock("m", endpoint_url=server.url) as provider:
                await provider.chat("Hello")

        asyncio.run(main())
    assert server.requests[0].headers["authorization"] == "Bearer bedrock-key-of-mine"
    assert "x-amz-date" not in server.requests[0].headers


def test_a_bearer_key_is_never_sent_in_clear_text(aws):
    aws.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-key-of-mine")
    with pytest.raises(ConfigurationError, match=r"never sent over plain http, as to gateway\.example"):
        Bedrock("m", region="us-east-1", endpoint_url="http://gateway.example")
    aws.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://gateway.example")
    with pytest.raises(ConfigurationError, match="never sent over plain http"):
        Bedrock("m", region="us-east-1").blocking.chat("Hello")


def test_an_authorization_of_the_user_replaces_the_signature(aws):
    aws.delenv("AWS_ACCESS_KEY_ID")
    _, request = ask(headers={"Authorization": "Bearer of-a-gateway"})
    assert request.headers["authorization"] == "Bearer of-a-gateway"


@pytest.mark.parametrize(
    ("region", "settings", "endpoint"),
    [
        ("us-east-1", {}, "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ("cn-north-1", {}, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ("us-west-2", {"AWS_USE_FIPS_ENDPOINT": "true"}, "https://bedrock-runtime-fips.us-west-2.amazonaws.com"),
        ("us-west-2", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://bedrock-runtime.us-west-2.api.aws"),
        ("us-west-2", {"AWS_ENDPOINT_URL": "https://gate.example/a"}, "https://gate.example/a"),
    ],
    ids=["commercial", "china", "fips", "dual stack", "AWS_ENDPOINT_URL"],
)
def test_botocore_resolves_the_endpoint(aws, region, settings, endpoint):
    for name, value in settings.items():
        aws.setenv(name, value)
    assert asyncio.run(Bedrock("m", region=region).endpoint()) == endpoint
