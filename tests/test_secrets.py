"""Keys appear nowhere: not in repr, vars, logs, errors, tracebacks with locals, nor pickles."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import tako
from tako.errors import AuthenticationError, ConfigurationError, ProviderError, TakoError
from tako.providers import OpenAI
from tako.testing.server import reply, serve, sse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "sk-" + "n0b0dy" * 4
HEADER = "own-" + "s3cr3t" * 4
ANSWER = reply(json={"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]})


@pytest.fixture(autouse=True)
def _nothing_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    hidden(caplog.text)


def hidden(text: str) -> None:
    assert KEY not in text
    assert HEADER not in text


def chain(error: BaseException) -> list[BaseException]:
    """An error and everything that it drags along, shown or not."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in seen:
            seen.append(one)
            waiting += [one.__cause__, one.__context__]
    return seen


def inspect_error(error: BaseException) -> None:
    for one in chain(error):
        hidden(f"{one} {one!r} {one.args} {vars(one)}")
        hidden(repr(pickle.loads(pickle.dumps(one))) if isinstance(one, TakoError) else "")
        shown = traceback.TracebackException(type(one), one, below(one), capture_locals=True)
        hidden("".join(shown.format()))


def below(error: BaseException) -> Any:
    """The traceback without the frames of this file, whose locals are the test's own."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def failing(work: Callable[[], Any]) -> BaseException:
    with pytest.raises(BaseException) as caught:
        work()
    inspect_error(caught.value)
    return caught.value


def provider(base_url: str, **options: Any) -> OpenAI:
    return OpenAI(
        "m", api_key=KEY, base_url=base_url, **{"max_retries": 0, "headers": {"x-api-key": HEADER}, **options}
    )


def chat(openai: OpenAI) -> None:
    asyncio.run(openai.chat("hi"))


def stream(openai: OpenAI) -> None:
    asyncio.run(openai.stream("hi").response())


def test_the_key_goes_out_and_is_seen_nowhere_else() -> None:
    with serve(ANSWER) as server:
        openai = provider(server.url)
        response = asyncio.run(openai.chat("hi"))
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.requests[0].headers["x-api-key"] == HEADER
    hidden(f"{openai!r} {openai} {vars(openai)} {openai.blocking!r} {response}")
    hidden(repr([vars(value) for value in vars(openai).values() if hasattr(value, "__dict__")]))


def test_a_pickled_provider_takes_its_key_from_the_environment_it_wakes_up_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(ANSWER) as server:
        openai = provider(server.url, headers={})
        asyncio.run(openai.chat("hi"))
        data = pickle.dumps(openai)
        hidden(data.decode("latin-1"))
        monkeypatch.setenv("OPENAI_API_KEY", "another-key")
        asyncio.run(pickle.loads(data).chat("hi"))
        asyncio.run(copy.copy(openai).chat("hi"))
    assert server.requests[1].headers["authorization"] == "Bearer another-key"
    monkeypatch.delenv("OPENAI_API_KEY")
    error = failing(lambda: chat(pickle.loads(data)))
    assert isinstance(error, ConfigurationError)
    assert "OPENAI_API_KEY" in str(error)


@pytest.mark.parametrize("bad", [f"{KEY}\n", f"{KEY}\r\nx: y", f"{KEY}\0", f"{KEY}é", "", "  "])
def test_a_key_that_no_header_can_carry_is_refused_before_any_request(
    bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for work in (
        lambda: OpenAI("m", api_key=bad),
        lambda: tako.get_provider("openai:m", api_key=bad),
        lambda: OpenAI("m", api_key="k", headers={"x-api-key": bad or "\n"}),
    ):
        assert isinstance(failing(work), ConfigurationError)


def test_a_key_of_the_environment_is_checked_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    assert "OPENAI_API_KEY contains a line break" in str(failing(lambda: OpenAI("m")))
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "set OPENAI_API_KEY" in str(failing(lambda: OpenAI("m")))
    assert "MY_KEY, which isn't set" in str(failing(lambda: OpenAI("m", api_key="$ENV:MY_KEY")))
    monkeypatch.setenv("MY_KEY", KEY)
    hidden(repr(vars(OpenAI("m", api_key="$ENV:MY_KEY"))))


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "nonsense"},
        {"timeout": -1},
        {"headers": {"x-api-key": HEADER, "bad name": "x"}},
        {"base_url": f"https://me:{HEADER}@host/v1"},
    ],
)
def test_a_wrong_option_beside_a_key_does_not_show_the_key(options: Any) -> None:
    def direct() -> None:
        OpenAI("m", **{"api_key": KEY, "headers": {"x-api-key": HEADER}, **options})

    def by_name() -> None:
        tako.get_provider("openai:m", **{"api_key": KEY, "headers": {"x-api-key": HEADER}, **options})

    assert isinstance(failing(direct), ConfigurationError)
    assert isinstance(failing(by_name), ConfigurationError)


def test_an_unknown_option_beside_a_key_does_not_show_the_key() -> None:
    error = failing(lambda: tako.get_provider("openai:m", api_key=KEY, headers={"x-api-key": HEADER}, tmieout=3))
    assert isinstance(error, ConfigurationError)
    assert "tmieout" in str(error)
    failing(lambda: OpenAI("m", api_key=KEY, headers={"x-api-key": HEADER}, tmieout=3))


@pytest.mark.parametrize("work", [chat, stream])
def test_a_vendor_that_echoes_the_key_does_not_make_us_repeat_it(work: Callable[[OpenAI], None]) -> None:
    body = {
        "error": {
            "message": f"Incorrect API key provided: {KEY}, {HEADER}.",
            "code": KEY,
            "type": "invalid_request_error",
        }
    }
    with serve(reply(json=body, status=401)) as server:
        error = failing(lambda: work(provider(server.url)))
    assert isinstance(error, AuthenticationError)
    assert "Incorrect API key provided: ***" in str(error)
    assert "***" in (error.body or "")


@pytest.mark.parametrize("work", [chat, stream])
@pytest.mark.parametrize(
    "script",
    [
        reply(f"<html>your header was {KEY} {HEADER}</html>", headers={"content-type": "text/html"}),
        reply(f"your header was {KEY} {HEADER}"),
        reply(json={"error": {"message": f"bad key {KEY} {HEADER}", "code": "invalid_api_key"}}),
        reply(sse({"error": {"message": f"bad key {KEY} {HEADER}", "code": "invalid_api_key"}})),
    ],
)
def test_a_reply_that_echoes_the_key_with_status_200_is_cleaned_too(
    script: Any, work: Callable[[OpenAI], None]
) -> None:
    with serve(script) as server, pytest.raises(ProviderError) as caught:
        work(provider(server.url))
    for one in chain(caught.value):
        hidden(f"{one} {one!r} {vars(one)}")


@pytest.mark.parametrize("work", [chat, stream])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("ending", ["cut", "reset"])
def test_a_connection_that_breaks_shows_no_key(ending: Any, own: bool, work: Callable[[OpenAI], None]) -> None:
    options = {"transport": httpx.AsyncHTTPTransport()} if own else {}
    with serve(reply([b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'], ending=ending)) as server:
        assert isinstance(failing(lambda: work(provider(server.url, **options))), TakoError)


@pytest.mark.parametrize("own", [False, True])
def test_a_refused_connection_shows_no_key(own: bool) -> None:
    with serve(ANSWER) as server:
        pass
    options = {"transport": httpx.AsyncHTTPTransport()} if own else {}
    assert isinstance(failing(lambda: chat(provider(server.url, **options))), TakoError)


@pytest.mark.parametrize("own", [False, True])
def test_a_timeout_shows_no_key(own: bool) -> None:
    options = {"transport": httpx.AsyncHTTPTransport()} if own else {}
    with serve(reply(json={}, delay=5)) as server:
        assert isinstance(failing(lambda: chat(provider(server.url, timeout=0.1, **options))), TakoError)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_that_the_caller_gave_up_on_shows_no_key(own: bool, streamed: bool) -> None:
    async def main(openai: OpenAI) -> None:
        async with asyncio.timeout(0.15):
            await (openai.stream("hi").response() if streamed else openai.chat("hi"))

    options = {"transport": httpx.AsyncHTTPTransport()} if own else {}
    with serve(reply(json={}, delay=5)) as server:
        assert isinstance(failing(lambda: asyncio.run(main(provider(server.url, **options)))), TimeoutError)


@pytest.mark.parametrize("raised", [httpx.ConnectError("no"), httpx.ReadTimeout("slow"), RuntimeError("bug")])
def test_what_a_transport_raises_shows_no_key(raised: Exception) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if isinstance(raised, httpx.RequestError):
            raised.request = request
        raise raised

    failing(lambda: chat(provider("https://example.test", transport=httpx.MockTransport(answer))))


def test_a_reply_that_is_no_http_shows_no_key() -> None:
    async def main() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 two hundred\r\n\r\n")
            await writer.drain()
            writer.close()

        listening = await asyncio.start_server(answer, "127.0.0.1", 0)
        try:
            async with provider(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}") as openai:
                await openai.chat("hi")
        finally:
            listening.close()

    assert isinstance(failing(lambda: asyncio.run(main())), TakoError)


def test_retries_are_logged_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    body = {"error": {"message": f"key {KEY}"}}
    with serve(reply(json=body, status=500, headers={"retry-after-ms": "1"}), ANSWER) as server:
        asyncio.run(provider(server.url, max_retries=1).chat("hi"))
    assert any(record.name == "stamina" for record in caplog.records)


def test_a_proxy_s_password_is_a_secret_too() -> None:
    hidden(repr(vars(provider("https://example.test", proxy=f"http://me:{HEADER}@127.0.0.1:9"))))
    failing(lambda: chat(provider("http://example.test", proxy=f"http://me:{HEADER}@127.0.0.1:9")))
