"""A vendor that speaks Chat Completions is a class with a few attributes: no hook, no constructor."""

from __future__ import annotations

import asyncio
import importlib
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tako import ChatRequest, FinishReason, Message
from tako.errors import ConfigurationError, PermissionDeniedError
from tako.kit.completions.provider import table_of
from tako.testing.server import reply, serve, sse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tako.kit.completions import CompletionsProvider

ANSWER = {"choices": [{"message": {"role": "assistant", "content": "Hi."}, "finish_reason": "done"}]}
ROW = '''
from tako.errors import PermissionDeniedError
from tako.kit.completions import CompletionsProvider, Dialect
from tako.types import FinishReason


class Acme(CompletionsProvider):
    """A model of Acme's."""

    name = "acme"
    base_url = "https://api.acme.example/v1"
    key_variable = "ACME_API_KEY"
    key_header = "x-acme-key"
    codes = {"out_of_credit": PermissionDeniedError}
    dialect = Dialect(max_tokens="most", finish_reasons={"done": FinishReason.STOP})


class Local(CompletionsProvider):
    """A server without keys."""

    name = "local"
    base_url = "http://localhost:1/v1"
'''
HOOK = """

from tako import Capabilities, hookimpl


@hookimpl
def tako_capabilities(provider):
    return Capabilities(max_context_tokens=7)
"""
TABLE = """
source = "https://acme.example/models"
date = 2026-11-01

[[model]]
id = "acme-2"
max_context_tokens = 200_000
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a package that is importable as ``acme_row``."""
    package = tmp_path / "acme_row"
    package.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ACME_API_KEY", "k-123456")
    yield package
    sys.modules.pop("acme_row", None)


def row(folder: Path, name: str = "Acme", *, more: str = "", table: str = "") -> Any:
    (folder / "__init__.py").write_text(ROW + more)
    if table:
        (folder / "models.toml").write_text(table)
    table_of.cache_clear()
    importlib.invalidate_caches()
    return getattr(importlib.import_module("acme_row"), name)


def test_a_class_with_attributes_is_a_whole_plugin(folder: Path) -> None:
    acme = row(folder)
    events = sse({"choices": [{"delta": {"content": "Hi."}}]}, {"choices": [{"delta": {}, "finish_reason": "done"}]})
    with serve(reply(json=ANSWER), reply(events)) as server:
        provider: CompletionsProvider = acme("acme-2", base_url=server.url)
        request = ChatRequest([Message.user("Hello")], max_tokens=9)
        replies = [provider.blocking.chat(request), provider.blocking.stream(request).response()]
    for response in replies:
        assert (response.text, response.finish_reason, response.finish_word) == ("Hi.", FinishReason.STOP, "done")
        assert response.provider == "acme:acme-2"
    first, second = server.requests
    assert first.path == "/chat/completions"
    assert first.headers["x-acme-key"] == "k-123456"
    assert "authorization" not in first.headers
    assert first.json == {"model": "acme-2", "messages": [{"role": "user", "content": "Hello"}], "most": 9}
    assert second.json["stream"] is True


def test_its_codes_are_errors_of_their_class(folder: Path) -> None:
    body = {"error": {"code": "out_of_credit", "message": "No credit is left."}}
    with serve(reply(json=body, status=400)) as server, pytest.raises(PermissionDeniedError, match="No credit"):
        row(folder)("acme-2", base_url=server.url).blocking.chat("Hi")


def test_its_address_is_the_class_s_unless_another_is_given(folder: Path) -> None:
    acme = row(folder)
    assert acme("m").base_url == "https://api.acme.example/v1"
    assert acme("m").server == "https://api.acme.example"
    assert acme("m", base_url="http://localhost:8000/v1/chat/completions").base_url == "http://localhost:8000/v1"


def test_a_key_is_asked_for_where_the_class_names_its_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acme = row(folder)
    monkeypatch.delenv("ACME_API_KEY")
    with pytest.raises(ConfigurationError, match="ACME_API_KEY"):
        acme("m")
    with serve(reply(json=ANSWER)) as server:
        module = sys.modules["acme_row"]
        module.Local("m", base_url=server.url).blocking.chat("Hi")
        module.Local("m", base_url=server.url, api_key="k-654321").blocking.chat("Hi")
    assert "authorization" not in server.requests[0].headers
    assert server.requests[1].headers["authorization"] == "Bearer k-654321"


def test_a_table_beside_it_says_what_its_models_can_do(folder: Path) -> None:
    acme = row(folder, table=TABLE)
    assert acme("acme-2").capabilities.max_context_tokens == 200_000
    assert "2026-11-01" in acme("acme-2").capabilities.origins["max_context_tokens"]


def test_without_a_table_it_can_do_what_the_wire_has_until_the_server_says_more(folder: Path) -> None:
    listing = {"data": [{"id": "m", "context_length": 4096, "capabilities": {"vision": False}}]}
    with serve(reply(json=listing)) as server:
        provider = row(folder)("m", base_url=server.url)
        assumed = provider.capabilities
        assert (assumed.supports_tools, assumed.supports_vision, assumed.max_context_tokens) == (True, True, None)
        discovered = asyncio.run(provider.discover())
    assert server.requests[0].path == "/models"
    assert (discovered.max_context_tokens, discovered.supports_vision) == (4096, False)
    assert provider.capabilities == discovered


def test_a_hook_in_its_module_goes_before_the_kit_s(folder: Path) -> None:
    assert row(folder, more=HOOK)("m").capabilities.max_context_tokens == 7


def test_it_can_be_pickled_and_shows_no_key(folder: Path) -> None:
    provider = row(folder)("m", api_key="k-secret-1")
    assert "k-secret-1" not in f"{provider!r} {vars(provider)} {pickle.dumps(provider)!r}"
    assert pickle.loads(pickle.dumps(provider)).id == "acme:m"
