"""Proxies: used when they are asked for, named when they fail, and their passwords shown nowhere."""

from __future__ import annotations

import asyncio
import base64
import gc
import pickle
import socket
import threading
import traceback
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tako.errors import ConfigurationError, ProviderTimeoutError, TransportError
from tako.kit.connection import Connection
from tako.kit.keep_alive import MAX_REMEMBERED
from tako.kit.proxy import Proxies, environment_proxy
from tako.providers import Anthropic, OpenAI
from tako.testing.server import reply, serve

from .raw import head, saying, sized, until_left
from .script import ANSWER
from .ways import OURS, ask

if TYPE_CHECKING:
    from collections.abc import Callable


PASSWORD = "hunter2hunter2"
NOBODY = "http://model.example/v1"


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)) + repr(pickle.dumps(error))


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        (f"socks5://user:{PASSWORD}@127.0.0.1:1080", "is a SOCKS proxy, which tako doesn't speak"),
        (f"SOCKS5H://user:{PASSWORD}@127.0.0.1:1080", "is a SOCKS proxy"),
        (f"socks4://{PASSWORD}@127.0.0.1", "is a SOCKS proxy"),
        (f"user:{PASSWORD}@127.0.0.1:9", "isn't a proxy's URL: an address like"),
        (f"ftp://user:{PASSWORD}@127.0.0.1:9", "isn't a proxy's URL"),
        (f"http://user:{PASSWORD}@", "isn't a proxy's URL"),
        (f"http://user:{PASSWORD}@127.0.0.1:99999", "isn't a URL"),
        (f"http://user:{PASSWORD}@127.0.0.1:port", "isn't a URL"),
        (f"http://user:{PASSWORD}/2@127.0.0.1:9", "isn't a URL"),
        (f"http://user:{PASSWORD}@127.0.0.1:0", "isn't a proxy's URL"),
        (f"http://user:{PASSWORD}@[::1", "isn't a URL"),
        (f"http://user:{PASSWORD}@127.0.0.1:9/path?a=b", "isn't a proxy's URL"),
        (f"http://user:{PASSWORD} @127.0.0.1:9", "isn't a proxy's URL"),
        ("127.0.0.1:9", "isn't a proxy's URL"),
    ],
)
@pytest.mark.parametrize("make", [OpenAI, Anthropic])
def test_a_proxy_that_cannot_be_one_is_refused_before_the_network(
    make: Callable[..., Any], proxy: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match="m: proxy ") as caught:
        make("m", api_key="k", proxy=proxy)
    assert message in str(caught.value)
    assert PASSWORD not in shown(caught.value)


@pytest.mark.parametrize("way", OURS)
def test_a_proxy_that_is_down_is_named_without_its_password(way: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        for url in (NOBODY, NOBODY.replace("http", "https")):
            with pytest.raises(TransportError, match=f"can't connect to the proxy http://{place}") as caught:
                ask(way, url, proxy=f"http://user:{PASSWORD}@{place}")
            assert caught.value.retryable
            assert PASSWORD not in shown(caught.value)


@pytest.mark.parametrize("way", OURS)
def test_the_name_of_a_proxy_may_be_unknown(way: str) -> None:
    with pytest.raises(TransportError, match=r"the host of the proxy http://no-such-host\.invalid:3128 can't be found"):
        ask(way, NOBODY, proxy=f"http://u:{PASSWORD}@no-such-host.invalid:3128")


BASIC = "Basic " + base64.b64encode(f"me@home:{PASSWORD}".encode()).decode()


@pytest.mark.parametrize("way", OURS)
def test_a_proxy_gets_its_login_and_the_model_the_request(way: str) -> None:
    with serve(ANSWER) as proxy:
        login = proxy.url.replace("//", f"//me%40home:{PASSWORD}@")
        assert ask(way, NOBODY, proxy=login).text == "ok"
    request = proxy.requests[0]
    assert request.path.startswith("http://model.example/v1/")
    assert (request.headers["proxy-authorization"], request.headers["authorization"]) == (BASIC, "Bearer k")


@pytest.mark.parametrize("way", OURS)
def test_tls_goes_through_a_tunnel_and_the_login_stays_with_the_proxy(
    way: str, authority: Any, trusted_tls: Any
) -> None:
    heads: list[bytes] = []

    def tunnel(connection: socket.socket) -> None:
        heads.append(proxy.read(connection))
        join(connection, server.place)

    def answer(connection: socket.socket) -> None:
        heads.append(server.read(connection))
        connection.sendall(sized(ANSWER.pieces[0], "content-type: application/json"))  # type: ignore[arg-type]

    with saying(answer, tls=trusted_tls) as server, saying(tunnel) as proxy:
        url = f"https://localhost:{server.place.partition(':')[2]}"
        assert ask(way, url, proxy=f"http://me%40home:{PASSWORD}@{proxy.place}").text == "ok"
    assert heads[0].startswith(f"CONNECT localhost:{server.place.partition(':')[2]} ".encode())
    assert f"proxy-authorization: {BASIC}".lower() in heads[0].decode().lower()
    assert b"bearer" not in heads[0].lower()
    assert b"proxy-authorization" not in heads[1].lower()


def test_nothing_of_a_tunnel_is_left_when_it_is_closed(authority: Any, trusted_tls: Any) -> None:
    def tunnel(connection: socket.socket) -> None:
        proxy.read(connection)
        join(connection, server.place)

    async def main() -> None:
        url = f"https://localhost:{server.place.partition(':')[2]}/v1"
        async with OpenAI("m", api_key="k", base_url=url, proxy=proxy.url) as one:
            assert (await one.chat("hi")).text == "ok"
        assert [one for one in connections() if one not in before] == []

    before = connections()
    answer = sized(ANSWER.pieces[0], "content-type: application/json")  # type: ignore[arg-type]
    with saying(answer, tls=trusted_tls) as server, saying(tunnel) as proxy:
        asyncio.run(main())


def connections() -> list[Connection]:
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, Connection)]


def join(connection: socket.socket, place: str) -> None:
    """Be a proxy's tunnel to a place."""
    with socket.create_connection(("127.0.0.1", int(place.partition(":")[2]))) as onward:
        connection.sendall(head("200 Connection established"))
        threading.Thread(target=forward, args=(onward, connection), daemon=True).start()
        forward(connection, onward)


def forward(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    ("status", "retryable"), [("407 Proxy Authentication Required", False), ("403 Forbidden", False), ("502 Bad", True)]
)
@pytest.mark.parametrize("way", OURS)
def test_a_proxy_that_refuses_to_connect_is_named(way: str, status: str, retryable: bool) -> None:
    with saying(sized(b"no", status=status)) as proxy, pytest.raises(TransportError) as caught:
        ask(way, "https://model.example/v1", proxy=f"http://user:{PASSWORD}@{proxy.place}")
    message = "wants a login; check the user and the password" if status.startswith("407") else "refused to connect to"
    assert f"the proxy {proxy.url} {message}" in str(caught.value)
    assert (caught.value.status_code, caught.value.retryable) == (int(status[:3]), retryable)
    assert PASSWORD not in shown(caught.value)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("way", OURS)
def test_407_is_a_proxys_refusal_without_a_tunnel_too(way: str, streamed: bool) -> None:
    with serve(reply("who are you?", status=407)) as proxy, pytest.raises(TransportError) as caught:
        ask(way, NOBODY, streamed, max_retries=2, proxy=proxy.url)
    assert f"the proxy {proxy.url} wants a login" in str(caught.value)
    assert (caught.value.status_code, caught.value.retryable, len(proxy.requests)) == (407, False, 1)


def garbage(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"\x16\x03 what?\r\n\r\n")


@pytest.mark.parametrize("way", OURS)
def test_a_proxy_that_answers_no_http_or_nothing_is_named(way: str) -> None:
    for say in (garbage, lambda connection: connection.recv(65536) and None):
        with saying(say) as proxy, pytest.raises(TransportError, match=f"can't connect to the proxy {proxy.url}"):
            ask(way, "https://model.example/v1", proxy=proxy.url)


def dripping(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    until_left(connection)


@pytest.mark.parametrize("say", [until_left, dripping])
@pytest.mark.parametrize("options", [{}, {"max_connections": 1}])
@pytest.mark.parametrize("way", OURS)
def test_a_proxy_that_hangs_is_given_the_time_of_connecting(way: str, options: dict[str, Any], say: Any) -> None:
    with saying(say) as proxy, pytest.raises(ProviderTimeoutError) as caught:
        ask(way, "https://model.example/v1", proxy=proxy.url, connect_timeout=0.2, **options)
    assert f"through the proxy {proxy.url} took longer than connect_timeout=0.2 s" in str(caught.value)


# --- those of the environment


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set proxies in the environment."""

    def names(**variables: str) -> None:
        for name in ("http", "https", "all", "no"):
            monkeypatch.delenv(f"{name}_proxy", raising=False)
            monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return names


@pytest.mark.parametrize("way", OURS)
def test_the_environments_proxies_are_used_when_asked_for_and_only_then(
    way: str, environment: Callable[..., None]
) -> None:
    with serve(ANSWER) as proxy, serve(ANSWER) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        environment(HTTP_PROXY=proxy.url)
        for options in ({}, {"proxy": proxy.url}, {"trust_env": True}):
            assert ask(way, url, **options).text == "ok"
        assert (len(server.requests), len(proxy.requests)) == (1, 2)
        environment(HTTP_PROXY=proxy.url, NO_PROXY="localhost")
        assert ask(way, url, trust_env=True).text == "ok"
        environment(ALL_PROXY=proxy.url.removeprefix("http://"))
        assert ask(way, url, trust_env=True).text == "ok"
        assert (len(server.requests), len(proxy.requests)) == (2, 3)


@pytest.mark.parametrize("way", OURS)
def test_a_proxy_of_the_environment_that_cannot_be_used_is_named_by_its_variable(
    way: str, environment: Callable[..., None]
) -> None:
    for variable, value in (("ALL_PROXY", f"socks5://u:{PASSWORD}@h:1"), ("HTTP_PROXY", f"http://u:{PASSWORD}@h:x")):
        environment(**{variable: value})
        with pytest.raises(ConfigurationError, match=f"the environment's {variable} is") as caught:
            ask(way, NOBODY, trust_env=True)
        assert PASSWORD not in shown(caught.value)


@pytest.mark.parametrize(
    ("no_proxy", "url", "used"),
    [
        ("", "https://api.acme.example/v1", True),
        ("other.example", "https://api.acme.example/v1", True),
        ("acme.example", "https://api.acme.example/v1", False),
        (".acme.example", "https://api.acme.example/v1", False),
        ("api.acme.example:8443", "https://api.acme.example:8443/v1", False),
        ("api.acme.example:8443", "https://api.acme.example/v1", True),
        ("me.example, 10.0.0.0/8", "https://10.1.2.3/v1", False),
        ("10.0.0.0/8", "https://11.1.2.3/v1", True),
        ("[::1]", "https://[::1]:8080/v1", False),
        ("fd00::/8", "https://[fd00::1]/v1", False),
        ("*", "https://api.acme.example/v1", False),
    ],
)
def test_no_proxy_names_hosts_domains_ports_and_networks(
    no_proxy: str, url: str, used: bool, environment: Callable[..., None]
) -> None:
    environment(HTTPS_PROXY="http://proxy.example:3128", NO_PROXY=no_proxy)
    proxy = environment_proxy(url)
    assert (proxy is not None) is used


# --- nothing is shown, nothing is forgotten


def test_a_providers_repr_and_pickle_show_no_password() -> None:
    provider = OpenAI("m", api_key="k", proxy=f"http://user:{PASSWORD}@proxy.example:3128")
    stored = repr(pickle.dumps(provider))
    for text in (PASSWORD, base64.b64encode(f"user:{PASSWORD}".encode()).decode()):
        assert text not in repr(provider) + repr(vars(provider)) + stored
    with pytest.raises(ConfigurationError, match="never travels in a pickle"):
        pickle.loads(pickle.dumps(provider)).blocking.chat("hi")


def test_a_proxy_that_a_variable_holds_is_read_again_where_a_pickle_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_PROXY", f"http://user:{PASSWORD}@proxy.example:3128")
    provider = OpenAI("m", api_key="k", proxy="$ENV:OUR_PROXY")
    stored = pickle.dumps(provider)
    assert PASSWORD not in repr(stored) + repr(vars(provider))
    monkeypatch.setenv("OUR_PROXY", "http://elsewhere.example:3128")
    proxy = pickle.loads(stored)._transport_arguments["proxies"](NOBODY)
    assert proxy.address == "http://elsewhere.example:3128"


def test_a_proxy_without_a_login_travels_in_a_pickle() -> None:
    with serve(ANSWER) as proxy:
        provider = OpenAI("m", api_key="k", base_url=NOBODY, proxy=proxy.url)
        copied = pickle.loads(pickle.dumps(provider))
        copied.add_headers({"authorization": "Bearer k"})
        assert copied.blocking.chat("hi").text == "ok"
        copied.blocking.close()
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("streamed", [False, True])
def test_a_proxy_that_repeats_its_password_is_not_repeated(streamed: bool) -> None:
    with serve(reply(json={"error": {"message": f"{PASSWORD} and {BASIC[6:]}"}}, status=403)) as proxy:
        login = proxy.url.replace("//", f"//me%40home:{PASSWORD}@")
        with pytest.raises(Exception, match=r"\*\*\* and \*\*\*") as caught:
            ask("asyncio", NOBODY, streamed, proxy=login)
    assert PASSWORD not in shown(caught.value)


def test_the_netrc_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "netrc").write_text(f"default login me password {PASSWORD}\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for way in OURS:
        for options in ({}, {"trust_env": True}):
            with serve(ANSWER) as server:
                assert ask(way, server.url, **options).text == "ok"
            assert server.requests[0].headers["authorization"] == "Bearer k"
            anthropic = Anthropic("m", api_key="k", base_url=server.url, **options)
            assert "authorization" not in anthropic._all_headers


def test_a_program_that_calls_many_hosts_keeps_few_of_them_and_the_secrets_of_a_proxy_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{PASSWORD}@127.0.0.1:9")
    proxies = Proxies(None, trust_env=True)
    sizes: list[int] = []
    tracemalloc.start()
    try:
        for n in range(4 * MAX_REMEMBERED):
            assert proxies(f"http://host-{n}.example/v1") is proxies("http://acme.example/v1")
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(sizes) < 1.5 * max(sizes[:MAX_REMEMBERED])
    assert [PASSWORD in secret.hide(PASSWORD) for secret in proxies.secrets] == [True, False]
