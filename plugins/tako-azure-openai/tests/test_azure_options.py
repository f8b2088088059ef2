"""The address and the credentials of requests."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako.errors import AuthenticationError, ConfigurationError
from tako.providers import AzureOpenAI
from tako.testing.server import Received, Server, reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

ANSWER = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-2024-11-20",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}
HANG = 120.0
VARIABLES = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "OPENAI_API_VERSION")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def received(server: Server, request: tako.ChatRequest | str = "Hi", **options: Any) -> Received:
    """Send a request; return what the server received."""
    AzureOpenAI(**{"endpoint": server.url, "api_key": "k-123456", **options}).blocking.chat(request)
    return server.requests[-1]


def test_a_deployment_is_quoted_in_the_path_and_its_name_stays_in_the_body() -> None:
    with serve(reply(json=ANSWER)) as server:
        request = received(server, deployment="my deploy/1", api_version="2024-10-21")
    assert request.path == "/openai/deployments/my%20deploy%2F1/chat/completions"
    assert request.query == {"api-version": "2024-10-21"}
    assert request.headers["api-key"] == "k-123456"
    assert "authorization" not in request.headers
    assert request.json == {"model": "my deploy/1", "messages": [{"role": "user", "content": "Hi"}]}


def test_an_id_names_the_deployment() -> None:
    provider = tako.get_provider("azure-openai:prod", endpoint="https://x.openai.azure.com", api_key="k")
    assert isinstance(provider, AzureOpenAI)
    assert (provider.id, provider.model, provider.deployment) == ("azure-openai:prod", "prod", "prod")


def test_a_deployment_as_a_keyword_is_the_model() -> None:
    assert AzureOpenAI(endpoint="https://x.openai.azure.com", deployment="prod", api_key="k").model == "prod"


@pytest.mark.parametrize("version", ["v1", "preview", "latest"])
def test_the_v1_api_has_no_deployment_in_its_path_and_gets_the_key_as_bearer(version: str) -> None:
    with serve(reply(json=ANSWER)) as server:
        request = received(server, model="gpt-5", deployment="prod", api_version=version)
    assert request.path == "/openai/v1/chat/completions"
    assert request.query == ({} if version == "v1" else {"api-version": version})
    assert request.headers["authorization"] == "Bearer k-123456"
    assert "api-key" not in request.headers
    assert request.json["model"] == "prod"


@pytest.mark.parametrize("suffix", ["/openai/v1", "/openai/v1/"])
def test_an_endpoint_may_end_with_the_v1_path(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    with serve(reply(json=ANSWER)) as server:
        request = received(server, model="prod", endpoint=server.url + suffix)
    assert (request.path, request.query) == ("/openai/v1/chat/completions", {})


def test_a_prefix_of_the_endpoint_is_kept() -> None:
    with serve(reply(json=ANSWER)) as server:
        request = received(server, model="m", endpoint=server.url + "/gateway/azure/")
    assert request.path == "/gateway/azure/openai/v1/chat/completions"


def test_a_request_may_name_another_deployment() -> None:
    with serve(reply(json=ANSWER)) as server:
        request = received(
            server, tako.ChatRequest([tako.Message.user("Hi")], model="other"), model="prod", api_version="2024-10-21"
        )
    assert request.path == "/openai/deployments/other/chat/completions"
    assert request.json["model"] == "other"


def test_the_model_decides_the_names_of_parameters() -> None:
    question = tako.ChatRequest([tako.Message.user("Hi")], max_tokens=9)
    with serve(reply(json=ANSWER)) as server:
        assert received(server, question, deployment="prod").json["max_tokens"] == 9
        assert received(server, question, deployment="prod", model="gpt-5-mini").json["max_completion_tokens"] == 9
        assert received(server, question, model="o4-mini").json["max_completion_tokens"] == 9


def test_versions_without_stream_options_get_none() -> None:
    chunks = [b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"]
    with serve(reply(chunks)) as server:
        for version in ("2024-02-01", "2024-10-21"):
            provider = AzureOpenAI("m", endpoint=server.url, api_key="k", api_version=version)
            assert [chunk.kind for chunk in provider.blocking.stream("Hi")] == ["delta", "end"]
    first, second = (request.json for request in server.requests)
    assert "stream_options" not in first
    assert second["stream_options"] == {"include_usage": True}


def test_the_environment_is_read_as_azures_own_client_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k-environment")
    monkeypatch.setenv("OPENAI_API_VERSION", "2025-01-01-preview")
    with serve(reply(json=ANSWER)) as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.url)
        request = received(server, model="m", endpoint=None, api_key=None)
        assert (request.headers["api-key"], request.query["api-version"]) == ("k-environment", "2025-01-01-preview")
        monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "t-environment")
        request = received(server, model="m", endpoint=None, api_key=None)
        assert request.headers["authorization"] == "Bearer t-environment"
        assert "api-key" not in request.headers
        request = received(server, model="m", endpoint=None, api_key="k-argument")
        assert request.headers["api-key"] == "k-argument"
        assert "authorization" not in request.headers
        request = received(server, model="m", api_version="2024-06-01")
        assert request.query == {"api-version": "2024-06-01"}


def test_a_token_is_sent_as_bearer_also_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "t-654321")
    with serve(reply(json=ANSWER)) as server:
        assert received(server, model="m", api_key=None, token="t-1234").headers["authorization"] == "Bearer t-1234"
        request = received(server, model="m", api_key=None, token="$ENV:MY_TOKEN", api_version="v1")
        assert request.headers["authorization"] == "Bearer t-654321"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "m", "endpoint": None}, "AZURE_OPENAI_ENDPOINT"),
        ({"model": "m", "api_key": None}, "AZURE_OPENAI_API_KEY or AZURE_OPENAI_AD_TOKEN"),
        ({}, "deployment="),
        ({"model": "m", "endpoint": "x.openai.azure.com"}, "endpoint="),
        ({"model": "m", "endpoint": "https://x.openai.azure.com/?api-version=1"}, "endpoint="),
        ({"model": "m", "token": "t"}, "one of api_key, token and token_provider"),
        ({"model": "m", "token_provider": lambda: "t"}, "one of api_key, token and token_provider"),
        ({"model": "m", "api_key": None, "token": "a\nb"}, "token contains a line break"),
    ],
)
def test_wrong_options_fail_before_anything_is_sent(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AzureOpenAI(**{"endpoint": "https://x.openai.azure.com", "api_key": "k", **options})


def test_a_blocking_token_provider_is_called_before_each_request_in_another_thread() -> None:
    threads: list[threading.Thread] = []

    def token() -> str:
        threads.append(threading.current_thread())
        return f"token-{len(threads)}"

    async def main() -> None:
        async with AzureOpenAI("m", endpoint=server.url, token_provider=token) as provider:
            await provider.chat("Hi")
            await provider.chat("Hi")
        assert threading.current_thread() not in threads

    with serve(reply(json=ANSWER)) as server:
        asyncio.run(main())
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer token-1", "Bearer token-2"]


def test_a_retry_gets_a_new_token() -> None:
    tokens = iter(["old-token", "new-token"])
    with serve(reply(json={"error": {"message": "later"}}, status=503), reply(json=ANSWER)) as server:
        AzureOpenAI("m", endpoint=server.url, token_provider=lambda: next(tokens)).blocking.chat("Hi")
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer old-token", "Bearer new-token"]


async def from_coroutine() -> str:
    """A token provider like those of azure.identity.aio."""
    await asyncio.sleep(0)
    return "t-coroutine"


def returning_coroutine() -> Coroutine[Any, Any, str]:
    """A plain function that returns an awaitable."""
    return from_coroutine()


class Credential:
    """An object with an async __call__."""

    async def __call__(self) -> str:
        return "t-object"


@pytest.mark.parametrize(
    ("provider", "token"),
    [(from_coroutine, "t-coroutine"), (returning_coroutine, "t-coroutine"), (Credential(), "t-object")],
    ids=["coroutine function", "function that returns a coroutine", "object"],
)
def test_a_token_provider_may_be_async(provider: Callable[[], Any], token: str) -> None:
    with serve(reply(json=ANSWER)) as server:
        AzureOpenAI("m", endpoint=server.url, token_provider=provider).blocking.chat("Hi")
    assert server.requests[0].headers["authorization"] == f"Bearer {token}"


class WaitingTokens:
    """A token provider that returns its token while its gate is open."""

    def __init__(self) -> None:
        self.call_count = 0
        self.called, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    async def calls(self, provider: AzureOpenAI, count: int) -> list[asyncio.Task[tako.ChatResponse]]:
        """Return calls that wait for one token; a first call is made before, so that they wait for nothing else."""
        await provider.chat("Hi")
        self.gate.clear()
        self.called.clear()
        self.call_count = 0
        calls = [asyncio.create_task(provider.chat("Hi")) for _ in range(count)]
        assert await asyncio.to_thread(self.called.wait, HANG)
        return calls

    def blocking(self) -> str:
        self.call_count += 1
        self.called.set()
        assert self.gate.wait(HANG)
        return "shared"

    async def coroutine(self) -> str:
        self.call_count += 1
        self.called.set()
        await asyncio.to_thread(self.gate.wait, HANG)
        return "shared"


@pytest.mark.parametrize("kind", ["blocking", "coroutine"])
def test_calls_that_start_together_share_one_token(kind: str) -> None:
    held = WaitingTokens()

    async def main() -> None:
        async with AzureOpenAI("m", endpoint=server.url, token_provider=getattr(held, kind)) as provider:
            calls = await held.calls(provider, 20)
            held.gate.set()
            await asyncio.gather(*calls)

    with serve(reply(json=ANSWER)) as server:
        asyncio.run(main())
    assert held.call_count == 1
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer shared"] * 21


@pytest.mark.parametrize("kind", ["blocking", "coroutine"])
def test_a_cancelled_call_does_not_cancel_the_token_of_the_others(kind: str) -> None:
    held = WaitingTokens()

    async def main() -> None:
        async with AzureOpenAI("m", endpoint=server.url, token_provider=getattr(held, kind)) as provider:
            first, second = await held.calls(provider, 2)
            first.cancel()
            await asyncio.wait([first])
            assert first.cancelled()
            held.gate.set()
            assert (await second).text == "Hello."

    with serve(reply(json=ANSWER)) as server:
        asyncio.run(main())
    assert held.call_count == 1


def broken() -> str:
    """A token provider without credentials."""
    raise LookupError("no credentials found")


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        (broken, "LookupError: no credentials found"),
        (lambda: None, "returned None"),
        (lambda: "", "is empty"),
        (lambda: "a\r\nx: y", "contains a line break"),
    ],
)
def test_a_token_provider_that_fails_is_an_authentication_error(provider: Callable[[], Any], message: str) -> None:
    with serve(reply(json=ANSWER)) as server, pytest.raises(AuthenticationError, match=message) as caught:
        AzureOpenAI("m", endpoint=server.url, token_provider=provider).blocking.chat("Hi")
    assert server.requests == []
    assert caught.value.provider == "azure-openai"


def test_all_waiting_calls_raise_the_failure_of_a_token_provider() -> None:
    calls: list[int] = []

    async def failing() -> str:
        calls.append(1)
        await asyncio.sleep(0)  # the others start to wait
        raise LookupError("no credentials found")

    async def main() -> list[Any]:
        async with AzureOpenAI("m", endpoint="http://127.0.0.1:9", token_provider=failing) as provider:
            with pytest.raises(AuthenticationError):
                await provider.chat("Hi")  # so that the others wait for nothing else
            calls.clear()
            return await asyncio.gather(*[provider.chat("Hi") for _ in range(3)], return_exceptions=True)

    errors = asyncio.run(main())
    assert [type(error) for error in errors] == [AuthenticationError] * 3
    assert all(isinstance(error.__cause__, LookupError) for error in errors)
    assert len(calls) == 1


def test_no_credential_shows_in_repr_errors_or_pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "environment-key")

    def echo(request: Received) -> tako.testing.server.Reply:
        sent = request.headers.get("authorization") or request.headers["api-key"]
        return reply(json={"error": {"message": f"bad key {sent}", "code": "401"}}, status=401)

    with serve(echo) as server:
        for options in ({"api_key": "key-secret"}, {"token": "token-secret"}, {"token_provider": minted}, {}):
            provider = AzureOpenAI("m", endpoint=server.url, **options)
            with pytest.raises(AuthenticationError) as caught:
                provider.blocking.chat("Hi")
            shown = f"{caught.value} {caught.value.body} {provider!r} {vars(provider)} {pickle.dumps(provider)!r}"
            for secret in ("key-secret", "token-secret", "minted-secret", "environment-key"):
                assert secret not in shown


def minted() -> str:
    """A token provider that can be pickled."""
    return "minted-secret"


def test_a_provider_with_a_token_provider_can_be_pickled() -> None:
    with serve(reply(json=ANSWER)) as server:
        provider = pickle.loads(pickle.dumps(AzureOpenAI("m", endpoint=server.url, token_provider=minted)))
        assert provider.blocking.chat("Hi").text == "Hello."
    assert server.requests[0].headers["authorization"] == "Bearer minted-secret"
