"""Fallback: which provider answers, after which errors the next one does, and what the response says about it."""

from __future__ import annotations

import asyncio
import pickle
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from tako_fallback import Fallback

import tako
from tako import Capabilities, ChatRequest, Message, errors, get_provider, load_config
from tako.errors import ConfigurationError
from tako.testing.dialects import DIALECTS
from tako.testing.script import Script
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tako.testing.server import Server

MOVES = [
    errors.TransportError,
    errors.ProviderTimeoutError,
    errors.ServerError,
    errors.OverloadedError,
    errors.RateLimitError,
    errors.AuthenticationError,
    errors.PermissionDeniedError,
    errors.NotFoundError,
    errors.ContextLengthError,
    errors.ResponseError,
    errors.StreamTruncatedError,
]
STAYS = [errors.BadRequestError, errors.ContentFilterError, errors.UnsupportedError, errors.ConfigurationError]
MODES = ["chat", "stream"]


def ask(provider: Any, mode: str, prompt: Any = "Hi") -> Any:
    return provider.blocking.chat(prompt) if mode == "chat" else provider.blocking.stream(prompt).response()


class Member(tako.providers.PythonProvider):  # type: ignore[misc]
    """A provider with fixed outcomes, which counts its requests."""

    def __init__(self, id: str, *outcomes: Any, **options: Any) -> None:
        super().__init__(id, self.answer, stream=self.pieces, **options)
        self.outcomes = list(outcomes)
        self.requests: list[ChatRequest] = []

    def answer(self, request: ChatRequest) -> str:
        self.requests.append(request)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0] if self.outcomes else None
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome or self.id

    def pieces(self, request: ChatRequest) -> Iterator[str]:
        yield self.answer(request)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (({}, {}), ("m (providers[0])", "m (providers[1])")),
        (({"label": "near"}, {"label": "far"}), ("near", "far")),
    ],
)
def test_the_notice_tells_two_servers_of_one_model_apart(labels: Any, names: tuple[str, str]) -> None:
    members = [Member("m", errors.ServerError("no"), **labels[0]), Member("m", **labels[1])]
    [notice] = ask(Fallback(members), "chat").notices
    assert notice.message == f"{names[0]} failed (ServerError: no), so {names[1]} was used"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", MOVES)
def test_the_next_provider_answers_if_the_first_fails(kind: type[errors.ProviderError], mode: str) -> None:
    first, second = Member("a", kind("no")), Member("b")
    response = ask(Fallback([first, second]), mode)
    assert (response.text, response.provider) == ("b", "b")
    [notice] = response.notices
    assert (notice.code, notice.provider) == ("fell_back", "python")
    assert kind.__name__ in notice.message
    assert "a failed" in notice.message


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", STAYS)
def test_an_error_that_the_next_provider_would_have_too_is_raised(kind: type[errors.TakoError], mode: str) -> None:
    first, second = Member("a", kind("no")), Member("b")
    with pytest.raises(kind):
        ask(Fallback([first, second]), mode)
    assert not second.requests


@pytest.mark.parametrize("mode", MODES)
def test_the_last_error_is_raised_if_all_fail(mode: str) -> None:
    members = [Member("a", errors.RateLimitError("slow")), Member("b", errors.ServerError("down"))]
    with pytest.raises(errors.ServerError, match=r"down .*a: RateLimitError"):
        ask(Fallback(members), mode)


@pytest.mark.parametrize("mode", MODES)
def test_without_a_failure_there_is_no_notice(mode: str) -> None:
    assert ask(Fallback([Member("a"), Member("b")]), mode).notices == []


def test_a_stream_moves_on_before_its_first_chunk_only() -> None:
    def broken(request: ChatRequest) -> Iterator[str]:
        yield "Hel"
        raise errors.ServerError("down")

    second = Member("b")
    first = tako.providers.PythonProvider("a", lambda request: "x", stream=broken)
    provider = Fallback([first, second])
    stream = provider.blocking.stream("Hi")
    assert next(stream).text == "Hel"
    with pytest.raises(errors.ServerError):
        next(stream)
    assert not second.requests
    assert provider.blocking.stream("Hi").response().text == "b"  # the one that broke pauses


@pytest.mark.parametrize("mode", MODES)
def test_a_provider_pauses_for_as_long_as_its_vendor_says(mode: str) -> None:
    first, second = Member("a", errors.RateLimitError("slow", retry_after=3600)), Member("b")
    provider = Fallback([first, second])
    for _ in range(3):
        assert ask(provider, mode).text == "b"
    assert (len(first.requests), len(second.requests)) == (1, 3)
    assert ask(provider, mode).notices == []
    second.outcomes = [errors.ServerError("down", retry_after=7200)]
    first.outcomes = ["back"]
    assert ask(provider, mode).text == "back"  # all pause: those whose pause ends first are used anyway
    assert ask(provider, mode).text == "back"


def test_without_retry_after_the_default_pause_applies() -> None:
    for pause, calls in ((0, 3), (3600, 1)):
        first = Member("a", errors.ServerError("down"))
        provider = Fallback([first, Member("b")], pause=pause)
        for _ in range(3):
            ask(provider, "chat")
        assert len(first.requests) == calls


def test_a_failure_of_the_request_does_not_start_a_pause() -> None:
    first = Member("a", errors.ContextLengthError("too long"))
    provider = Fallback([first, Member("b")])
    for _ in range(3):
        ask(provider, "chat")
    assert len(first.requests) == 3


def test_the_order_is_as_given_rotating_or_by_price() -> None:
    def named(order: Any, **prices: float | None) -> list[str]:
        members = [
            Member(name, capabilities=Capabilities(usd_per_input_mtok=price, usd_per_output_mtok=price))
            for name, price in prices.items()
        ]
        provider = Fallback(members, order=order)
        return [ask(provider, "chat").text for _ in range(4)]

    assert named("given", a=3, b=1) == ["a"] * 4
    assert named("rotate", a=3, b=1, c=2) == ["a", "b", "c", "a"]
    assert named("cheapest", a=3, b=None, c=1) == ["c"] * 4


def test_capabilities_are_what_all_share_without_prices() -> None:
    able = Capabilities(
        max_context_tokens=100, supports_tools=True, supports_vision=True, usd_per_input_mtok=1, usd_per_output_mtok=1
    )
    small = Capabilities(max_context_tokens=50, supports_tools=True, supports_vision=False)
    shared = Fallback([Member("a", capabilities=able), Member("b", capabilities=small)]).capabilities
    assert (shared.max_context_tokens, shared.supports_tools, shared.supports_vision) == (50, True, False)
    assert shared.usd_per_input_mtok is None
    own = Fallback([Member("a")], capabilities=able).capabilities
    assert own == able


def test_the_cost_is_that_of_the_provider_that_answers() -> None:
    dear = Capabilities(usd_per_input_mtok=1000, usd_per_output_mtok=1000)
    cheap = Capabilities(usd_per_input_mtok=1, usd_per_output_mtok=1)
    first = Member("a", errors.ServerError("down"), capabilities=dear)
    second = tako.providers.PythonProvider(
        "b", lambda request: {"text": "b", "input_tokens": 1_000_000}, capabilities=cheap
    )
    response = ask(Fallback([first, second]), "chat")
    assert response.cost is not None
    assert response.cost.total == 1


def test_vendors_over_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(variable, "k")
    busy = reply(json={"error": {"message": "busy"}}, status=429, headers={"retry-after": "3600"})
    with serve(busy) as down, DIALECTS["messages"].serve(Script(text="Hello")) as up:
        first = tako.providers.OpenAI("gpt-4o", base_url=down.url, max_retries=0)
        second = tako.providers.Anthropic("claude-sonnet-4-5", base_url=up.url)

        async def talk() -> None:
            async with Fallback([first, second]) as provider:
                response = await provider.chat("Hi", temperature=0)
                streamed = await provider.stream(
                    [Message.user("Hi"), response.message, Message.user("More")]
                ).response()
            assert response.provider == streamed.provider == "anthropic:claude-sonnet-4-5"
            assert [notice.code for notice in response.notices] == ["fell_back"]

        asyncio.run(talk())
        assert (len(down.requests), len(up.requests)) == (1, 2)
        assert up.requests[0].json["model"] == "claude-sonnet-4-5"


def test_a_fallback_is_made_by_class_by_id_and_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with ExitStack() as stack:
        down: Server = stack.enter_context(serve(reply(json={}, status=500)))
        up: Server = stack.enter_context(DIALECTS["completions"].serve(Script(text="Hello")))
        monkeypatch.setenv("OPENAI_BASE_URL", up.url)
        by_id = get_provider("fallback:openai:gpt-4o,openai:gpt-4o-mini")
        assert by_id.id == "fallback:openai:gpt-4o,openai:gpt-4o-mini"
        assert by_id.blocking.chat("Hi").provider == "openai:gpt-4o"
        by_list = get_provider("fallback", providers=["openai:gpt-4o", by_id], pause=5)
        assert by_list.blocking.chat("Hi").text == "Hello"
        file = tmp_path / "tako.toml"
        table = '[providers.{}]\nuse = "openai:{}"\nbase_url = "{}"\nmax_retries = 0\n'
        file.write_text(
            table.format("a", "one", down.url)
            + table.format("b", "two", up.url)
            + '[providers.safe]\nuse = "fallback"\nproviders = ["a", "b"]\n'
            + '[providers.wrong]\nuse = "fallback"\nproviders = ["a", "c"]\n'
            + '[providers.loop]\nuse = "fallback"\nproviders = ["a", "loop"]\n'
        )
        config = load_config(file)
        response = config.provider("safe").blocking.chat("Hi")
        assert (response.text, response.provider) == ("Hello", "openai:two")
        with pytest.raises(ConfigurationError, match=r"providers\.wrong\.providers: 'c' isn't one of"):
            config.provider("wrong")
        with pytest.raises(ConfigurationError, match="loop is a part of itself"):
            config.provider("loop")


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ([], {}, "at least one"),
        ("openai", {}, "providers must be a list of at least one provider"),
        (["openai:x"], {}, "providers[0] is a str, not a provider: use tako.get_provider(…)"),
        ([Member("a")], {"order": "random"}, "order is 'random', not one of given, rotate, cheapest"),
        ([Member("a")], {"pause": -1}, "pause is -1"),
    ],
)
def test_invalid_members_are_refused(arguments: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Fallback(arguments, **options)
    assert text in str(caught.value)


def test_the_model_of_a_request_reaches_the_members_but_the_fallbacks_own_name_does_not() -> None:
    member = Member("a")
    provider = Fallback([member])
    provider.blocking.chat("Hi", model="other")
    provider.blocking.chat("Hi", model=provider.model)
    assert [request.model for request in member.requests] == ["other", None]


def test_typed_replies_runs_and_defaults_work_as_with_any_other() -> None:
    provider = Fallback([Member("a", errors.ServerError("down")), Member("b", '{"value": 7}')], defaults={"seed": 1})
    response = provider.blocking.chat("Hi", response_type=int)
    assert (response.parsed, [notice.code for notice in response.notices]) == (7, ["fell_back"])
    assert provider.blocking.run("Hi").text == '{"value": 7}'
    assert provider.members[1].requests[0].seed == 1  # type: ignore[attr-defined]


def test_a_pickled_fallback_has_no_pauses() -> None:
    provider = Fallback([tako.providers.OpenAI("a", api_key="k")], pause=5)
    provider.pauses.start(0, 3600)
    unpickled = pickle.loads(pickle.dumps(provider))
    assert (unpickled.id, unpickled.pauses.seconds_left(0), unpickled.pauses.seconds) == (provider.id, 0, 5)
