"""Over real sockets and real TLS: what goes along, what a certificate has to say, what the environment may not."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trustme

from tako.errors import UrlPrefetchError
from tako.kit.prefetch import fetch_image
from tako.url_prefetch import UrlPrefetch

from .cases import PUBLIC
from .scripted import answer, redirect
from .server import Rerouted, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HTTP = UrlPrefetch(allow_http=True, allow_hosts=("localhost", "127.0.0.1"))


def saying(*answers: bytes) -> Callable[[socket.socket], None]:
    """Answer the n-th connection with the n-th answer."""
    left = list(answers)
    return lambda connection: connection.sendall(left.pop(0) if left else b"")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - takes pyOpenSSL's too
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


def refused(url: str, policy: UrlPrefetch = HTTP, **options: Any) -> UrlPrefetchError:
    async def run() -> None:
        await fetch_image(url, policy, **options)

    with pytest.raises(UrlPrefetchError) as caught:
        anyio.run(run)
    return caught.value


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.usefixtures("trusted")
def test_tls_name_and_host_are_the_url_s_while_the_address_is_dialled(authority: trustme.CA, backend: str) -> None:
    with serving(saying(answer()), server_tls(authority, "images.example")) as server:
        way = Rerouted(server)

        async def run() -> str:
            return (await fetch_image("https://Images.Example./a?b#c", UrlPrefetch(), network=way.network)).mime

        assert anyio.run(run, backend=backend) == "image/png"
    assert way.dialled == [PUBLIC]
    assert server.names == ["images.example"]
    assert server.requests[0].decode().split("\r\n") == [
        "GET /a?b HTTP/1.1",
        "Host: images.example",
        "Accept: image/jpeg, image/png, image/gif, image/webp",
        "Accept-Encoding: identity",
        "",
        "",
    ]


@pytest.mark.usefixtures("trusted")
def test_the_certificate_has_to_be_the_host_s(authority: trustme.CA) -> None:
    for names in (("other.example",), (PUBLIC,), ("*.example.org",)):
        with serving(saying(answer()), server_tls(authority, *names)) as server:
            error = refused("https://images.example/", UrlPrefetch(), network=Rerouted(server).network)
        assert error.rule == "tls"
        assert "mismatch" in str(error)
        assert server.requests == []


def test_an_unknown_authority_is_refused_and_both_variables_are_honoured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, unknown = trustme.CA(), trustme.CA()
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)
    known.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with serving(saying(answer()), server_tls(unknown, "images.example")) as server:
        assert refused("https://images.example/", UrlPrefetch(), network=Rerouted(server).network).rule == "tls"
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with serving(saying(answer())) as server:
        error = refused("https://images.example/", UrlPrefetch(), network=Rerouted(server).network)
    assert "SSL_CERT_FILE" in str(error)
    assert server.accepted == 0
    monkeypatch.delenv("SSL_CERT_FILE")
    with serving(saying(answer()), server_tls(known, "images.example")) as server:
        assert refused("https://images.example/", UrlPrefetch(), network=Rerouted(server).network).rule == "tls"
        (tmp_path / "certs").mkdir()
        known.cert_pem.write_to_path(str(tmp_path / "certs" / f"{_hash_of(tmp_path / 'ca.pem')}.0"))
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "certs"))

        async def run() -> str:
            network = Rerouted(server).network
            return (await fetch_image("https://images.example/", UrlPrefetch(), network=network)).mime

        assert anyio.run(run) == "image/png"


def _hash_of(path: Path) -> str:
    """Return the name under which OpenSSL looks for a certificate in a directory."""
    import hashlib

    from cryptography import x509

    name = x509.load_pem_x509_certificate(path.read_bytes()).subject
    canonical = b"".join(_canonical(attribute) for attribute in name)
    return f"{int.from_bytes(hashlib.sha1(canonical).digest()[:4], 'little'):08x}"


def _canonical(attribute: Any) -> bytes:
    """Encode one attribute of a name as OpenSSL's canonical form does: lower case, single spaces, UTF-8."""
    parts = [int(part) for part in attribute.oid.dotted_string.split(".")]
    oid = bytes([6, len(parts) - 1, parts[0] * 40 + parts[1], *parts[2:]])
    value = " ".join(attribute.value.lower().split()).encode()
    pair = oid + bytes([12, len(value)]) + value
    return bytes([49, len(pair) + 2, 48, len(pair)]) + pair


def test_the_system_s_resolver_is_asked_and_judged(connected: list[Any]) -> None:
    with serving(saying(answer(), answer())) as server:
        assert refused(f"http://localhost:{server.port}/", UrlPrefetch(allow_http=True)).rule == "address"
        assert refused(f"http://127.0.0.1:{server.port}/", UrlPrefetch(allow_http=True)).rule == "address"
        assert (server.accepted, connected) == (0, [])

        async def run() -> str:
            return (await fetch_image(f"http://localhost:{server.port}/", HTTP)).mime

        assert anyio.run(run) == "image/png"
        assert anyio.run(run, backend="trio") == "image/png"
    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\nHost: localhost:%d\r\n" % server.port)
    assert ("127.0.0.1", server.port) in connected


def test_environment_and_earlier_answers_add_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("default login a password CANARY-9d1f\n")
    with serving(saying(redirect("/b"), answer(), answer())) as server:
        url = f"http://127.0.0.1:{server.port}/a"

        async def run() -> None:
            await fetch_image(url, HTTP)
            await fetch_image(url, HTTP)

        anyio.run(run)
    assert server.accepted == 3, "a connection for each hop, none used again"
    for request in server.requests:
        names = [line.split(b":")[0] for line in request.split(b"\r\n")[1:-2]]
        assert names == [b"Host", b"Accept", b"Accept-Encoding"]


def test_nobody_listening_says_no_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = refused(f"http://localhost:{port}/a?secret")
    assert error.rule == "connect"
    assert "127.0.0.1" not in repr(error)
    assert "secret" not in repr(error)
