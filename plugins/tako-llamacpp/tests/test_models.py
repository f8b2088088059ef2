"""Finding a model, and reading its header."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import msgspec
import pytest
from tako_llamacpp import embedded

from tako import Capabilities, ConfigurationError, get_provider
from tako.providers import LlamaCpp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_its_capabilities_are_those_of_the_file_and_the_settings(model: LlamaCpp) -> None:
    assert model.capabilities.max_context_tokens == 4096
    assert LlamaCpp(n_ctx=0).capabilities.max_context_tokens == 8192
    assert LlamaCpp(n_ctx=100_000).n_ctx == 8192
    assert model.capabilities.supports_json_mode
    assert not model.capabilities.supports_tools
    assert not model.capabilities.supports_vision
    assert LlamaCpp(capabilities=Capabilities(supports_tools=True)).capabilities.supports_tools


def test_any_gguf_file_is_a_model(gguf: Callable[..., Path]) -> None:
    path = gguf(
        tokenizer__ggml__tokens=["a", "bc"],
        general__architecture="qwen2",
        qwen2__context_length=2048,
        tokenizer__chat_template="{% if tools %}{{ tools }}{% endif %}",
    )
    provider = get_provider(f"llamacpp:{path}")
    assert isinstance(provider, LlamaCpp)
    assert provider.n_ctx == 2048
    assert provider.capabilities.supports_tools


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "doesn't exist"),
        (b"", "can't be read"),
        (b"nope" * 9, "isn't a GGUF"),
        (b"GGUF" + b"\xff" * 40, "can't be read"),
    ],
)
def test_a_file_that_is_not_a_model_is_refused_at_once(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        LlamaCpp(str(path))


def test_a_header_without_a_model_fails_when_it_is_loaded(gguf: Callable[..., Path]) -> None:
    with pytest.raises(ConfigurationError, match="can't load"):
        LlamaCpp(str(gguf(general__architecture="llama"))).blocking.chat("Hello")


@pytest.mark.parametrize("options", [{"n_ctx": -1}, {"n_threads": 0}, {"n_ctx": "4096"}, {"n_threads": True}])
def test_settings_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="must be a whole number"):
        get_provider("llamacpp:", **options)


def test_without_the_model_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(embedded, "DISTRIBUTION", "llm-that-is-not-installed")
    assert not LlamaCpp.ready()
    with pytest.raises(ConfigurationError, match="tako setup embedded"):
        LlamaCpp()


def test_a_changed_file_is_noticed_and_a_good_one_is_read_once(
    model: LlamaCpp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    embedded.check(model.path)
    record = msgspec.json.decode((embedded.cache_folder() / "verified.json").read_bytes())
    assert record[1] == model.path.stat().st_size
    copy = tmp_path / embedded.FILE
    copy.write_bytes(b"GGUF, but another one")
    with pytest.raises(ConfigurationError, match="sha256"):
        embedded.check(copy)


def test_a_pickle_does_not_contain_the_loaded_model(model: LlamaCpp) -> None:
    twin = pickle.loads(pickle.dumps(model))
    assert twin.id == model.id
    assert twin._engine is None
