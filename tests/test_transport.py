"""Connections: kept, limited, closed, never shared between loops; and what is said when they fail."""

from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
import sys
import textwrap
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trio
import trustme

from tako.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    ResponseError,
    ServerError,
    TransportError,
)
from tako.providers import OpenAI
from tako.testing.server import Server, reply, serve, sse

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = {"id": "c", "model": "m-1", "choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}
ANSWER = reply(json=BODY)
STREAM = reply(sse({"choices": [{"delta": {"content": "ok"}}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}))
HANGING = reply(sse({"choices": [{"delta": {"content": "ok"}}]}, done=False), ending="hang")


def provider(server: Server, **options: Any) -> OpenAI:
    return OpenAI("m", api_key="k", base_url=server.url, **{"max_retries": 0, **options})


async def until(condition: Any) -> None:
    for _ in range(300):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to pass in time")


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing here may be worth a warning in the logs, as unclosed sessions are."""
    yield
    assert [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name != "stamina"
    ] == []


# --- pool


def test_a_storm_of_cancelled_calls_on_a_full_pool_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with provider(server, max_connections=10) as asked:
            tasks = [asyncio.create_task(asked.chat("hi")) for _ in range(20)]
            await until(lambda: len(server.requests) == 10)
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(outcome, asyncio.CancelledError) for outcome in done)
            await until(lambda: server.open == 0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            slow.clear()
            assert [(await asked.chat("hi")).text for _ in range(2)] == ["ok", "ok"]
            both = await asyncio.gather(*[asked.chat("hi") for _ in range(10)])
            assert len(both) == 10

    slow = [True]
    with serve(lambda received: reply(json=BODY, delay=60) if slow else ANSWER) as server:
        asyncio.run(main())


def test_streams_cancelled_in_a_storm_leave_nothing_behind_either() -> None:
    async def read(asked: OpenAI) -> None:
        async for _ in asked.stream("hi"):
            pass

    async def main() -> None:
        async with provider(server, max_connections=10) as asked:
            tasks = [asyncio.create_task(read(asked)) for _ in range(20)]
            await until(lambda: len(server.requests) == 10)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await until(lambda: server.open == 0)
            slow.clear()
            assert (await asked.chat("hi")).text == "ok"

    slow = [True]
    with serve(lambda received: HANGING if slow else ANSWER) as server:
        asyncio.run(main())


def test_a_connection_is_used_again_after_a_call_and_after_a_stream() -> None:
    async def main() -> None:
        async with provider(server) as asked:
            for _ in range(3):
                await asked.chat("hi")
                slow.append(1)
                async for _ in asked.stream("hi"):
                    pass
                slow.clear()

    slow: list[int] = []
    with serve(lambda received: STREAM if slow else ANSWER) as server:
        asyncio.run(main())
    assert len(server.requests) == 6
    assert server.connections == 1


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_connection_is_used_again_after_a_refusal(status: int) -> None:
    async def main() -> None:
        async with provider(server) as asked:
            for _ in range(3):
                with pytest.raises(ProviderError):
                    await asked.chat("hi")

    with serve(reply(json={"error": {"message": "no"}}, status=status)) as server:
        asyncio.run(main())
    assert server.connections == 1


# --- loops, threads, forks


def test_one_provider_serves_several_runs_of_asyncio_and_leaves_nothing_open(recwarn: pytest.WarningsRecorder) -> None:
    async def main() -> str:
        return (await asked.chat("hi")).text

    with serve(ANSWER) as server:
        asked = provider(server)
        assert [asyncio.run(main()) for _ in range(3)] == ["ok"] * 3
        asyncio.run(until(lambda: server.open == 0))
    assert server.connections == 3
    assert [str(warning.message) for warning in recwarn] == []


def test_two_loops_in_two_threads_share_a_provider() -> None:
    said: list[Any] = []

    def work() -> None:
        async def main() -> None:
            said.extend([(await asked.chat("hi")).text for _ in range(20)])

        asyncio.run(main())

    with serve(ANSWER) as server:
        asked = provider(server)
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert said == ["ok"] * 40
    assert server.connections == 2


def test_a_closed_provider_opens_new_connections() -> None:
    async def main() -> None:
        async with provider(server) as asked:
            await asked.chat("hi")
        await until(lambda: server.open == 0)
        assert (await asked.chat("hi")).text == "ok"
        await asked.aclose()
        await asked.aclose()

    with serve(ANSWER) as server:
        asyncio.run(main())
    assert server.connections == 2


FORK = """
    import os, sys, asyncio
    from tako.providers import OpenAI
    provider = OpenAI("m", api_key="k", base_url=sys.argv[1], max_retries=0)
    stream = provider.blocking.stream("hi")
    assert next(stream).text == "ok"
    child = os.fork()
    if child == 0:
        said = provider.blocking.stream("hi").response().text
        provider.blocking.close()
        os._exit(0 if said == "ok" else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status
    assert stream.response().text == "ok"
    assert provider.blocking.stream("hi").response().text == "ok"
    provider.blocking.close()
"""


def test_after_a_fork_parent_and_child_both_go_on() -> None:
    with serve(STREAM) as server:
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-W",
                "ignore::DeprecationWarning",
                "-c",
                textwrap.dedent(FORK),
                server.url,
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(server.requests) == 3


# --- other transports


def test_trio_is_served_by_httpx() -> None:
    async def main() -> None:
        async with provider(server) as asked:
            assert (await asked.chat("hi")).text == "ok"
            slow.append(1)
            async with asked.stream("hi") as stream:
                assert [chunk.kind async for chunk in stream] == ["delta", "end"]
            slow.clear()
            with trio.move_on_after(0.2) as scope:
                hanging.append(1)
                async for _ in asked.stream("hi"):
                    pass
            assert scope.cancelled_caught

    slow: list[int] = []
    hanging: list[int] = []
    with serve(lambda received: HANGING if hanging else STREAM if slow else ANSWER) as server:
        trio.run(main)


def test_a_mock_transport_sees_the_request_and_answers_it() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=BODY)

    asked = OpenAI("m", api_key="k", transport=httpx.MockTransport(answer))
    assert asyncio.run(asked.chat("hi")).text == "ok"
    assert str(seen[0].url) == "https://api.openai.com/v1/chat/completions"
    assert seen[0].headers["authorization"] == "Bearer k"


def test_what_a_mock_transport_raises_is_a_transport_error_from_it() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    asked = OpenAI("m", api_key="k", transport=httpx.MockTransport(answer), max_retries=0)
    with pytest.raises(TransportError, match="gone") as caught:
        asyncio.run(asked.chat("hi"))
    assert isinstance(caught.value.__cause__, httpx.ReadError)


class Watching(httpx.AsyncHTTPTransport):
    closed = False

    async def aclose(self) -> None:
        self.closed = True
        await super().aclose()


def test_the_users_transport_and_client_stay_open() -> None:
    async def main() -> None:
        transport = Watching()
        async with provider(server, transport=transport) as asked:
            assert (await asked.chat("hi")).text == "ok"
        assert not transport.closed
        await transport.aclose()
        async with httpx.AsyncClient(headers={"x-own": "1"}) as client:
            async with provider(server, http_client=client) as asked:
                assert (await asked.chat("hi")).text == "ok"
                slow.append(1)
                assert [chunk.kind async for chunk in asked.stream("hi")] == ["delta", "end"]
                slow.clear()
            assert not client.is_closed

    slow: list[int] = []
    with serve(lambda received: STREAM if slow else ANSWER) as server:
        asyncio.run(main())
    assert "x-own" not in server.requests[0].headers
    assert server.requests[1].headers["x-own"] == "1"
    assert server.requests[1].headers["authorization"] == "Bearer k"


def test_a_client_that_quacks_like_httpx_will_do() -> None:
    class Stream:
        def __aiter__(self) -> Any:
            return self.pieces()

        async def pieces(self) -> Any:
            yield ANSWER.pieces[0]

    class Response:
        status_code = 200
        headers = MappingProxyType[str, str]({})
        stream = Stream()

        async def aclose(self) -> None:
            closed.append(1)

    class Client:
        def build_request(self, method: str, url: str, *, headers: Any, content: bytes, extensions: Any) -> Any:
            return (method, url, dict(headers), content, extensions["timeout"]["read"])

        async def send(self, request: Any, *, stream: bool, follow_redirects: bool) -> Response:
            sent.append((request, stream, follow_redirects))
            return Response()

    sent: list[Any] = []
    closed: list[int] = []
    asked = OpenAI("m", api_key="k", base_url="https://example.test/v1", http_client=Client(), timeout=7)
    assert asyncio.run(asked.chat("hi")).text == "ok"
    (method, url, headers, _, read), streamed, followed = sent[0]
    assert (method, url, headers["authorization"], read) == (
        "POST",
        "https://example.test/v1/chat/completions",
        "Bearer k",
        7,
    )
    assert (streamed, followed, closed) == (True, False, [1])


# --- no surprises


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("way", ["default", "httpx", "client"])
def test_redirects_are_never_followed(way: str, status: int) -> None:
    async def main() -> None:
        options: dict[str, Any] = {"headers": {"x-api-key": "secret"}}
        async with httpx.AsyncClient(follow_redirects=True) as client, httpx.AsyncHTTPTransport() as transport:
            options |= {"client": {"http_client": client}, "httpx": {"transport": transport}}.get(way, {})
            with pytest.raises(ResponseError, match="redirects elsewhere, which is never followed") as caught:
                await provider(server, **options).chat("hi")
            assert caught.value.status_code == status

    with serve(ANSWER) as elsewhere, serve(reply(status=status, headers={"location": elsewhere.url})) as server:
        asyncio.run(main())
    assert elsewhere.requests == []
    assert elsewhere.connections == 0


def test_cookies_are_not_kept() -> None:
    async def main() -> None:
        async with provider(server) as asked:
            await asked.chat("hi")
            await asked.chat("hi")

    with serve(reply(json=BODY, headers={"set-cookie": "a=b; Path=/"})) as server:
        asyncio.run(main())
    assert "cookie" not in server.requests[1].headers


def test_proxies_are_used_when_asked_for_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        for options in ({}, {"proxy": proxy.url}, {"trust_env": True}):
            async with OpenAI("m", api_key="k", base_url=target, max_retries=0, **options) as asked:
                assert (await asked.chat("hi")).text == "ok"

    with serve(ANSWER) as proxy, serve(ANSWER) as server:
        target = server.url.replace("127.0.0.1", "localhost")
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        asyncio.run(main())
    assert (len(server.requests), len(proxy.requests)) == (1, 2)
    assert proxy.requests[0].path.startswith("http://localhost")


def test_the_netrc_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hush\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serve(ANSWER) as server:
        asyncio.run(provider(server, headers={"authorization": "Bearer mine"}).chat("hi"))
    assert server.requests[0].headers["authorization"] == "Bearer mine"


# --- what is said of failures


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (408, ServerError),
        (409, ServerError),
        (413, BadRequestError),
        (418, BadRequestError),
        (422, BadRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (502, ServerError),
        (503, OverloadedError),
        (504, ServerError),
        (529, OverloadedError),
    ],
)
def test_every_status_has_its_class(status: int, error: type[ProviderError]) -> None:
    body = {"error": {"message": "the vendor's words"}}
    script = reply(json=body, status=status, headers={"x-request-id": "req-1"})
    with serve(script) as server, pytest.raises(ProviderError) as caught:
        asyncio.run(provider(server).chat("hi"))
    failure = caught.value
    assert type(failure) is error
    assert (failure.status_code, failure.request_id, failure.provider, failure.model) == (
        status,
        "req-1",
        "openai",
        "m",
    )
    assert failure.retryable is (status in (408, 409, 429) or status >= 500)
    assert "openai:m" in str(failure)
    assert "the vendor's words" in str(failure)
    assert "the vendor's words" in (failure.body or "")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (reply("<!doctype html><h1>Sign in</h1>", headers={"content-type": "text/html"}), "doctype html"),
        (reply(""), "an empty body"),
        (reply('{"choices": ['), "not JSON"),
        (reply('{"error": ' + "[" * 100_000), "JSON"),
        (reply(json=[]), "Expected `object`, got `array`"),
        (reply(json={"choices": []}), "no choices"),
        (reply(json={"choices": [{"message": {"content": 7}}]}), "$.choices[0].message.content"),
        (reply(json={"choices": [{"message": {"tool_calls": [{"id": 1}]}}]}), "$.choices[0].message.tool_calls[0].id"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_reply_that_cannot_be_understood_says_why(script: Any, words: str, streamed: bool) -> None:
    with serve(script) as server:
        asked = provider(server)
        with pytest.raises(ResponseError) as caught:
            asyncio.run(asked.stream("hi").response() if streamed else asked.chat("hi"))
    assert words in str(caught.value)
    assert not caught.value.retryable


def test_an_unreachable_host_is_named() -> None:
    with serve(ANSWER) as server:
        address = server.url
    with pytest.raises(TransportError, match=f"cannot connect to {address.removeprefix('http://')}"):
        asyncio.run(OpenAI("m", api_key="k", base_url=address, max_retries=0).chat("hi"))


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(TransportError, match=r"the host no-such-host\.invalid cannot be found"):
        asyncio.run(OpenAI("m", api_key="k", base_url="http://no-such-host.invalid/v1", max_retries=0).chat("hi"))


@pytest.mark.parametrize(
    "base_url",
    [
        "api.openai.com",
        "ftp://x/v1",
        "http://",
        "http://x:0",
        "http://x:99999",
        "http://a b/",
        "http://x/?q=1",
        "http://x/#f",
        7,
    ],
)
def test_a_base_url_that_is_none_is_refused_before_any_request(base_url: Any) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        OpenAI("m", api_key="k", base_url=base_url)


@pytest.mark.parametrize("ending", ["cut", "reset"])
def test_a_whole_reply_that_breaks_off_is_a_transport_error(ending: Any) -> None:
    script = reply([b'{"choices"'], ending=ending)
    with serve(script) as server, pytest.raises(TransportError, match="broke") as caught:
        asyncio.run(provider(server).chat("hi"))
    assert caught.value.retryable


def test_tls_trusts_what_the_environment_names_and_says_so_where_it_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = ANSWER.pieces[0]
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    async def main() -> None:
        listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        port = listening.sockets[0].getsockname()[1]
        async with OpenAI("m", api_key="k", base_url=f"https://localhost:{port}", max_retries=0) as asked:
            with pytest.raises(TransportError, match=f"TLS with localhost:{port} failed: .*certificate"):
                await asked.chat("hi")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        async with OpenAI("m", api_key="k", base_url=f"https://localhost:{port}", max_retries=0) as asked:
            assert (await asked.chat("hi")).text == "ok"
        listening.close()
        await listening.wait_closed()

    asyncio.run(main())
