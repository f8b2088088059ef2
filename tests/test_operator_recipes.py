"""The plugins of docs/recipes/operators: each does what it says on every way to call a model, in at most 25 lines."""

from __future__ import annotations

import asyncio
import logging
import runpy
import threading
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import pytest
import tako_map
from tako_openai import OpenAI

import tako
from tako import Capabilities, ChatRequest, ContentPart, Delta, End, Message, TakoError, ToolCallDelta, Usage
from tako.errors import OverloadedError, ProviderTimeoutError, ServerError
from tako.hooks import PLUGINS
from tako.providers import PythonProvider
from tako.testing import Script, isolated
from tako.testing.dialects import scripted
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tako import ChatResponse, Provider

FOLDER = Path(__file__).parent.parent / "docs" / "recipes" / "operators"
RECIPES = sorted(path.stem for path in FOLDER.glob("*.py"))
WAYS = ("chat", "stream", "blocking chat", "blocking stream", "Conductor", "map")
CARD = "4111 1111 1111 1111"


def call(provider: Provider, way: str, request: ChatRequest) -> ChatResponse:
    async def main() -> ChatResponse:
        if way == "chat":
            return await provider.chat(request)
        if way == "stream":
            return await provider.stream(request).response()
        return await tako.Conductor({"worker": provider}).ask("worker", request)

    if way == "blocking chat":
        return provider.blocking.chat(request)
    if way == "blocking stream":
        return provider.blocking.stream(request).response()
    if way != "map":
        return asyncio.run(main())
    [result] = tako_map.run([("key", request)], provider, attempts=1)
    if result.error is not None:
        raise result.error
    assert result.response is not None
    return result.response


class Model:
    """A provider that repeats what it's asked, letter by letter in a stream, and keeps the requests that it got."""

    def __init__(self, label: str = "mine") -> None:
        self.requests: list[ChatRequest] = []
        self.failure: Exception | None = None
        self.stuck = False
        can = Capabilities(supports_streaming=True, usd_per_input_mtok=1.0, usd_per_output_mtok=1.0)
        self.provider = PythonProvider(label, self.chat, stream=self.stream, capabilities=can)
        self.provider.max_retries = 0

    async def chat(self, request: ChatRequest) -> Any:
        self.requests.append(request)
        if self.stuck:
            await asyncio.sleep(60)
        if self.failure is not None:
            raise self.failure
        return tako.ChatResponse(Message.assistant(request.messages[-1].text), usage=Usage(30, 40))

    async def stream(self, request: ChatRequest) -> AsyncIterator[Any]:
        for letter in (await self.chat(request)).text:
            yield Delta(letter)
        yield End(usage=Usage(30, 40))


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def use() -> Iterator[Callable[..., SimpleNamespace]]:
    """Return a function that registers a recipe with options, and returns the names that its file defines."""
    with isolated() as plugins:

        def use(name: str, **options: Any) -> SimpleNamespace:
            names = runpy.run_path(str(FOLDER / f"{name}.py"))
            plugins.register(names[name], required=True)
            names[name].configure(**options)
            return SimpleNamespace(**names)

        yield use


def request(text: str = "hello", **fields: Any) -> ChatRequest:
    return ChatRequest([Message.user(text)], **fields)


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "cache"])
def test_each_recipe_lets_a_request_be_counted(name: str, use: Callable[..., SimpleNamespace]) -> None:
    use(name)
    answer = reply(json={"input_tokens": 3})
    with serve(answer) as server:
        claude = tako.providers.Anthropic("claude-sonnet-4-5", api_key="k", base_url=server.url)
        assert claude.blocking.count_tokens(f"Charge {CARD}").input_tokens == 3
    assert (CARD.encode() in server.requests[0].body) == (name != "redact")


def test_each_recipe_is_short_has_a_test_and_stands_on_the_page() -> None:
    page = (FOLDER.parent / "operators.md").read_text()
    assert len(RECIPES) == 10
    for name in RECIPES:
        lines = [line for line in (FOLDER / f"{name}.py").read_text().splitlines() if line.strip()]
        assert len(lines) <= 25, name
        assert f"test_{name}" in globals()
        assert f"| [{name}](operators/{name}.py) | {len(lines)} |" in page


@pytest.mark.parametrize("way", WAYS)
def test_redact(way: str, model: Model, use: Callable[..., Any]) -> None:
    use("redact")
    result = Message.tool("call_1", [ContentPart.text(f"found {CARD}")])
    turns = [Message.user(f"{CARD} <b"), result, Message.user(f"Is {CARD} or 5500 0000 0000 0004 valid? < 5")]
    assert call(model.provider, way, ChatRequest(turns)).text == f"Is {CARD} or 5500 0000 0000 0004 valid? < 5"
    [sent] = model.requests
    assert "4111" not in repr(sent)
    assert [message.text for message in sent.messages] == ["<card 1> <b", "", "Is <card 1> or <card 2> valid? < 5"]


@pytest.mark.parametrize("way", ["blocking chat", "blocking stream"])
def test_redact_in_tool_calls_and_reasoning(way: str, use: Callable[..., Any]) -> None:
    use("redact")
    requests: list[ChatRequest] = []

    def chat(request: ChatRequest) -> tako.ChatResponse:
        requests.append(request)
        parts = [
            ContentPart.reasoning("pay <card 1>"),
            ContentPart.tool_call("c", "pay", {"from": ["<card 1>"], "n": 2}),
        ]
        return tako.ChatResponse(Message.assistant(parts))

    def stream(request: ChatRequest) -> Iterator[Delta]:
        requests.append(request)
        yield from (Delta(reasoning=letter) for letter in "pay <card 1>")
        yield Delta(tool_calls=[ToolCallDelta(0, "c", "pay"), ToolCallDelta(1, "d", "log")])
        for letter in '{"from": ["<card 1>"], "n": 2}':
            yield Delta(tool_calls=[ToolCallDelta(0, arguments_fragment=letter)])
            yield Delta(tool_calls=[ToolCallDelta(1, arguments_fragment="" if letter != "{" else '{"a": "<b"}')])

    provider = PythonProvider("payer", chat, stream=stream)
    past = ContentPart.tool_call("b", "pay", {"from": {"card": CARD}})
    turns = [Message.user(CARD), Message.assistant([past]), Message.tool("b", {"paid": [CARD]})]
    response = call(provider, way, ChatRequest(turns))
    assert response.message.parts[0] == ContentPart.reasoning(f"pay {CARD}")
    assert response.tool_calls[0].args == {"from": [CARD], "n": 2}
    assert [one.args for one in response.tool_calls[1:]] == ([{"a": "<b"}] if way.endswith("stream") else [])
    assert "4111" not in repr(requests)
    assert requests[0].messages[2].parts[0] == ContentPart.tool_result("b", {"paid": ["<card 1>"]})


@pytest.mark.parametrize("way", WAYS)
def test_fallback(way: str, model: Model, use: Callable[..., Any]) -> None:
    other = Model("other")
    PLUGINS.install("other", type("Other", (), {"from_id": lambda model: other.provider}))  # type: ignore[arg-type]
    use("fallback", to="other:m")
    assert call(model.provider, way, request()).text == "hello"
    assert not other.requests
    model.failure = ServerError("down")
    assert call(model.provider, way, request("again", model="small")).provider == "other"
    assert [one.model for one in other.requests] == [None]
    model.failure = TakoError("no fault of the network")
    with pytest.raises(TakoError, match="no fault"):
        call(model.provider, way, request())
    other.failure = model.failure = ServerError("all are down")
    with pytest.raises(ServerError, match="all are down"):
        call(model.provider, way, request())
    assert len(other.requests) == 2


@pytest.mark.parametrize("way", WAYS)
def test_budget(way: str, model: Model, use: Callable[..., Any]) -> None:
    names = use("budget", tokens=100)
    for _ in range(2):
        call(model.provider, way, request(context={"tenant": "acme"}))
    assert names.used == {"acme": 140}
    with pytest.raises(TakoError, match="acme has used up its budget of 100 tokens"):
        call(model.provider, way, request(context={"tenant": "acme"}))
    assert call(model.provider, way, request(context={"tenant": "emca"})).text == "hello"
    assert len(model.requests) == 3


@pytest.mark.parametrize("way", WAYS)
def test_a_call_of_a_fallback_is_counted_and_logged_once(
    way: str, model: Model, use: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "audit")
    use("audit")
    budget = use("budget", tokens=100)
    call(tako.providers.Fallback([model.provider]), way, request(context={"tenant": "acme"}))
    assert budget.used == {"acme": 70}
    assert len([record for record in caplog.records if record.name == "audit"]) == 1


@pytest.mark.parametrize("way", WAYS)
def test_audit(way: str, model: Model, use: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "audit")
    use("audit")
    model.provider.label = "cheap"
    call(model.provider, way, request(context={"user": "ada"}))
    model.failure = ServerError("down")
    with pytest.raises(ServerError):
        call(model.provider, way, request())
    answered, failed = [record.getMessage() for record in caplog.records if record.name == "audit"]
    assert answered.startswith("ada asked cheap: 70 tokens from mine (")
    assert failed.startswith("nobody asked cheap: ServerError: ")
    assert "down; try again later (" in failed


@pytest.mark.parametrize("way", WAYS)
def test_deadline(way: str, model: Model, use: Callable[..., Any]) -> None:
    use("deadline", longest=0.05)
    model.stuck = True
    for deadline in (None, 50.0):
        with pytest.raises(ProviderTimeoutError, match=r"longer than deadline=0\.05 s"):
            call(model.provider, way, request(deadline=deadline))
    assert [one.deadline for one in model.requests] == [0.05, 0.05]


@pytest.mark.parametrize("way", WAYS)
def test_breaker(way: str, model: Model, use: Callable[..., Any]) -> None:
    names = use("breaker", failures=2, pause=60)
    model.failure = ServerError("down")
    for _ in range(2):
        with pytest.raises(ServerError, match="down"):
            call(model.provider, way, request())
    with pytest.raises(OverloadedError, match="mine failed 2 times in a row; it's left alone for 60 s"):
        call(model.provider, way, request())
    assert len(model.requests) == 2
    model.failure = None
    names.until["mine"] = 0.0  # the pause is over
    for _ in range(2):
        assert call(model.provider, way, request()).text == "hello"


@pytest.mark.parametrize("way", WAYS)
def test_cache(way: str, model: Model, use: Callable[..., Any]) -> None:
    with Redis() as store:
        use("cache", url=store.url)
        for text in ("hello", "hello", "bye", "hello"):
            answer = call(model.provider, way, request(text))
            assert (answer.text, answer.usage) == (text, Usage(30, 40))
    assert [one.messages[-1].text for one in model.requests] == ["hello", "bye"]
    assert list(store.expires.values()) == [b"3600", b"3600"]


def test_cache_keeps_the_replies_of_two_servers_of_one_model_apart(use: Callable[..., Any]) -> None:
    with (
        Redis() as store,
        scripted("completions", Script(text="one")) as one,
        scripted("completions", Script(text="two")) as two,
    ):
        use("cache", url=store.url)
        for server in (one, two, one, two):
            with OpenAI("llama", api_key="k", base_url=server.url).blocking as provider:
                assert provider.chat("Who?").text == ("one" if server is one else "two")
    assert (len(one.requests), len(two.requests)) == (1, 1)


@pytest.mark.parametrize("way", WAYS)
def test_routing(way: str, model: Model, use: Callable[..., Any]) -> None:
    use("routing", models={"free": "small"})
    for context, expected_model in (({"tier": "free"}, None), ({"tier": "paid"}, "large"), ({}, None)):
        call(model.provider, way, request(context=context, model=expected_model))
    assert [one.model for one in model.requests] == ["small", "large", None]


@pytest.mark.parametrize("way", WAYS)
def test_prices(way: str, model: Model, use: Callable[..., Any]) -> None:
    use("prices", models={"mine": {"usd_per_input_mtok": 0.5, "usd_per_output_mtok": 2.0}})
    cost = call(model.provider, way, request()).cost
    assert cost is not None
    assert (cost.input, cost.output) == (Decimal("0.000015"), Decimal("0.00008"))


@pytest.mark.parametrize("way", WAYS)
def test_mime(way: str, model: Model, use: Callable[..., Any]) -> None:
    use("mime")
    parts = [
        ContentPart.text("hello"),
        ContentPart.image("image/jpg", "/9j/4AAQ"),
        ContentPart.image("image/png", "iVBORw0K"),
    ]
    assert call(model.provider, way, ChatRequest([Message.user(parts)])).text == "hello"
    assert [getattr(part, "mime", "") for part in model.requests[0].messages[0].parts] == [
        "",
        "image/jpeg",
        "image/png",
    ]


class Redis:
    """As much of a Redis server as the recipe needs: GET and SET, and OK to all that a client says first."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.expires: dict[bytes, bytes] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readline():
                arguments: list[bytes] = []
                for _ in range(int(head[1:])):
                    size = int((await reader.readline())[1:])
                    arguments.append((await reader.readexactly(size + 2))[:-2])
                writer.write(self._answer(arguments))
        finally:
            writer.close()

    def _answer(self, arguments: list[bytes]) -> bytes:
        match arguments[0].upper(), *arguments[1:]:
            case b"SET", key, value, b"EX", seconds:
                self.kept[key], self.expires[key] = value, seconds
            case b"GET", key if key not in self.kept:
                return b"_\r\n"
            case b"GET", key:
                return b"$%d\r\n%s\r\n" % (len(self.kept[key]), self.kept[key])
            case b"HELLO", b"3":
                return b"%1\r\n$5\r\nproto\r\n:3\r\n"
        return b"+OK\r\n"
