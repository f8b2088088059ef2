"""Errors that users meet first end in what to do: once, in one line, and without a secret."""

from __future__ import annotations

import asyncio
import pickle
import socket
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako import ContentPart, Message
from tako.errors import ConfigurationError, ProviderError, TakoError
from tako.names import _hint
from tako.testing.server import Reply, reply, serve

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako import Provider

    At = Callable[..., Provider]

VENDORS = ("openai", "azure-openai", "anthropic", "mistral", "ollama", "bedrock", "vertex", "gemini")
WAYS: dict[str, Callable[[Any], Any]] = {
    "chat": lambda provider: asyncio.run(provider.chat("hi")),
    "stream": lambda provider: asyncio.run(provider.stream("hi").response()),
    "blocking chat": lambda provider: provider.blocking.chat("hi"),
    "blocking stream": lambda provider: provider.blocking.stream("hi").response(),
}


def refusal(status: int, text: str, **headers: str) -> Reply:
    return reply(json={"error": {"message": text}, "message": text}, status=status, headers=headers)


def failure(provider: Provider, way: str = "blocking chat") -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        WAYS[way](provider)
    return caught.value


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", VENDORS)
def test_the_last_error_says_how_many_tries_were_made_and_what_to_do(name: str, way: str, at: At) -> None:
    with serve(*[refusal(503, "busy", **{"retry-after": "0"})] * 3) as server:
        error = failure(at(name, server.url), way)
    assert len(server.requests) == error.tries == 3
    assert str(error).endswith("busy (3 tries); try again later")


@pytest.mark.parametrize(
    ("refused", "advice"),
    [
        (refusal(500, "broken"), "try again later"),
        (refusal(429, "slow down", **{"retry-after": "89.5"}), "try again in 90 s"),
        (refusal(401, "no"), None),
        (refusal(400, "no"), ""),
    ],
)
def test_advice_is_what_the_text_ends_in(refused: Reply, advice: str | None, at: At) -> None:
    with serve(*[refused] * 3) as server:
        error = failure(at("openai", server.url, max_retries=0))
    assert str(error).endswith(f"; {error.advice}" if error.advice else ": no")
    assert advice is None or (error.advice or "") == advice
    assert pickle.loads(pickle.dumps(error)).advice == error.advice


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", VENDORS)
def test_a_rate_limit_says_when_to_try_again(name: str, way: str, at: At) -> None:
    with serve(refusal(429, "slow down", **{"retry-after": "89.5"})) as server:
        error = failure(at(name, server.url), way)
    assert error.tries == 1
    assert str(error).endswith("slow down; try again in 90 s")


KEYS = {
    "openai": "OPENAI_API_KEY",
    "azure-openai": "AZURE_OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "ollama": "OLLAMA_API_KEY",
    "gemini": "GEMINI_API_KEY",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", KEYS)
def test_a_refused_key_says_where_it_came_from(name: str, way: str, at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS[name], "key-of-the-environment")
    monkeypatch.setenv("GATE_KEY", "key-of-the-gateway")
    for api_key, source in ((None, KEYS[name]), ("$ENV:GATE_KEY", "GATE_KEY"), ("key-of-the-code", "api_key=")):
        with serve(refusal(401, f"no such key: {api_key} key-of-the-environment")) as server:
            error = failure(at(name, server.url, api_key=api_key), way)
        assert str(error).endswith(f"; check the key from {source}")
        shown = "key-of-the-gateway" if api_key == "$ENV:GATE_KEY" else api_key or "key-of-the-environment"
        assert shown not in f"{error} {error.advice} {error.body}"


def test_other_credentials_are_named_too(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(*[refusal(401, "no")] * 4) as server:
        assert "AWS_BEARER_TOKEN_BEDROCK" in str(failure(at("bedrock", server.url)))
        assert str(failure(at("vertex", server.url))).endswith("; check the key from access_token=")
        monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "token-of-entra")
        azure = at("azure-openai", server.url, api_key=None)
        assert str(failure(azure)).endswith("; check the key from AZURE_OPENAI_AD_TOKEN")
        claude = at("anthropic", server.url, api_key=None, auth_token="token-of-a-gateway")
        assert str(failure(claude)).endswith("; check the key from auth_token=")


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (402, "check what the key allows, and the account's credit"),
        (403, "check what the key allows, and the account's credit"),
        (404, "check the model's name and the address"),
        (400, ""),
    ],
)
def test_other_refusals_say_it_by_their_status(status: int, advice: str, at: At) -> None:
    with serve(refusal(status, "no")) as server:
        text = str(failure(at("openai", server.url)))
    assert text == f"openai:gpt-4o: {status}: no{f'; {advice}' if advice else ''}"


def test_a_used_up_quota_is_not_a_matter_of_time(at: At) -> None:
    spent = reply(json={"error": {"message": "spent", "code": "insufficient_quota"}}, status=429)
    with serve(spent) as server:
        text = str(failure(at("openai", server.url)))
    assert text.endswith("spent; check the plan and the credit of your account")


def test_a_prompt_that_is_too_long_or_filtered_says_what_to_change(at: At) -> None:
    for code, advice in (("context_length_exceeded", "send less, or use"), ("content_filter", "change the prompt")):
        with serve(reply(json={"error": {"message": "no", "code": code}}, status=400)) as server:
            assert f"no; {advice}" in str(failure(at("openai", server.url)))


def test_no_connection_says_what_to_check(at: At) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert str(failure(at("openai", url, max_retries=0))).endswith("; check the address, and that the server runs")
        assert "(2 tries); `ollama serve` starts" in str(failure(at("ollama", url, max_retries=1)))
    error = failure(at("openai", "http://nowhere.invalid", max_retries=0))
    assert str(error).endswith("can't be found; check the base URL")


def test_a_timeout_says_how_many_tries_it_had_and_which_option_is_longer(at: At) -> None:
    never = reply(b"", delay=lambda: False)
    with serve(never, never) as server:
        error = failure(at("openai", server.url, timeout=0.1, max_retries=1))
        assert str(error).endswith("for timeout=0.1 s (2 tries); try again later, or raise timeout=")
    with serve(never) as server:
        error = failure(at("openai", server.url, deadline=0.1))
        assert str(error).endswith("deadline=0.1 s; raise deadline=")


def test_advice_that_the_text_has_is_not_said_twice() -> None:
    for text in ("Please try again later.", "try later", "You can retry your request.", "Try your request again"):
        assert str(tako.RateLimitError(text)) == text
    assert str(tako.RateLimitError("the country is full")) == "the country is full; try again later"
    assert str(tako.RateLimitError("busy", retry_after=30)) == "busy; try again in 30 s"
    error = tako.ServerError("x" * 5000, provider="p", request_id="r-1")
    error.tries = 3
    assert str(error).endswith("… (3 tries); try again later (request r-1)")
    assert len(str(error)) <= 2000


def test_the_command_prints_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    from tako.cli import main

    with serve(refusal(429, "slow down", **{"retry-after": "90"})) as server:
        code = main(["chat", "-m", "openai:m", "-o", "api_key=k", "-o", f"base_url={server.url}", "Hi"])
    assert code == 1
    assert capsys.readouterr().err == "tako: openai:m: 429: slow down; try again in 90 s\n"


CALLS: list[tuple[dict[str, Any] | list[Any], str]] = [
    ({"max_completion_tokens": 5}, "'max_completion_tokens'; use max_tokens"),
    ({"reasoning_effort": "low"}, "'reasoning_effort'; use reasoning"),
    ({"response_model": int}, "'response_model'; use response_type"),
    ({"extra_body": {}}, "'extra_body'; use extra"),
    ({"stream": True}, "'stream'; call stream(…) in place of chat(…)"),
    ({"messages": []}, "'messages'; pass it first, without a name"),
    ({"top_k": 5}, "'top_k'; if the vendor has it, pass it in extra={…}"),
    ({"colour": 5}, "a vendor's own field goes into extra={…})"),
    ({"tools": [{"type": "function"}]}, "tools[0] is a dict, not a Tool: pass a function or a tako.Tool("),
    ([{"role": "user", "content": "hi"}], "messages[0] is a dict, not a Message: write tako.Message.user(…)"),
    ([{"role": "assistant"}], "messages[0] is a dict, not a Message: write tako.Message.assistant(…)"),
    ([{"role": "developer"}], "messages[0] is a dict, not a Message: write tako.Message.user(…)"),
    (["hi"], "messages[0] is a str, not a Message: put texts and parts into tako.Message.user([…])"),
    ([ContentPart.text("hi")], "is a TextPart, not a Message: put texts and parts into tako.Message.user([…])"),
    ([Message.user([{"type": "text"}])], "is a dict, not a part: use ContentPart.text(…), ContentPart.image_file(…)"),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("wrong_value", "text"), CALLS)
def test_a_wrong_call_says_how_to_write_it(wrong_value: Any, text: str) -> None:
    provider = tako.providers.PythonProvider("p", lambda _: "ok")
    messages, options = ("hi", wrong_value) if isinstance(wrong_value, dict) else (wrong_value, {})
    for call in (provider.blocking.chat, provider.blocking.stream, provider.stream):
        with pytest.raises(ConfigurationError) as caught:
            call(messages, **options)
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("timout", "'timout'; did you mean 'timeout'?"),
        ("temperature", "'temperature'; temperature is a keyword of chat: pass it there, or put it into defaults"),
        ("colour", "'colour' (known: "),
    ],
)
@pytest.mark.parametrize("name", ["openai", "anthropic", "mistral", "ollama", "gemini", "vertex", "azure-openai"])
def test_a_wrong_option_says_which_one_is_near(name: str, option: str, text: str, at: At) -> None:
    with pytest.raises(TakoError) as caught:
        at(name, "http://127.0.0.1:9", **{option: 1})
    assert f"has no option {text}" in str(caught.value)


def test_a_wrong_option_of_a_file_does_too(tmp_path: Any) -> None:
    file = tmp_path / "tako.toml"
    for line, text in (
        ("timout = 1", "providers.a.timout: openai:m has no such option; did you mean 'timeout'?"),
        ("temperature = 1", "no such option; temperature is a keyword of chat: pass it there, or put it into defaults"),
    ):
        file.write_text(f'[providers.a]\nuse = "openai:m"\n{line}\n')
        with pytest.raises(ConfigurationError) as caught:
            tako.load_config(file).provider("a")
        assert text in str(caught.value)


def test_advice_for_a_vendors_refusal_is_not_given_for_a_plugins_own(register: Callable[..., None]) -> None:
    @tako.around
    async def policy(request: Any, inner: Any) -> AsyncGenerator[Any, None]:
        raise tako.errors.PermissionDeniedError("this model isn't allowed here")
        yield inner  # pragma: no cover - makes it a generator

    register(policy)
    echo = tako.providers.PythonProvider("echo", lambda request: "hi")
    for way in WAYS.values():
        with pytest.raises(tako.errors.PermissionDeniedError) as caught:
            way(echo)
        assert str(caught.value) == "python:echo: this model isn't allowed here"


def test_a_class_that_is_not_installed_names_its_distribution() -> None:
    for name, distribution in (
        ("PythonProvider", "tako-python"),
        ("AzureOpenAI", "tako-azure-openai"),
        ("LlamaCpp", "tako-llamacpp"),
        ("HttpGeneric", "tako-http-generic"),
        ("openai:gpt-6.2-sol", "tako-openai"),
    ):
        assert _hint(name, [], ()) == f"pip install {distribution}"


def test_every_error_that_tako_raises_is_in_tako_and_in_tako_errors() -> None:
    with pytest.raises(tako.UnknownProviderError, match="no provider 'nobody'"):
        tako.get_provider("nobody:m")
    assert tako.UnknownProviderError is tako.errors.UnknownProviderError
    assert not hasattr(tako.providers, "Nobody")
