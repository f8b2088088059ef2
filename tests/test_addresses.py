"""Addresses: a model's name stays in its place there, and the address of a whole call stands for its base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tako_cache.identity import identify

from tako import ChatRequest, Message
from tako.errors import ConfigurationError
from tako.providers import AzureOpenAI, HttpGeneric, Vertex
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider

    At = Callable[..., Provider]

DATED = {"api_version": "2024-10-21"}
IN_THE_PATH = {"azure-openai": DATED, "bedrock": {}, "vertex": {}}
LEAVING = [
    ".",
    "..",
    "a/../b",
    "a/./b",
    "../../x",
    "a//b",
    "m?x=1",
    "m#f",
    "%2e%2e",
    "a%2fb",
    "a\\b",
    "..\\x",
    "m\u202e",
]


def hi(model: str | None = None) -> ChatRequest:
    return ChatRequest([Message.user("hi")], model=model)


def ask(provider: Provider, request: ChatRequest, streamed: bool) -> Any:
    face = provider.blocking
    return face.stream(request).response() if streamed else face.chat(request)


def generic(url: str, model: str) -> HttpGeneric:
    return HttpGeneric("acme", model, f"{url}/models/{{{{ model }}}}/chat?m={{{{ model }}}}", {"q": "{{ messages }}"})


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", [*LEAVING, ""])
@pytest.mark.parametrize("name", IN_THE_PATH)
def test_a_request_whose_model_would_leave_its_place_is_refused(
    name: str, model: str, streamed: bool, at: At, answers: dict[str, Any]
) -> None:
    with serve(reply(json=answers[name])) as server:
        provider = at(name, server.url, **IN_THE_PATH[name])
        with pytest.raises(ConfigurationError, match=r"model|deployment"):
            ask(provider, hi(model), streamed)
        assert server.requests == []


@pytest.mark.parametrize("model", LEAVING)
@pytest.mark.parametrize("name", IN_THE_PATH)
def test_a_provider_whose_model_would_leave_its_place_is_refused(name: str, model: str, at: At) -> None:
    with pytest.raises(ConfigurationError, match=r"model|deployment"):
        at(name, "http://127.0.0.1:9", model=model, **IN_THE_PATH[name])


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", [".", ".."])
def test_a_step_of_a_path_is_no_models_name_wherever_the_name_goes(
    model: str, streamed: bool, at: At, vendors: tuple[str, ...]
) -> None:
    with serve(reply(json={})) as server:
        for name in vendors:
            with pytest.raises(ConfigurationError, match=r"model|deployment"):
                ask(at(name, server.url, model=model), hi(), streamed)
            with pytest.raises(ConfigurationError, match=r"model|deployment"):
                ask(at(name, server.url), hi(model), streamed)
        assert server.requests == []


@pytest.mark.parametrize("model", [*LEAVING, ""])
def test_an_endpoint_of_data_holds_its_model_in_its_place_too(model: str) -> None:
    with serve(reply(json={"text": "ok"})) as server:
        with pytest.raises(ConfigurationError, match="model"):
            generic(server.url, model)
        provider = generic(server.url, "org/m 1")
        with pytest.raises(ConfigurationError, match="model"):
            ask(provider, hi(model), streamed=False)
        assert server.requests == []
        ask(provider, hi(), streamed=False)
    assert (server.requests[0].path, server.requests[0].query) == ("/models/org%2Fm%201/chat", {"m": "org/m 1"})


def test_a_model_in_a_query_alone_may_be_anything() -> None:
    with serve(reply(json={"text": "ok"})) as server:
        provider = HttpGeneric("acme", "a/../b?c#d", f"{server.url}/x?m={{{{ model }}}}", {"q": "{{ messages }}"})
        ask(provider, hi(), streamed=False)
    assert (server.requests[0].path, server.requests[0].query) == ("/x", {"m": "a/../b?c#d"})


def test_a_deployment_and_a_project_stay_in_their_places_too() -> None:
    with pytest.raises(ConfigurationError, match="deployment"):
        AzureOpenAI("gpt-4o", deployment="..", endpoint="http://127.0.0.1:9", api_key="k", **DATED)
    with pytest.raises(ConfigurationError, match="project_id"):
        Vertex("gemini-x", project_id="..", access_token="t", endpoint_url="http://127.0.0.1:9").blocking.chat("hi")


@pytest.mark.parametrize(
    ("name", "base_url", "path"),
    [
        *[
            (name, ("base_url", f"/v1{beyond}{slash}"), "/v1/chat/completions")
            for name in ("openai", "mistral")
            for beyond in ("", "/chat/completions")
            for slash in ("", "/", "//")
        ],
        *[("anthropic", ("base_url", pasted), "/v1/messages") for pasted in ("", "/", "/v1", "/v1/", "/v1/messages")],
        ("anthropic", ("base_url", "/proxy/v1/messages/"), "/proxy/v1/messages"),
        *[
            ("ollama", ("base_url", pasted), "/api/chat")
            for pasted in ("", "/api", "/api/chat", "/api/generate/", "/v1")
        ],
        ("ollama", ("base_url", "/v1/chat/completions"), "/api/chat"),
        (
            "azure-openai",
            ("endpoint", "/openai/deployments/gpt-4o/chat/completions"),
            "/openai/v1/chat/completions",
        ),
        ("azure-openai", ("endpoint", "/openai/v1/chat/completions"), "/openai/v1/chat/completions"),
        ("azure-openai", ("endpoint", "/openai/v1/"), "/openai/v1/chat/completions"),
        ("bedrock", ("endpoint_url", "/model/x/converse"), "/model/anthropic.claude"),
        ("vertex", ("endpoint_url", "/v1/"), "/v1/projects/p/"),
        ("vertex", ("endpoint_url", "/v1/projects/q/locations/eu/publishers/google/models/x"), "/v1/projects/p/"),
    ],
)
def test_the_address_of_a_whole_call_stands_for_its_base(
    name: str, base_url: tuple[str, str], path: str, at: At, answers: dict[str, Any]
) -> None:
    option, pasted = base_url
    with serve(reply(json=answers[name])) as server:
        at(name, server.url, **{option: f"{server.url}{pasted}"}).blocking.chat("hi")
    assert server.requests[0].path.startswith(path)


def test_endpoints_whose_addresses_come_from_two_variables_share_no_cached_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ONE_URL", "https://gate.example/one?key=k")
    monkeypatch.setenv("OTHER_URL", "https://gate.example/other?key=k")
    one, other = (HttpGeneric("gate", "m", f"$ENV:{name}_URL", {}) for name in ("ONE", "OTHER"))
    assert identify(one) != identify(other)
