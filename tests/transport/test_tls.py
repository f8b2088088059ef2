"""TLS: what fails for good is tried once, and says what to do."""

from __future__ import annotations

import datetime as dt
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tako.errors import TransportError

from .raw import saying, sized, until_left
from .script import ANSWER
from .ways import OURS, WAYS, ask

if TYPE_CHECKING:
    import socket


def serving(authority: trustme.CA, name: str = "localhost", **options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **options).configure_cert(context)
    return context


def local(url: str) -> str:
    return url.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_certificate_of_an_unknown_authority_is_tried_once_and_says_how_to_trust_it(way: str, streamed: bool) -> None:
    with saying(until_left, tls=serving(trustme.CA())) as server, pytest.raises(TransportError) as caught:
        ask(way, local(server.url), streamed, max_retries=2)
    assert server.connections == 1
    assert not caught.value.retryable
    text = str(caught.value)
    assert f"TLS with {local(server.place)} failed: the certificate isn't accepted: unable to get local issuer" in text
    assert "SSL_CERT_FILE" in text
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError) or way != "asyncio"


@pytest.mark.parametrize("way", OURS)
def test_a_certificate_that_is_over_or_another_hosts_says_so(way: str, authority: trustme.CA) -> None:
    over = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    for context, message in (
        (serving(authority, not_after=over), "certificate has expired"),
        (serving(authority, "elsewhere.example"), "Hostname mismatch"),
    ):
        with saying(until_left, tls=context) as server, pytest.raises(TransportError, match=message) as caught:
            ask(way, local(server.url), max_retries=2)
        assert (server.connections, caught.value.retryable) == (1, False)
        assert "SSL_CERT_FILE" not in str(caught.value)


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_speaks_no_tls_is_tried_once(way: str) -> None:
    def plain(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(sized(b"this is plain HTTP", status="400 Bad Request"))

    with saying(plain) as server, pytest.raises(TransportError, match="something else") as caught:
        ask(way, server.url.replace("http", "https"), max_retries=2)
    assert (server.connections, caught.value.retryable) == (1, False)


@pytest.mark.parametrize("way", WAYS)
def test_a_handshake_that_breaks_off_is_tried_again(way: str) -> None:
    with saying(lambda connection: connection.recv(10) and None) as server, pytest.raises(TransportError) as caught:
        ask(way, server.url.replace("http", "https"), max_retries=1)
    assert (server.connections, caught.value.retryable) == (2, True)


@pytest.mark.parametrize("way", OURS)
def test_both_transports_trust_what_the_environment_names(way: str, trusted_tls: ssl.SSLContext) -> None:
    with saying(sized(ANSWER.pieces[0]), tls=trusted_tls) as server:  # type: ignore[arg-type]
        assert ask(way, local(server.url)).text == "ok"
