"""Users' own transports and clients, trio, and proxies; and nothing that nobody asked for."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import Any

import httpx
import pytest
import trio

from tako.errors import ResponseError, TransportError
from tako.providers import OpenAI
from tako.testing.server import reply, serve

from .script import ANSWER, BODY, HANGING, STREAM, provider


def test_trio_is_served_by_httpx() -> None:
    async def main() -> None:
        async with provider(server) as client:
            assert (await client.chat("hi")).text == "ok"
            slow.append(1)
            async with client.stream("hi") as stream:
                assert [chunk.kind async for chunk in stream] == ["delta", "end"]
            slow.clear()
            hanging.append(1)
            with trio.CancelScope() as scope:
                async for _ in client.stream("hi"):
                    scope.cancel()  # in the midst of it: the next chunk never comes
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

    client = OpenAI("m", api="chat", api_key="k", transport=httpx.MockTransport(answer))
    assert asyncio.run(client.chat("hi")).text == "ok"
    assert str(seen[0].url) == "https://api.openai.com/v1/chat/completions"
    assert seen[0].headers["authorization"] == "Bearer k"


def test_what_a_mock_transport_raises_is_a_transport_error_from_it() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    client = OpenAI("m", api="chat", api_key="k", transport=httpx.MockTransport(answer), max_retries=0)
    with pytest.raises(TransportError, match="gone") as caught:
        asyncio.run(client.chat("hi"))
    assert isinstance(caught.value.__cause__, httpx.ReadError)


class Watching(httpx.AsyncHTTPTransport):
    closed = False

    async def aclose(self) -> None:
        self.closed = True
        await super().aclose()


def test_the_users_transport_and_client_stay_open() -> None:
    async def main() -> None:
        transport = Watching()
        async with provider(server, transport=transport) as own_provider:
            assert (await own_provider.chat("hi")).text == "ok"
        assert not transport.closed
        await transport.aclose()
        async with httpx.AsyncClient(headers={"x-own": "1"}) as client:
            async with provider(server, http_client=client) as own_provider:
                assert (await own_provider.chat("hi")).text == "ok"
                slow.append(1)
                assert [chunk.kind async for chunk in own_provider.stream("hi")] == ["delta", "end"]
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
    client = OpenAI("m", api_key="k", base_url="https://example.test/v1", http_client=Client(), timeout=7)
    assert asyncio.run(client.chat("hi")).text == "ok"
    (method, url, headers, _, read), streamed, followed = sent[0]
    assert (method, url, headers["authorization"], read) == (
        "POST",
        "https://example.test/v1/chat/completions",
        "Bearer k",
        7,
    )
    assert (streamed, followed, closed) == (True, False, [1])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("way", ["default", "httpx", "client"])
def test_redirects_are_never_followed(way: str, status: int) -> None:
    async def main() -> None:
        options: dict[str, Any] = {"headers": {"x-api-key": "secret"}}
        async with httpx.AsyncClient(follow_redirects=True) as client, httpx.AsyncHTTPTransport() as transport:
            options |= {"client": {"http_client": client}, "httpx": {"transport": transport}}.get(way, {})
            with pytest.raises(ResponseError, match="the server redirects elsewhere") as caught:
                await provider(server, **options).chat("hi")
            assert caught.value.status_code == status

    with serve(ANSWER) as elsewhere, serve(reply(status=status, headers={"location": elsewhere.url})) as server:
        asyncio.run(main())
    assert elsewhere.requests == []
    assert elsewhere.connections == 0


def test_cookies_are_not_kept() -> None:
    async def main() -> None:
        async with provider(server) as client:
            await client.chat("hi")
            await client.chat("hi")

    with serve(reply(json=BODY, headers={"set-cookie": "a=b; Path=/"})) as server:
        asyncio.run(main())
    assert "cookie" not in server.requests[1].headers
