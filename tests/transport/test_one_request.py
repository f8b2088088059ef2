"""What one request says of its own travel: its timeout, its headers, and the key that its attempts share."""

from __future__ import annotations

import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from tako import ChatRequest, Message, providers
from tako.errors import AuthenticationError, ConfigurationError, ProviderTimeoutError, ResponseError
from tako.kit.http import HttpProvider
from tako.testing.server import reply, serve, sse

from .script import ANSWER, BODY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.testing.server import Received, Reply

OPENAI = ANSWER
MAKE: dict[str, Callable[..., Any]] = {
    "openai": lambda url, **options: providers.OpenAI("m", api_key="k", base_url=url, **options),
    "azure": lambda url, **options: providers.AzureOpenAI("gpt-4.1", api_key="k", endpoint=url, **options),
    "mistral": lambda url, **options: providers.Mistral("m", api_key="k", base_url=url, **options),
    "anthropic": lambda url, **options: providers.Anthropic("m", api_key="k", base_url=url, **options),
    "bedrock": lambda url, **options: providers.Bedrock("m", region="us-east-1", endpoint_url=url, **options),
    "vertex": lambda url, **options: providers.Vertex(
        "m", access_token="t", project_id="p", endpoint_url=url, **options
    ),
    "ollama": lambda url, **options: providers.Ollama("m", base_url=url, **options),
    "generic": lambda url, **options: providers.HttpGeneric("g", "m", url, {"q": "{{ messages }}"}, "/t", **options),
}
KEY = "sk-one-request-only-0123456789"


def request(**fields: Any) -> ChatRequest:
    return ChatRequest([Message.user("hi")], **fields)


def ask(provider: Any, request: ChatRequest, streamed: bool = False) -> Any:
    try:
        return provider.blocking.stream(request).response() if streamed else provider.blocking.chat(request)
    finally:
        provider.blocking.close()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "b")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("vendor", MAKE)
def test_headers_of_a_request_go_with_it_alone_and_over_all_others(vendor: str, streamed: bool) -> None:
    with serve(reply(json={}, status=401)) as server:
        provider = MAKE[vendor](server.url, max_retries=0, headers={"x-team": "red", "x-kept": "1"})
        for fields in ({"headers": {"X-Team": "blue", "X-Trace": "t1", "Authorization": f"Bearer {KEY}"}}, {}):
            with pytest.raises(AuthenticationError):
                ask(provider, request(**fields), streamed)
    first, second = [received.headers for received in server.requests[:2]]
    assert (first["x-team"], first["x-trace"], first["x-kept"]) == ("blue", "t1", "1")
    assert first["authorization"] == f"Bearer {KEY}"
    assert (second["x-team"], "x-trace" in second) == ("red", False)
    assert KEY not in second.get("authorization", "")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("vendor", MAKE)
def test_the_timeout_of_a_request_holds_in_place_of_the_providers(vendor: str, streamed: bool) -> None:
    with serve(reply(json={}, delay=lambda: False)) as server:
        provider = MAKE[vendor](server.url, max_retries=0, timeout=60)
        with pytest.raises(ProviderTimeoutError, match=r"timeout=0\.1 s"):
            ask(provider, request(timeout=0.1), streamed)


def test_the_timeout_of_a_request_bounds_keep_alives_too() -> None:
    alive = reply([b": alive\n\n"] * 1000, pause=0.01)
    with serve(alive) as server, pytest.raises(ProviderTimeoutError):
        ask(MAKE["openai"](server.url, max_retries=0), request(timeout=0.05), streamed=True)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("bad name", "v", "isn't the name of a header"),
        ("x-a", "line\r\nbreak", "contains a line break"),
        ("x-a", "caf\u00e9", "not ASCII"),
        ("authorization", f"{KEY}\n", "contains a line break"),
        ("authorization", "", "is empty"),
    ],
)
@pytest.mark.parametrize("vendor", ["openai", "anthropic", "generic"])
def test_headers_that_http_cannot_carry_are_refused_before_the_network(
    vendor: str, name: str, value: str, message: str
) -> None:
    with serve(OPENAI) as server, pytest.raises(ConfigurationError, match=message) as caught:
        ask(MAKE[vendor](server.url), request(headers={name: value}))
    assert server.requests == []
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "script",
    [
        reply(json={"error": {"message": f"{KEY} is wrong"}}, status=401, headers={"x-request-id": f"id-{KEY}"}),
        reply(f"{KEY} is no JSON"),
        reply(sse({"error": {"message": f"{KEY} is wrong", "code": "invalid_api_key"}}, done=False)),
    ],
    ids=["refusal", "no JSON", "event"],
)
def test_a_key_of_one_request_is_in_no_error_that_repeats_it(script: Reply, streamed: bool) -> None:
    with serve(script) as server, pytest.raises((AuthenticationError, ResponseError)) as caught:
        ask(MAKE["openai"](server.url, max_retries=0), request(headers={"Authorization": f"Bearer {KEY}"}), streamed)
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(vars(error)) + repr(pickle.dumps(error))
    assert KEY not in shown


# --- the key that attempts share


def failing_first(fails: int) -> tuple[list[Received], Callable[[Received], Reply]]:
    seen: list[Received] = []

    def script(received: Received) -> Reply:
        seen.append(received)
        return reply(status=500) if len(seen) <= fails else reply(json=BODY)

    return seen, script


@pytest.mark.parametrize("streamed", [False, True])
def test_attempts_of_one_call_share_a_key_where_the_server_takes_one(streamed: bool) -> None:
    seen, script = failing_first(2)
    with serve(script) as server:
        provider = MAKE["openai"](server.url, idempotency_header="Idempotency-Key")
        for _ in range(2):
            assert ask(provider, request(), streamed).text == "ok"
    keys = [received.headers["idempotency-key"] for received in seen]
    assert len(keys) == 4
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_a_key_of_the_callers_own_is_kept_over_the_attempts() -> None:
    for options in ({}, {"idempotency_header": "Idempotency-Key"}):
        seen, script = failing_first(1)
        with serve(script) as server:
            ask(MAKE["openai"](server.url, **options), request(headers={"idempotency-key": "mine"}))
        assert [received.headers["idempotency-key"] for received in seen] == ["mine", "mine"]


def test_no_vendor_that_we_ship_takes_one_so_none_is_sent() -> None:
    for vendor, make in MAKE.items():
        assert make("http://127.0.0.1:9").idempotency_header is None, vendor
    with serve(OPENAI) as server:
        ask(MAKE["openai"](server.url), request())
    assert "idempotency-key" not in server.requests[0].headers


@pytest.mark.parametrize("name", ["bad name", "", "x:y", "Content-Length", "host", "a\r\nb"])
def test_a_name_that_no_header_can_have_is_refused_at_construction(name: str) -> None:
    with pytest.raises(ConfigurationError, match="openai:m: idempotency_header: "):
        MAKE["openai"]("http://127.0.0.1:9", idempotency_header=name)


def test_a_vendors_class_may_say_that_it_takes_one() -> None:
    class Acme(providers.OpenAI):
        idempotency_header = "X-Once"

    seen, script = failing_first(1)
    with serve(script) as server:
        ask(Acme("m", api_key="k", base_url=server.url), request())
    assert issubclass(Acme, HttpProvider)
    assert seen[0].headers["x-once"] == seen[1].headers["x-once"] != ""
