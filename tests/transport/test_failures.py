"""What is said of failures."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
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
from tako.testing.server import reply, serve

from .script import ANSWER, provider


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
    ("script", "message"),
    [
        (reply("<!doctype html><h1>Sign in</h1>", headers={"content-type": "text/html"}), "doctype html"),
        (reply(""), "an empty body"),
        (reply('{"choices": ['), "isn't JSON"),
        (reply('{"error": ' + "[" * 100_000), "JSON"),
        (reply(json=[]), "Expected `object`, got `array`"),
        (reply(json={"choices": []}), "no choices"),
        (reply(json={"choices": [{"message": 7}]}), "$.choices[0].message"),
        (reply(json={"choices": [{"message": {"tool_calls": 1}}]}), "$.choices[0].message.tool_calls"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_reply_that_cannot_be_understood_says_why(script: Any, message: str, streamed: bool) -> None:
    with serve(script) as server:
        client = provider(server)
        with pytest.raises(ResponseError) as caught:
            asyncio.run(client.stream("hi").response() if streamed else client.chat("hi"))
    assert message in str(caught.value)
    assert not caught.value.retryable


def test_an_unreachable_host_is_named() -> None:
    with serve(ANSWER) as server:
        address = server.url
    with pytest.raises(TransportError, match=f"can't connect to {address.removeprefix('http://')}"):
        asyncio.run(OpenAI("m", api_key="k", base_url=address, max_retries=0).chat("hi"))


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(TransportError, match=r"the host no-such-host\.invalid can't be found"):
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
        async with OpenAI("m", api_key="k", base_url=f"https://localhost:{port}", max_retries=0) as client:
            with pytest.raises(TransportError, match=f"TLS with localhost:{port} failed: .*certificate"):
                await client.chat("hi")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        async with OpenAI("m", api_key="k", base_url=f"https://localhost:{port}", max_retries=0) as client:
            assert (await client.chat("hi")).text == "ok"
        listening.close()
        await listening.wait_closed()

    asyncio.run(main())
