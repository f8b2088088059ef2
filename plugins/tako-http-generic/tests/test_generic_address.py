"""Keys in an endpoint's address, in ``query=`` or in its body are secrets, in any spelling."""

from __future__ import annotations

import json
import pickle
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from tako_http_generic import HttpGeneric

from tako import load_config
from tako.errors import ConfigurationError, TakoError
from tako.testing.server import Received, reply, serve

if TYPE_CHECKING:
    from pathlib import Path

KEY = "c4n4ry/K+y=and more"
BODY = {"q": "{{ messages }}"}
LOCATIONS: dict[str, Any] = {
    "in the url": lambda url: {"url": f"{url}/x?v=1&key={quote_plus(KEY)}"},
    "in a stream's url": lambda url: {
        "url": f"{url}/x?token={quote_plus(KEY)}",
        "stream_url": f"{url}/y?sig={quote(KEY)}",
    },
    "in query": lambda url: {"url": f"{url}/x", "query": {"api-key": KEY, "v": "1"}},
    "in a variable": lambda url: {"url": f"{url}/x", "query": {"plain": "$ENV:GATE_KEY"}},
    "in a body": lambda url: {"url": f"{url}/x", "body_template": {**BODY, "api_token": "$ENV:GATE_KEY"}},
    "in a url of a variable": lambda _: {"url": "$ENV:GATE_URL"},
}


def make_provider(url: str, location: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> HttpGeneric:
    monkeypatch.setenv("GATE_KEY", KEY)
    monkeypatch.setenv("GATE_URL", f"{url}/x?key={quote_plus(KEY)}")
    settings = {"body_template": BODY, "max_retries": 0, **LOCATIONS[location](url), **options}
    settings.setdefault("stream_config", {"kind": "ndjson", "content_pointer": "/t", "finish_reason_pointer": "/f"})
    return HttpGeneric("gate", "m", response_text_pointer="/t", **settings)


def has_key(text: str) -> bool:
    return "c4n4ry" in text


def failure(provider: HttpGeneric, streamed: bool) -> str:
    """Return the traceback and the fields of a failed call's error, without the frame of this test."""
    with pytest.raises(TakoError) as caught:
        provider.blocking.stream("hi").response() if streamed else provider.blocking.chat("hi")
    error = caught.value
    frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
    summary = traceback.TracebackException(type(error), error, frames)
    return "".join(summary.format()) + repr(vars(error))


def echo(received: Received) -> Any:
    """Repeat the address and the key in an error, as gateways do."""
    query = "&".join(f"{name}={value}" for name, value in received.query.items())
    message = {
        "url": f"{received.path}?{query}",
        "raw": quote(KEY),
        "plus": quote_plus(KEY),
        "key": KEY,
        "cut": KEY[:9],
    }
    return reply(json={"error": {"message": json.dumps(message), "code": KEY}}, status=403)


@pytest.mark.parametrize("streamed", [False, True], ids=["chat", "stream"])
@pytest.mark.parametrize("location", LOCATIONS)
def test_no_error_shows_a_key_that_the_server_repeats(
    location: str, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(echo) as server:
        text = failure(make_provider(server.url, location, monkeypatch), streamed)
        sent = json.dumps(server.requests[0].query) + server.requests[0].body.decode()
    assert has_key(sent)
    assert not has_key(text)
    assert "403" in text


@pytest.mark.parametrize("streamed", [False, True], ids=["chat", "stream"])
@pytest.mark.parametrize("location", LOCATIONS)
def test_no_error_without_a_reply_shows_a_key(location: str, streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(reply(json={})) as server:
        url = server.url
    assert not has_key(failure(make_provider(url, location, monkeypatch), streamed))


PLAIN_KEY = "sk-c4n4ry-written-down"
PLAIN_KEYS: dict[str, Any] = {
    "in a path": lambda url: {"url": f"{url}/hooks/{PLAIN_KEY}/x"},
    "in a path, without a prefix": lambda url: {"url": f"{url}/hooks/T0c4n4ryQX7mZ2kLpW9sRt4v/x"},
    "in a body": lambda url: {"url": f"{url}/x", "body_template": {**BODY, "login": [{"password": "c4n4ry!?"}]}},
    "in a body, under any name": lambda url: {"url": f"{url}/x", "body_template": {**BODY, "by": PLAIN_KEY}},
}


@pytest.mark.parametrize("streamed", [False, True], ids=["chat", "stream"])
@pytest.mark.parametrize("location", PLAIN_KEYS)
def test_a_key_that_is_written_in_a_path_or_a_body_is_hidden_too(location: str, streamed: bool) -> None:
    def repeat(received: Received) -> Any:
        return reply(json={"error": {"message": f"{received.path} {received.body.decode()}"}}, status=403)

    with serve(repeat) as server:
        settings = {"body_template": BODY, "max_retries": 0, **PLAIN_KEYS[location](server.url)}
        stream = {"kind": "ndjson", "content_pointer": "/t", "finish_reason_pointer": "/f"}
        provider = HttpGeneric("gate", "m", response_text_pointer="/t", stream_config=stream, **settings)
        text = failure(provider, streamed)
        assert has_key(server.requests[0].path + server.requests[0].body.decode())
    assert "403" in text
    assert not has_key(text + provider.url + repr(provider))


@pytest.mark.parametrize("location", LOCATIONS)
def test_no_repr_and_no_pickle_shows_a_key(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = make_provider("http://127.0.0.1:9", location, monkeypatch)
    assert not has_key(repr(provider) + repr(vars(provider)) + provider.url)
    assert not has_key(pickle.dumps(provider).decode("latin-1"))
    assert provider.url.startswith("http://127.0.0.1:9/")


@pytest.mark.parametrize("location", ["in a variable", "in a body", "in a url of a variable"])
def test_a_variable_is_read_again_in_another_process(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(reply(json={"t": "ok"})) as server:
        data = pickle.dumps(make_provider(server.url, location, monkeypatch))
        monkeypatch.setenv("GATE_KEY", "c4n4ry-two")
        monkeypatch.setenv("GATE_URL", f"{server.url}/x?key=c4n4ry-two")
        assert pickle.loads(data).blocking.chat("hi").text == "ok"
        assert "c4n4ry-two" in json.dumps(server.requests[0].query) + server.requests[0].body.decode()


def test_a_pickle_has_no_key_that_was_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = pickle.loads(pickle.dumps(make_provider("http://127.0.0.1:9", "in query", monkeypatch)))
    with pytest.raises(ConfigurationError, match="a key never travels in a pickle"):
        provider.blocking.chat("hi")


def test_parameters_that_are_not_keys_are_sent_unchanged_and_pickled() -> None:
    with serve(reply(json={"t": "ok"})) as server:
        provider = HttpGeneric(
            "gate", "a b", f"{server.url}/x?v=2024-10-01-preview&m={{{{ model }}}}&max_tokens=5", BODY, "/t"
        )
        assert pickle.loads(pickle.dumps(provider)).blocking.chat("hi").text == "ok"
        assert server.requests[0].query == {"v": "2024-10-01-preview", "m": "a b", "max_tokens": "5"}
    assert provider.secrets == []


def test_text_that_looks_like_a_key_is_one_under_any_name() -> None:
    provider = HttpGeneric("gate", "m", "http://127.0.0.1:9/x?appid=9f8e7d6c5b4a39281706f5e4d3c2b1a0", BODY)
    assert "9f8e7d6c" not in repr(vars(provider)) + pickle.dumps(provider).decode("latin-1")


def test_an_error_about_an_address_has_no_keys_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_URL", f"ftp://gate/{KEY}")
    for url in (
        f"https://gate/{{{{ other }}}}?key={KEY}",
        f"https://gate/x?key={KEY}",
        f"ftp://gate?key={KEY}",
        "$ENV:GATE_URL",
    ):
        with pytest.raises(ConfigurationError) as caught:
            HttpGeneric("gate", "m", url, BODY)
        assert not has_key(str(caught.value))
        assert "url=" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('url = "https://gate.example/x?key=c4n4ry"', "url"),
        ('query = { key = "c4n4ry" }', "query.key"),
        ('headers = { authorization = "Bearer c4n4ry" }', "headers.authorization"),
    ],
)
def test_a_configuration_refuses_a_key_and_accepts_a_variable(line: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(f'[providers.a]\nuse = "http-generic:m"\n{line}\n')
    with pytest.raises(ConfigurationError, match=f"providers.a.{key} holds a secret itself"):
        load_config(path)
    path.write_text(f'[providers.a]\nuse = "http-generic:m"\n{line.replace("c4n4ry", "$ENV:GATE_KEY")}\n')
    if key != "url":  # a URL with a reference in it is text
        load_config(path)


def test_a_configuration_may_have_all_settings_of_an_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_KEY", KEY)
    with serve(reply(json={"t": "ok"}), reply(json={"t": "ok"})) as server:
        settings = f'url = "{server.url}/x"\nresponse_text_pointer = "/t"\nquery = {{ key = "$ENV:GATE_KEY" }}\n'
        settings += 'headers = { authorization = "Bearer $GATE_KEY", x-k = "$ENV:GATE_KEY" }\n'
        settings += 'body_template = { q = "{{ messages }}" }\n'
        (tmp_path / "gate.toml").write_text(f'id = "gate"\n{settings}')
        (tmp_path / "my.toml").write_text(
            f'[providers.a]\nuse = "http-generic:m"\nname = "gate"\n{settings}'
            '[providers.b]\nuse = "http-generic:m"\nfile = "gate.toml"\n'
        )
        for name in ("a", "b"):
            provider = load_config(tmp_path / "my.toml").provider(name)
            assert (provider.id, provider.blocking.chat("hi").text) == ("gate:m", "ok")
        for received in server.requests:
            assert received.query == {"key": KEY}
            assert received.headers["authorization"] == f"Bearer {KEY}"
            assert received.headers["x-k"] == KEY
