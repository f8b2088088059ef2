"""What the core's tests share: vendors made on the spot, and plugins that are gone when a test is over."""

from __future__ import annotations

import gc
import sys
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from tako import Provider, get_provider, hookimpl
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_numbers = count()


@pytest.fixture
def without_finalizers() -> Iterator[None]:
    """Collect nothing while the stack is full: a finalizer of another test's garbage would fail there."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def vendor() -> Iterator[Callable[..., type[Provider]]]:
    """Return a maker of provider classes, each in a module of its own that holds the given hooks."""
    modules: list[str] = []

    def make(name: str = "acme", *, base: type[Provider] = Provider, **hooks: Any) -> type[Provider]:
        module = ModuleType(f"vendor_{next(_numbers)}")
        modules.append(module.__name__)
        sys.modules[module.__name__] = module
        for hook, function in hooks.items():
            marked = function if hasattr(function, "tako_impl") else hookimpl(function)
            setattr(module, hook, marked)
        return type("Vendor", (base,), {"__module__": module.__name__, "name": name})

    yield make
    for name in modules:
        del sys.modules[name]


@pytest.fixture
def register() -> Iterator[Callable[..., None]]:
    """Return `tako.register`; whatever was registered or has failed is forgotten afterwards."""
    before = PLUGINS.snapshot()
    yield PLUGINS.register
    PLUGINS.restore(before)


MODELS = {
    "openai": "gpt-4o",
    "azure-openai": "gpt-4o",
    "anthropic": "claude-sonnet-4-5",
    "mistral": "mistral-large-latest",
    "ollama": "llava",
    "bedrock": "anthropic.claude-3-5-sonnet-20240620-v1:0",
    "vertex": "gemini-2.5-flash",
    "gemini": "gemini-2.5-flash",
}


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Return the names of the seven vendors; their keys are as good as set."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-key")
    return tuple(MODELS)


@pytest.fixture
def at(vendors: tuple[str, ...]) -> Callable[..., Provider]:
    """Return a maker of providers: a vendor's name, the address that stands in for the vendor's, and any options."""

    def make(name: str, url: str, **options: Any) -> Provider:
        places: dict[str, dict[str, Any]] = {
            "openai": {"api_key": "sk-test", "base_url": f"{url}/v1"},
            "azure-openai": {"api_key": "azure-test", "endpoint": url},
            "anthropic": {"api_key": "sk-ant-test", "base_url": url},
            "mistral": {"api_key": "mistral-test", "base_url": f"{url}/v1"},
            "ollama": {"base_url": url},
            "bedrock": {"region": "us-east-1", "endpoint_url": url},
            "vertex": {"access_token": "ya29.test", "project_id": "p", "endpoint_url": url},
            "gemini": {"api_key": "gemini-test", "base_url": url},
        }
        model = options.pop("model", MODELS[name])
        return get_provider(f"{name}:{model}", **{**places[name], **options})

    return make


@pytest.fixture
def answers() -> dict[str, Any]:
    """Return what each vendor says to anything: the text "ok"."""
    completion = {"choices": [{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}
    message = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "ok"}]}
    gemini = {"candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}
    return {
        "openai": completion,
        "azure-openai": completion,
        "mistral": completion,
        "anthropic": {**message, "id": "msg_1", "model": "claude", "stop_reason": "end_turn", "usage": {}},
        "ollama": {
            "model": "llava",
            "message": {"role": "assistant", "content": "ok"},
            "done": True,
            "done_reason": "stop",
        },
        "bedrock": {
            "output": {"message": {"role": "assistant", "content": [{"text": "ok"}]}},
            "stopReason": "end_turn",
        },
        "vertex": gemini,
        "gemini": gemini,
    }
