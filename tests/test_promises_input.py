"""Whatever a caller gets wrong in a request is one line that names the field, before anything is sent."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako import ChatRequest, ContentPart, JsonSchema, Message, Tool
from tako.errors import ConfigurationError, TakoError
from tako.parts import ReasoningPart
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.provider import Provider

LOOP: dict[str, Any] = {}
LOOP["again"] = LOOP


def request_with(content: Any) -> ChatRequest:
    return ChatRequest([Message.user(content)])


def called(part: Any, result: Any = "done") -> ChatRequest:
    return ChatRequest([Message.user("x"), Message.assistant([part]), Message.tool("1", result)])


def with_(**options: Any) -> ChatRequest:
    return ChatRequest([Message.user("x")], **options)


WRONG: list[tuple[Any, str]] = [
    (ChatRequest([Message([], "x")]), "messages[0].role"),  # type: ignore[arg-type] # the mistake
    (request_with([ContentPart.text(None)]), "messages[0].content[0].text"),  # type: ignore[arg-type] # the mistake
    (request_with([ContentPart.text(b"x")]), "messages[0].content[0].text"),  # type: ignore[arg-type] # the mistake
    (request_with([ContentPart.image("image/png", b"x")]), "messages[0].content[0].data_b64"),  # type: ignore[arg-type] # as above
    (request_with([ContentPart.image(None, "QQ==")]), "messages[0].content[0].mime"),  # type: ignore[arg-type] # as above
    (request_with([ContentPart.image_url(5)]), "messages[0].content[0].url"),  # type: ignore[arg-type] # the mistake
    (called(ContentPart.tool_call(5, "f", {})), "messages[1].content[0].id"),  # type: ignore[arg-type] # the mistake
    (called(ContentPart.tool_call("1", None, {})), "messages[1].content[0].name"),  # type: ignore[arg-type] # as above
    (called(ReasoningPart("x", "s")), "messages[1].content[0].state"),  # type: ignore[arg-type] # as above
    (
        called(ContentPart.tool_call("1", "f", {}), [ContentPart.text(5)]),  # type: ignore[arg-type] # the mistake
        "messages[2].content[0].result[0].text",
    ),
    (with_(tools=[Tool("f"), Tool("f")]), "tools[1] has the name 'f', as tools[0] has"),
    (with_(tools=[Tool(None)]), "tools[0].name"),  # type: ignore[arg-type] # the mistake
    (with_(tools=[Tool("f", "d", 5)]), "tools[0].input_schema"),  # type: ignore[arg-type] # the mistake
    (with_(response_format=JsonSchema("s", None)), "response_format.schema"),  # type: ignore[arg-type] # the mistake
    (with_(temperature=math.nan), "temperature is nan"),
    (with_(top_p=math.inf), "top_p is inf"),
    (with_(temperature=True), "temperature is a bool"),
    (with_(max_tokens=-5), "max_tokens is -5"),
    (with_(max_tokens=True), "max_tokens is a bool"),
    (with_(stop=["a", ""]), "stop[1] is empty"),
    (with_(metadata={"a": 5}), "metadata['a'] is an int"),
    (with_(metadata={5: "a"}), "metadata has a key that is an int"),
    (with_(extra={(1,): 2}), "extra has a key that is a tuple"),
    (with_(strict="no"), "strict is a str"),
    (with_(model="a\nb"), "model 'a\\nb'"),
]


@pytest.mark.parametrize(("wrong_request", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_is_wrong_in_a_request_is_named(wrong_request: ChatRequest, message: str) -> None:
    provider = tako.providers.PythonProvider("py", lambda _: "never asked")
    with pytest.raises(ConfigurationError) as caught:
        provider.blocking.chat(wrong_request)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_a_number_of_any_size_is_no_crash(number: int) -> None:
    provider = tako.providers.PythonProvider("py", lambda _: "asked")
    assert provider.blocking.chat(with_(temperature=number, seed=number)).text == "asked"


def vendors(url: str) -> Iterator[Provider]:
    names = tako.providers
    yield names.OpenAI("m", api_key="k", base_url=url, max_retries=0)
    yield names.Anthropic("m", api_key="k", base_url=url, max_retries=0)
    yield names.AzureOpenAI(endpoint=url, deployment="d", api_key="k", max_retries=0)
    yield names.Bedrock("m", region="us-east-1", endpoint_url=url, max_retries=0)
    yield names.Vertex("m", project_id="p", access_token="t", endpoint_url=url, max_retries=0)
    yield names.Mistral("m", api_key="k", base_url=url, max_retries=0)
    yield names.Ollama("m", base_url=url, max_retries=0)
    for shape in ("tako", "openai", "anthropic"):
        body = {"messages": "{{ messages }}", "tools": "{{ tools }}"}
        yield names.HttpGeneric("gate", "m", url, body, messages_format=shape, max_retries=0)


VALUES: list[Any] = [None, 5, math.nan, 10**400, b"x", {1}, {1: 2}, {(1,): 2}, LOOP, object(), "\ud800", [object()]]
"""What JSON cannot carry, and what it carries in another way than Python."""


def test_no_value_inside_of_a_request_raises_from_the_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    requests = [called(ContentPart.tool_call("1", "f", value)) for value in VALUES]
    requests += [called(ContentPart.tool_call("1", "f", {}), value) for value in VALUES]
    requests += [with_(extra={"more": value}) for value in VALUES]
    requests += [with_(tools=[Tool("f", "d", {"properties": value})]) for value in VALUES]

    async def main(url: str) -> None:
        for provider in vendors(url):
            async with provider:
                for request in requests:
                    with pytest.raises(TakoError):  # of the encoder, or of the vendor that refuses everything
                        await provider.chat(request)

    with serve(reply(status=418)) as server:
        asyncio.run(main(server.url))
        assert all(request.body and request.json is not None for request in server.requests)
