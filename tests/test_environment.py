"""``$ENV:NAME`` stands for a variable in every option of every provider, in one way; requests are never touched."""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako.environment import FromEnvironment, resolve
from tako.errors import ConfigurationError, TakoError
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tako import Provider

    At = Callable[..., Provider]

CANARY = "c4n4ry-c4n4ry-c4n4ry"
HTTP = ["openai", "azure-openai", "anthropic", "mistral", "ollama", "bedrock", "vertex"]


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", CANARY)
    monkeypatch.delenv("NOT_SET", raising=False)


def failure(provider: Provider) -> str:
    """Return all that can be seen of a call that fails, but for the frame of this test."""
    with pytest.raises(TakoError) as caught:
        provider.blocking.chat("hi")
    error = caught.value
    frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
    seen = traceback.TracebackException(type(error), error, frames, capture_locals=True)
    return "".join(seen.format()) + repr(vars(error))


@pytest.mark.parametrize("name", HTTP)
@pytest.mark.parametrize(
    ("header", "value"),
    [("x-auth-token", "$ENV:A_TOKEN"), ("x-plain", "$ENV:A_TOKEN"), ("authorization", "Bearer $ENV:A_TOKEN")],
)
def test_a_header_is_read_from_the_environment_and_shown_nowhere(
    name: str, header: str, value: str, at: At, answers: dict[str, Any]
) -> None:
    with serve(reply(json=answers[name]), reply(json={"error": {"message": f"no {CANARY}"}}, status=401)) as server:
        provider: Any = at(name, server.url, headers={header: value}, max_retries=0)
        assert CANARY not in repr(vars(provider))
        assert CANARY.encode() not in (data := pickle.dumps(provider))
        assert provider.blocking.chat("hi").text == "ok"
        sent = server.requests[0].headers[header]
        assert sent == value.replace("$ENV:A_TOKEN", CANARY)
        assert pickle.loads(data)._user_headers[header].reveal() == sent
        assert CANARY not in failure(provider)


@pytest.mark.parametrize("name", HTTP)
@pytest.mark.parametrize(
    ("option", "value", "where"),
    [
        ("headers", {"x-auth-token": "$ENV:NOT_SET"}, "headers.x-auth-token"),
        ("proxy", "$ENV:NOT_SET", "proxy"),
        ("model", "$ENV:NOT_SET", "model"),
    ],
)
def test_a_variable_that_is_not_set_is_named_with_its_place(
    name: str, option: str, value: Any, where: str, vendors: tuple[str, ...]
) -> None:
    cls = tako.hooks.PLUGINS.provider_class(name)
    with pytest.raises(ConfigurationError) as caught:
        cls(**{"model": "m", option: value})
    assert str(caught.value) == f"{name}: {where} names the variable NOT_SET, which isn't set"


@pytest.mark.parametrize(
    "text", ["x$ENV:A_TOKEN", "$ENV:A-TOKEN", "Bearer  $ENV:A_TOKEN", "a b $ENV:A_TOKEN", "$ENV:A_TOKEN ", "$ENV:1"]
)
def test_a_reference_in_another_place_is_refused_instead_of_sent(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"write \$ENV:NAME as the whole value, or after one word") as caught:
        tako.providers.OpenAI("m", api_key="k", headers={"x-auth-token": text})
    assert text not in str(caught.value)


def test_options_that_are_no_secrets_are_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_MODEL", "gpt-5")
    monkeypatch.setenv("A_URL", "https://gate.example/v1")
    provider: Any = tako.providers.OpenAI("$ENV:A_MODEL", api_key="$ENV:A_TOKEN", base_url="$ENV:A_URL")
    assert (provider.id, provider.base_url) == ("openai:gpt-5", "https://gate.example/v1")
    assert type(provider.model) is str


def test_a_key_follows_its_variable_into_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = tako.providers.OpenAI("m", api_key="$ENV:A_TOKEN")
    data = pickle.dumps(provider)
    monkeypatch.setenv("A_TOKEN", "another-token")
    assert pickle.loads(data).secrets[0].reveal().endswith("another-token")


def test_a_proxy_with_its_password_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_PROXY", f"http://me:{CANARY}@127.0.0.1:9")
    provider: Any = tako.providers.OpenAI("m", api_key="k", proxy="$ENV:A_PROXY", max_retries=0)
    assert CANARY not in failure(provider) + repr(vars(provider)) + pickle.dumps(provider).decode("latin-1")


def test_a_file_checks_what_a_variable_holds_when_the_provider_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDS", "5")
    table = '[providers.a]\nuse = "azure-openai:m"\napi_key = "$ENV:A_TOKEN"\nendpoint = "https://gate.example"\n'
    (tmp_path / "my.toml").write_text(table + 'deployment = "$ENV:A_TOKEN"\ntimeout = "$ENV:SECONDS"\n')
    with pytest.raises(
        ConfigurationError, match="timeout is a number of seconds above 0 and below a billion, not a str"
    ):
        tako.load_config(tmp_path / "my.toml").provider("a")


def test_what_a_variable_holds_is_never_resolved_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NESTED", "$ENV:A_TOKEN")
    assert resolve({"headers": ["$ENV:NESTED"]}, "x", "acme") == {"headers": ["$ENV:A_TOKEN"]}
    provider: Any = tako.providers.HttpGeneric("a", "m", "http://127.0.0.1:9", {}, headers={"x-token": "$ENV:NESTED"})
    assert provider._all_headers["x-token"] == "$ENV:A_TOKEN"


def test_a_request_keeps_its_text(at: At, answers: dict[str, Any]) -> None:
    with serve(reply(json=answers["openai"])) as server:
        at("openai", server.url).blocking.chat("Say $ENV:A_TOKEN")
        assert server.requests[0].json["messages"][0]["content"] == "Say $ENV:A_TOKEN"


def test_a_value_that_has_no_reference_stays_the_same_object() -> None:
    value = {"a": [1, ("x", {"y": "z"})]}
    assert resolve(value, "options", "acme") is value


def test_an_option_without_an_end_is_one_line() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ConfigurationError, match=r"^openai: headers is nested too deeply, or holds itself$"):
        tako.providers.OpenAI("m", api_key="k", headers={"x": endless})  # type: ignore[dict-item] # the mistake


def test_a_text_of_the_environment_shows_its_reference() -> None:
    text = FromEnvironment("Bearer ", "A_TOKEN")
    assert (str(text), text.value) == (f"Bearer {CANARY}", CANARY)
    assert repr(text) == "'Bearer $ENV:A_TOKEN'"
    assert copy.deepcopy(text) is text


@pytest.mark.parametrize("route", ["chat", "stream"])
def test_a_file_and_an_option_of_the_command_resolve_alike(
    route: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]
) -> None:
    from tako.cli import main

    monkeypatch.chdir(tmp_path)
    with serve(reply(json=answers["openai"])) as server:
        table = f'[providers.a]\nuse = "openai:m"\nbase_url = "{server.url}"\napi_key = "$ENV:A_TOKEN"\n'
        (tmp_path / "my.toml").write_text(table + 'headers = { x-gate = "$ENV:A_TOKEN" }\n')
        arguments = ["--no-stream"] if route == "chat" else []
        assert main(["chat", "-c", "my.toml", "-m", "a", *arguments, "hi"]) == 0
        option = 'headers={"x-gate": "$ENV:A_TOKEN"}'
        key, url = "api_key=$ENV:A_TOKEN", f"base_url={server.url}"
        assert main(["chat", "-m", "openai:m", "-o", option, "-o", key, "-o", url, *arguments, "hi"]) == 0
        assert [request.headers["x-gate"] for request in server.requests] == [CANARY, CANARY]
        assert [request.headers["authorization"] for request in server.requests] == [f"Bearer {CANARY}"] * 2
