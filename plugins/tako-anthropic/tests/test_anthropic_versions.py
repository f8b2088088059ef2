"""The API version, the limit and the credentials of a request."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from tako_anthropic import Anthropic

from tako import ChatRequest, Message
from tako.errors import ConfigurationError
from tako.testing.server import Received, reply, serve

HI = [Message.user("Hi")]
ANSWER = reply(json={"type": "message", "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn"})
NEWEST, OLDER = "2026-10-21", "2023-06-01"


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def send(model: str = "claude-sonnet-4-5", options: dict[str, Any] | None = None, **fields: Any) -> Received:
    """Return the request that arrived."""
    with serve(ANSWER) as server:
        provider = Anthropic(model, base_url=server.url, **(options or {"api_key": "k"}))
        provider.blocking.chat(ChatRequest(HI, **fields))
        return server.requests[0]


@pytest.mark.parametrize(
    ("model", "fields", "version"),
    [
        ("claude-opus-5-5", {}, NEWEST),
        ("claude-sonnet-4-5", {}, NEWEST),
        ("claude-sonnet-4-5", {"temperature": 0.2}, OLDER),
        ("claude-sonnet-4-5", {"extra": {"top_k": 5}}, OLDER),
        ("claude-opus-4-7", {"temperature": 0.2}, NEWEST),
        ("MiniMax-M3", {}, OLDER),
    ],
)
def test_the_version_is_the_newest_that_accepts_the_models_parameters(
    model: str, fields: dict[str, Any], version: str
) -> None:
    sent = send(model, **fields)
    assert sent.headers["anthropic-version"] == version
    assert ("temperature" in sent.json) == ("temperature" in fields and version == OLDER)


@pytest.mark.parametrize(
    "options", [{"api_key": "k", "version": NEWEST}, {"api_key": "k", "headers": {"anthropic-version": NEWEST}}]
)
def test_a_version_that_the_user_sets_stays(options: dict[str, Any]) -> None:
    assert send(options=options, temperature=0.2).headers["anthropic-version"] == NEWEST


@pytest.mark.parametrize(
    ("model", "fields", "limit"),
    [
        ("claude-3-haiku-20240307", {}, 4096),
        ("claude-sonnet-4-5", {}, 4096),
        ("claude-sonnet-4-5", {"reasoning": 10_000}, 14_096),
        ("claude-opus-4-1", {"reasoning": 32_000}, 32_000),
        ("claude-opus-5-5", {}, 16_384),
        ("claude-opus-5-5", {"reasoning": "max"}, 36_096),
        ("claude-opus-5-5", {"reasoning": "max", "max_tokens": 500}, 500),
        ("MiniMax-M3", {}, 4096),
    ],
)
def test_the_default_limit_depends_on_the_model_and_the_thinking(
    model: str, fields: dict[str, Any], limit: int
) -> None:
    body = send(model, **fields).json
    assert body["max_tokens"] == limit
    assert body.get("thinking", {}).get("budget_tokens", 0) < limit


def test_a_token_is_sent_as_bearer(monkeypatch: pytest.MonkeyPatch) -> None:
    request = send(options={"auth_token": "t-1"})
    assert (request.headers["authorization"], "x-api-key" in request.headers) == ("Bearer t-1", False)
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "t-2")
    with serve(ANSWER) as server:
        Anthropic("claude-sonnet-4-5", base_url=server.url).blocking.chat("Hi")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "k-1")
        Anthropic("claude-sonnet-4-5", base_url=server.url).blocking.chat("Hi")
        Anthropic("claude-sonnet-4-5", base_url=server.url, auth_token="t-3").blocking.chat("Hi")
    credentials = [
        (request.headers.get("authorization"), request.headers.get("x-api-key")) for request in server.requests
    ]
    assert credentials == [("Bearer t-2", None), (None, "k-1"), ("Bearer t-3", None)]


def test_an_oauth_token_adds_its_beta_feature() -> None:
    sent = send(options={"auth_token": "sk-ant-oat01-x", "beta": ["files-api-2025-04-14"]})
    assert sent.headers["anthropic-beta"] == "files-api-2025-04-14,oauth-2025-04-20"


def test_a_key_or_a_token_is_required_but_not_both() -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        Anthropic("m", api_key="k", auth_token="t")
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN"):
        Anthropic("m")


def test_no_repr_and_no_pickle_has_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "t-secret")
    provider = Anthropic("m")
    assert "t-secret" not in repr(vars(provider))
    assert b"t-secret" not in pickle.dumps(provider)
