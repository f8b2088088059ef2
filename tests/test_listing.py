"""Lists of models and counts of tokens, of every vendor that has them."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

import tako
from tako import ChatRequest, Message, Tool
from tako.cli.run import main
from tako.errors import AuthenticationError, ResponseError, UnsupportedError
from tako.listing import ModelInfo, TokenCount
from tako.testing.server import Received, reply, serve
from tako.texts import change_texts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako import Provider

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-example")


MAKERS: dict[str, Callable[[str], Provider]] = {
    "openai": lambda url: tako.providers.OpenAI("gpt-5", api_key="k", base_url=url, api="responses"),
    "azure": lambda url: tako.providers.AzureOpenAI("gpt-5", api_key="k", endpoint=url),
    "azure, dated": lambda url: tako.providers.AzureOpenAI(
        "gpt-5", api_key="k", endpoint=url, api_version="2024-10-21"
    ),
    "mistral": lambda url: tako.providers.Mistral("m", api_key="k", base_url=url),
    "anthropic": lambda url: tako.providers.Anthropic("claude-sonnet-4-5", api_key="k", base_url=url),
    "bedrock": lambda url: tako.providers.Bedrock(CLAUDE, region="us-east-1", endpoint_url=url),
    "vertex": lambda url: tako.providers.Vertex("gemini-3-flash", project_id="p", access_token="t", endpoint_url=url),
    "gemini": lambda url: tako.providers.Gemini("gemini-3-flash", api_key="k", base_url=url),
    "ollama": lambda url: tako.providers.Ollama("qwen3", base_url=url),
}


def vendor_provider(vendor: str, url: str) -> Provider:
    return MAKERS[vendor](url)


SIZES = {"max_input_tokens": 9, "max_tokens": 7}
LIMITS = {"inputTokenLimit": 9, "outputTokenLimit": 7}
END = "2027-03-01T00:00:00Z"
LISTS: dict[str, tuple[str, Any, ModelInfo]] = {
    "openai": (
        "/models",
        {"data": [{"id": "gpt-5", "created": 1754500000, "shutdown_date": "2027-02-01"}]},
        ModelInfo("gpt-5", created=date(2025, 8, 6), retires=date(2027, 2, 1)),
    ),
    "azure": ("/openai/v1/models", {"data": [{"id": "gpt-5"}]}, ModelInfo("gpt-5")),
    "azure, dated": ("/openai/models", {"data": [{"id": "gpt-5"}]}, ModelInfo("gpt-5")),
    "mistral": (
        "/models",
        {"data": [{"id": "m", "name": "Small", "max_context_length": 128000, "deprecation": "2027-01-31T12:00:00Z"}]},
        ModelInfo("m", "Small", retires=date(2027, 1, 31), max_context_tokens=128000),
    ),
    "anthropic": (
        "/v1/models",
        {"data": [{"id": "c", "display_name": "C 5", "created_at": "2026-05-01T00:00:00Z", **SIZES}]},
        ModelInfo("c", "C 5", date(2026, 5, 1), max_context_tokens=9, max_output_tokens=7),
    ),
    "bedrock": (
        "/foundation-models",
        {"modelSummaries": [{"modelId": "amazon.nova", "modelName": "Nova", "modelLifecycle": {"endOfLifeTime": END}}]},
        ModelInfo("amazon.nova", "Nova", retires=date(2027, 3, 1)),
    ),
    "vertex": (
        "/v1beta1/publishers/google/models",
        {"publisherModels": [{"name": "publishers/google/models/gemini-3-flash"}]},
        ModelInfo("gemini-3-flash"),
    ),
    "gemini": (
        "/v1beta/models",
        {"models": [{"name": "models/gemini-3-flash", "displayName": "Flash", **LIMITS}]},
        ModelInfo("gemini-3-flash", "Flash", max_context_tokens=9, max_output_tokens=7),
    ),
    "ollama": (
        "/api/tags",
        {"models": [{"name": "qwen3:8b", "modified_at": "2026-01-02T03:04:05Z"}]},
        ModelInfo("qwen3:8b", created=date(2026, 1, 2)),
    ),
}


@pytest.mark.parametrize("vendor", LISTS)
def test_the_models_of_a_vendor_are_listed(vendor: str) -> None:
    path, body, expected = LISTS[vendor]
    with serve(reply(json=body)) as server:
        (model,) = vendor_provider(vendor, server.url).blocking.list_models()
    entry = next(iter(body.values()))[0]
    assert model == ModelInfo(*[getattr(expected, name) for name in ModelInfo.__struct_fields__[:-1]], entry)
    assert (server.requests[0].method, server.requests[0].path) == ("GET", path)
    assert server.requests[0].body == b""


@pytest.mark.parametrize(
    ("vendor", "pages", "parameters"),
    [
        (
            "anthropic",
            [{"data": [{"id": "a"}], "has_more": True, "last_id": "a b"}, {"data": [{"id": "b"}], "has_more": False}],
            ("after_id", "a b"),
        ),
        (
            "gemini",
            [{"models": [{"name": "models/a"}], "nextPageToken": "t/1"}, {"models": [{"name": "models/b"}]}],
            ("pageToken", "t/1"),
        ),
        (
            "vertex",
            [{"publisherModels": [{"name": "a"}], "nextPageToken": "t"}, {"publisherModels": [{"name": "b"}]}],
            ("pageToken", "t"),
        ),
    ],
)
def test_every_page_of_a_list_is_read(vendor: str, pages: list[Any], parameters: tuple[str, str]) -> None:
    with serve(*[reply(json=page) for page in pages]) as server:
        assert [model.id for model in vendor_provider(vendor, server.url).blocking.list_models()] == ["a", "b"]
    assert server.requests[1].query[parameters[0]] == parameters[1]


REQUEST = ChatRequest(
    [Message.system("Be brief."), Message.user("Hello")],
    tools=[Tool("weather.now", "W", {"type": "object", "properties": {"city": {"type": "string"}}})],
    max_tokens=99,
    temperature=0.5,
)
COUNTS: dict[str, tuple[str, str, set[str]]] = {
    "openai": ("/responses/input_tokens", "input_tokens", {"model", "input", "instructions", "tools"}),
    "anthropic": ("/v1/messages/count_tokens", "input_tokens", {"model", "messages", "system", "tools"}),
    "bedrock": (f"/model/{CLAUDE}/count-tokens", "inputTokens", {"input"}),
    "vertex": (
        "/v1/projects/p/locations/global/publishers/google/models/gemini-3-flash:countTokens",
        "totalTokens",
        {"contents", "systemInstruction", "tools", "generationConfig"},
    ),
    "gemini": ("/v1beta/models/gemini-3-flash:countTokens", "totalTokens", {"generateContentRequest"}),
}


@pytest.mark.parametrize("vendor", COUNTS)
def test_the_vendor_counts_the_tokens_of_a_request(vendor: str) -> None:
    path, field, sent = COUNTS[vendor]
    with serve(reply(json={field: 42})) as server:
        counted = vendor_provider(vendor, server.url).blocking.count_tokens(REQUEST)
    assert counted == TokenCount(42, {field: 42})
    assert server.requests[0].path.replace("%3A", ":") == path
    assert {*server.requests[0].json} == sent
    assert b"weather" in server.requests[0].body
    assert b"99" not in server.requests[0].body or vendor in ("vertex", "gemini")


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("vendor", COUNTS)
def test_no_vendor_counts_what_a_plugin_hides(vendor: str, blocking: bool, register: Callable[..., None]) -> None:
    @tako.around
    async def redact(request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
        async for chunk in inner(replace(request, messages=change_texts(request.messages, lambda _: "[hidden]"))):
            yield chunk

    register(redact, required=True)
    with serve(reply(json={COUNTS[vendor][1]: 42})) as server:
        provider = vendor_provider(vendor, server.url)
        counted = provider.blocking.count_tokens(REQUEST) if blocking else asyncio.run(provider.count_tokens(REQUEST))
    assert counted.input_tokens == 42
    assert b"[hidden]" in server.requests[0].body
    assert b"Hello" not in server.requests[0].body


@pytest.mark.parametrize("vendor", COUNTS)
def test_every_vendor_counts_what_a_translator_makes_of_the_parts(vendor: str, register: Callable[..., None]) -> None:
    class Initials:
        @tako.hookimpl(wrapper=True)
        def tako_translator(self) -> Any:
            inner = yield
            return tako.Translator(lambda part, context: inner.encode(replace(part, text="H."), context), inner.decode)

    register(Initials())
    with serve(reply(json={COUNTS[vendor][1]: 42})) as server:
        vendor_provider(vendor, server.url).blocking.count_tokens("Hello")
    assert b"H." in server.requests[0].body
    assert b"Hello" not in server.requests[0].body


def test_keywords_count_as_they_do_for_chat() -> None:
    with serve(reply(json={"input_tokens": 3})) as server:
        vendor_provider("anthropic", server.url).blocking.count_tokens(
            "Hi", system="Be brief.", headers={"x-team": "a"}
        )
    assert server.requests[0].json["system"] == "Be brief."
    assert server.requests[0].headers["x-team"] == "a"


def test_a_vendor_without_says_so_in_one_line() -> None:
    with serve(reply()) as server:
        for ask in (
            vendor_provider("mistral", server.url).blocking.count_tokens,
            tako.providers.OpenAI("gpt-4.1", api_key="k", base_url=server.url, api="chat").blocking.count_tokens,
            vendor_provider("ollama", server.url).blocking.count_tokens,
            vendor_provider("azure", server.url).blocking.count_tokens,
        ):
            with pytest.raises(UnsupportedError, match=r"^\S+ can't count tokens: \S+ has nothing that counts them$"):
                ask("Hi")
        python = tako.providers.PythonProvider("p", lambda _: "ok")
        with pytest.raises(UnsupportedError, match=r"^p can't list models: python has no list of them$"):
            python.blocking.list_models()
    assert server.requests == []


def test_a_refusal_is_the_error_that_it_is_elsewhere_and_hides_the_key() -> None:
    def refuse(request: Received) -> Any:
        return reply(json={"error": {"message": f"wrong key {request.headers['authorization']}"}}, status=401)

    with serve(refuse) as server, pytest.raises(AuthenticationError) as caught:
        tako.providers.OpenAI("gpt-5", api_key="sk-hidden-key", base_url=server.url).blocking.list_models()
    assert (caught.value.provider, caught.value.model) == ("openai", "gpt-5")
    assert "sk-hidden-key" not in str(caught.value)


def test_a_reply_without_a_count_is_no_count_of_zero() -> None:
    with serve(reply(json={"tokens": 1})) as server, pytest.raises(ResponseError, match="has no input_tokens"):
        vendor_provider("anthropic", server.url).blocking.count_tokens("Hi")


@pytest.mark.parametrize("vendor", ["openai", "mistral", "anthropic", "bedrock", "ollama"])
def test_a_reply_without_a_list_is_no_empty_list(vendor: str) -> None:
    with serve(reply(json={"entries": [{"id": "a", "modelId": "a", "name": "a"}]})) as server:
        provider = vendor_provider(vendor, server.url)
        with pytest.raises(ResponseError, match=rf"^{provider.id}: the reply has no list of models"):
            provider.blocking.list_models()


@pytest.mark.parametrize("vendor", LISTS)
def test_a_list_of_which_no_entry_has_an_id_is_an_error_and_an_empty_one_is_not(vendor: str) -> None:
    field = next(iter(LISTS[vendor][1]))
    with serve(reply(json={field: ["large"]}), reply(json={field: []})) as server:
        provider = vendor_provider(vendor, server.url)
        with pytest.raises(ResponseError, match="the list of models has no entry with a field"):
            provider.blocking.list_models()
        assert provider.blocking.list_models() == []


def test_a_third_party_adds_both(vendor: Any) -> None:
    class Acme(vendor("acme", tako_chat=lambda: lambda request: None)):  # type: ignore[misc]  # made on the spot
        async def list_models(self) -> list[ModelInfo]:
            return [ModelInfo("large")]

        async def count(self, request: ChatRequest) -> TokenCount:
            return TokenCount(len(request.messages))

    acme = Acme("large")
    assert acme.blocking.list_models() == [ModelInfo("large")]
    assert acme.blocking.count_tokens("Hi", system="Be brief.").input_tokens == 2


def test_the_command_lists_models(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with serve(reply(json={"data": [{"id": "gpt-5", "context_window": 400_000}]})) as server:
        assert main(["models", "openai", "-o", f"base_url={server.url}"]) == 0
        assert main(["models", "openai:gpt-5", "-o", f"base_url={server.url}", "--json"]) == 0
    table, listed = capsys.readouterr().out.split("[", 1)
    heading, row = (line.split() for line in table.splitlines())
    assert " ".join(heading) == "ID RETIRES MAX CONTEXT TOKENS USD PER INPUT MTOK USD PER OUTPUT MTOK"
    assert (row[0], row[2:]) == ("gpt-5", ["400000", "1.25", "10.0"])  # what tako knows is there as well
    assert '"id": "gpt-5"' in listed


def test_the_command_counts_tokens(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    with serve(reply(json={"input_tokens": 12})) as server:
        where = ["-m", "anthropic:claude-sonnet-4-5", "-o", f"base_url={server.url}"]
        assert main(["tokens", *where, "--system", "Be brief.", "Hello", "there"]) == 0
        assert main(["tokens", *where, "--json", "Hello"]) == 0
    assert capsys.readouterr().out == '12\n{"model":"anthropic:claude-sonnet-4-5","input_tokens":12}\n'
    assert server.requests[0].json["messages"] == [{"role": "user", "content": "Hello there"}]


def test_the_command_counts_what_plugins_leave_of_the_prompt(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, register: Callable[..., None]
) -> None:
    @tako.around
    async def redact(request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
        async for chunk in inner(replace(request, messages=change_texts(request.messages, lambda _: "[hidden]"))):
            yield chunk

    register(redact, required=True)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    with serve(reply(json={"input_tokens": 12})) as server:
        where = ["-m", "anthropic:claude-sonnet-4-5", "-o", f"base_url={server.url}"]
        assert main(["tokens", *where, "Hello"]) == 0
    assert capsys.readouterr().out == "12\n"
    assert server.requests[0].json["messages"] == [{"role": "user", "content": "[hidden]"}]


def test_the_command_says_in_one_line_what_a_vendor_does_not_have(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    assert main(["tokens", "-m", "mistral:m", "Hello"]) == 2
    assert capsys.readouterr().err == "tako: mistral:m can't count tokens: mistral has nothing that counts them\n"
