"""The server's address, and the errors if it isn't running."""

from __future__ import annotations

import asyncio
import socket

import pytest
from tako_ollama import Ollama

from tako.errors import ConfigurationError, NotFoundError, ProviderTimeoutError, TransportError
from tako.testing.server import reply, serve


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://localhost:11434"),
        ("  ", "http://localhost:11434"),
        ("gpu-box", "http://gpu-box:11434"),
        ("gpu-box:8080", "http://gpu-box:8080"),
        ("gpu-box/ollama", "http://gpu-box:11434/ollama"),
        ("gpu-box:8080/ollama/", "http://gpu-box:8080/ollama"),
        ("1.2.3.4", "http://1.2.3.4:11434"),
        (":9999", "http://127.0.0.1:9999"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::]:8080", "http://[::1]:8080"),
        ("[2001:db8::1]", "http://[2001:db8::1]:11434"),
        ("[2001:db8::1]:8080/x", "http://[2001:db8::1]:8080/x"),
        ("2001:db8::1", "http://[2001:db8::1]:11434"),
        ("http://gpu-box", "http://gpu-box"),
        ("http://", "http://127.0.0.1"),
        ("https://gpu-box", "https://gpu-box"),
        ("https://gpu-box:8443/path/", "https://gpu-box:8443/path"),
        ("https://[2001:db8::1]/path", "https://[2001:db8::1]/path"),
        ('"gpu-box:8080"', "http://gpu-box:8080"),
        ("ollama.com", "https://ollama.com"),
    ],
)
def test_ollama_host_has_all_forms_that_ollama_reads(text: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", text)
    assert Ollama("m").base_url == url
    if text.strip():
        monkeypatch.setenv("OLLAMA_HOST", "elsewhere")
        assert Ollama("m", base_url=text).base_url == url


@pytest.mark.parametrize(
    "text",
    ["ftp://gpu-box", "gpu-box:port", "gpu box", "http://user:pw@gpu-box:1", "http://user:pw@gpu-box:port", "a:99999"],
)
def test_an_invalid_address_is_refused_with_the_name_of_the_variable(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", text)
    with pytest.raises(ConfigurationError, match=r"^ollama:m: OLLAMA_HOST") as caught:
        Ollama("m")
    assert "pw" not in str(caught.value)


def test_an_option_of_a_wrong_type_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        Ollama("m", base_url=5)
    with pytest.raises(ConfigurationError, match="url_prefetch"):
        Ollama("m", url_prefetch="yes")


def test_the_error_of_a_server_that_is_not_running_says_how_to_start_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]  # bound, but not listening
        provider = Ollama("m", base_url=f"http://127.0.0.1:{port}", max_retries=0)
        with pytest.raises(TransportError, match="`ollama serve` starts Ollama"):
            provider.blocking.chat("Hi")

        async def read():
            return await provider.stream("Hi").response()

        with pytest.raises(TransportError, match=f"127.0.0.1:{port}.*`ollama serve`"):
            asyncio.run(read())


def test_the_error_of_a_slow_server_does_not_say_how_to_start_it() -> None:
    with serve(reply(ending="hang", delay=5)) as server:
        provider = Ollama("m", base_url=server.url, max_retries=0, timeout=0.1)
        with pytest.raises(ProviderTimeoutError) as caught:
            provider.blocking.chat("Hi")
    assert "ollama serve" not in str(caught.value)


def test_the_error_of_a_missing_model_says_how_to_pull_it() -> None:
    with serve(reply(json={"error": "nope"}, status=404)) as server:
        provider = Ollama("llama9", base_url=server.url)
        with pytest.raises(NotFoundError, match="nope; `ollama pull llama9` gets the model") as caught:
            provider.blocking.chat("Hi")
        assert (caught.value.status_code, caught.value.provider, caught.value.model) == (404, "ollama", "llama9")

        async def other():
            import tako

            return await provider.stream(tako.ChatRequest([tako.Message.user("Hi")], model="other:7b")).response()

        with pytest.raises(NotFoundError, match="`ollama pull other:7b`"):
            asyncio.run(other())
    assert len(server.requests) == 2


def test_a_key_is_sent_and_is_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OLLAMA_API_KEY", raising=False)
    answer = reply(json={"message": {"content": "Hi"}, "done": True, "done_reason": "stop"})
    with serve(answer) as server:
        Ollama("m", base_url=server.url).blocking.chat("Hi")
        with_key = Ollama("m", base_url=server.url, api_key="secret-key")
        with_key.blocking.chat("Hi")
        monkeypatch.setenv("OLLAMA_API_KEY", "from-environment")
        Ollama("m", base_url=server.url).blocking.chat("Hi")
    assert [request.headers.get("authorization") for request in server.requests] == [
        None,
        "Bearer secret-key",
        "Bearer from-environment",
    ]
    assert "secret-key" not in repr(vars(with_key))


def test_a_model_may_take_ten_minutes_to_load() -> None:
    assert Ollama("m").timeout == 600.0
    assert Ollama("m", timeout=5).timeout == 5.0
