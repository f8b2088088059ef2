"""Plugins and cores of different ages. tests/frozen holds a wheel of version 1: it never changes, and always works."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest

from tako import Capabilities, PluginError, hookimpl, hookspecs
from tako.compatibility import check_version
from tako.hooks import Hooks
from tako.hooks.manager import check_plugin
from tako.testing import isolated
from tako.testing.dialects import COMPLETIONS, Script, scripted
from tako.testing.environments import Environment, wheel

if TYPE_CHECKING:
    from collections.abc import Callable

FROZEN = Path(__file__).parent / "frozen" / "tako_frozen-1.0-py3-none-any.whl"
SHA256 = "111bbfa552924c41a32aedafe62ebd60286ca27f5c6e5281af03d4220acb9ef1"
OURS = "cache,otel,prices,record"
"""This repository's own general plugins, which the environment sees too."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("environment"), {"TAKO_DISABLE_PLUGINS": OURS})
    environment.install(FROZEN)
    return environment


@hookimpl
def able(provider: Any) -> Capabilities:
    return Capabilities()


def plugin(version: Any) -> SimpleNamespace:
    return SimpleNamespace(tako_capabilities=hookimpl(specname="tako_capabilities")(able), tako_hooks=version)


def test_a_plugin_may_take_what_only_a_newer_core_offers() -> None:
    @hookimpl(optionalhook=True)
    def tako_embed(provider: Any) -> Any:
        """Implement a hook that there isn't yet."""

    @hookimpl
    def tako_capabilities(provider: Any, catalog: Any = "none") -> Capabilities | None:
        return Capabilities(max_context_tokens=7) if catalog == "none" else None

    newer = SimpleNamespace(tako_embed=tako_embed, tako_capabilities=tako_capabilities)
    with isolated(newer) as plugins:
        assert plugins.provider_class()("m").capabilities.max_context_tokens == 7


NEWER = """
from tako import Capabilities, hookimpl, hookspecs
import tako.kit.streams

tako_hooks = 1
HAS_CATALOG = hasattr(hookspecs, "tako_catalog")


@hookimpl(optionalhook=True)
def tako_catalog(provider, region):
    raise AssertionError("this core has no such hook")


@hookimpl
def tako_capabilities(provider, catalog=None):
    return None if HAS_CATALOG or catalog else Capabilities(max_context_tokens=77)


@hookimpl(wrapper=True)
def tako_chat(provider, translator, budget=0):
    inner = yield
    return inner
"""


def test_a_wheel_that_uses_newer_hooks_and_parameters_works_on_this_core(environment: Environment) -> None:
    points = {"tako.plugins": {"newer": "tako_newer"}}
    environment.install(wheel(environment.wheels, "tako-newer", {"tako_newer.py": NEWER}, points))
    result = environment.run(
        """
        import tako
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            provider = tako.get_provider("frozen:")
            result["said"] = provider.blocking.chat("fine").text
            result["context"] = provider.capabilities.max_context_tokens
        result["failed"] = tako.hooks.PLUGINS.failed
        """
    )
    environment.uninstall("tako-newer")
    assert result == {"said": "fine", "context": 77, "failed": {}}


def test_the_frozen_wheel_is_the_one_that_was_frozen() -> None:
    assert hashlib.sha256(FROZEN.read_bytes()).hexdigest() == SHA256
    assert FROZEN.stat().st_size < 10_000
    with ZipFile(FROZEN) as wheel:
        code = [wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".py")]
    assert len(code) == 3
    assert all("\ntako_hooks = 1\n" in text for text in code)


def test_a_provider_of_version_1_does_all_it_did(environment: Environment) -> None:
    result = environment.run(
        """
        import tako
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            provider = tako.get_provider("frozen:")
            text = tako.ContentPart.text("black ice")
            image = tako.ContentPart.image("image/png", "AAAA")
            seen = [tako.Message.user([text, image])]
            whole = provider.blocking.chat(seen)
            result["chat"] = [whole.text, whole.id, whole.model, whole.usage.total, whole.raw, str(whole.cost.total)]
            result["notices"] = [[notice.code, notice.path, notice.provider] for notice in whole.notices]
            stream = provider.blocking.stream("a b c")
            result["texts"] = [chunk.text for chunk in stream if chunk.kind == "delta"]
            result["end"] = stream.response().notices[0].code
            tool = tako.Tool("dig")
            asked = tako.ChatRequest([tako.Message.user("dig")], tools=[tool], model="snow")
            calls = [provider.blocking.chat(asked), provider.blocking.stream(asked).response()]
            result["calls"] = [[c.tool_calls[0].name, c.tool_calls[0].args, c.finish_reason, c.model] for c in calls]
            result["context"] = provider.capabilities.max_context_tokens
            result["option"] = tako.providers.Frozen("ice", prefix="> ").blocking.chat("hm").text
            try:
                provider.blocking.chat(tako.ChatRequest(seen, strict=True))
            except tako.UnsupportedError as error:
                result["strict"] = len(error.notices)
        """,
        TAKO_DISABLE_PLUGINS=f"{OURS},frozen-around",
    )
    assert result == {
        "chat": ["black ice", "id-1", "ice", 7, [{"said": "black ice"}], "0.000011"],
        "notices": [["unsupported_part", "messages[0].content[1]", "frozen"]],
        "texts": ["a", "b", "c"],
        "end": "frozen_words",
        "calls": [["dig", {"n": 1}, "tool_calls", "snow"]] * 2,
        "context": 1000,
        "option": "> hm",
        "strict": 1,
    }


def test_an_around_of_version_1_goes_around_every_hook(environment: Environment) -> None:
    result = environment.run(
        """
        import tako
        provider = tako.get_provider("frozen:")
        result["chat"] = [provider.blocking.chat("fire").text, provider.blocking.chat("fire").id]
        result["stream"] = provider.blocking.stream("fire").response().text
        result["vision"] = provider.capabilities.supports_vision
        result["failed"] = tako.hooks.PLUGINS.failed
        """
    )
    assert result == {"chat": ["ice", "id-1+around"], "stream": "ICE", "vision": True, "failed": {}}


def test_an_http_provider_of_version_1_speaks_by_the_kit_of_today(environment: Environment) -> None:
    ask = """
        import tako
        provider = tako.get_provider("frozen-http:large", api_key="cold", base_url=result_url)
        asked = tako.ChatRequest([tako.Message.user("hi")], max_tokens=5)
        result["chat"] = provider.blocking.chat(asked).text
        result["stream"] = provider.blocking.stream(asked).response().text
        result["usage"] = provider.blocking.stream(asked).response().usage.total
        provider = tako.get_provider("frozen-http:large", api_key="cold", base_url=result_url, max_retries=0)
        try:
            provider.blocking.chat("again")
        except tako.errors.RateLimitError as error:
            result["error"] = [error.provider, error.status_code, error.retry_after]
    """
    script = Script(text="Hello there.")
    refusal = COMPLETIONS.refuse(429, headers={"retry-after": "7"})
    with scripted("completions", script, script, script, refusal) as server:
        result = environment.run(f"result_url = {server.url!r}", ask)
    assert result["chat"] == "Hello there."
    assert result["stream"] == "HELLO THERE."
    assert result["usage"] == 18
    assert result["error"] == ["frozen-http", 429, 7.0]
    sent = server.requests[0]
    assert (sent.path, sent.headers["authorization"]) == ("/chat/completions", "Bearer cold")
    assert (sent.json["max_completion_tokens"], sent.json["metadata"]) == (5, {"frozen": "yes"})


def test_what_names_no_version_or_one_that_is_served_is_taken() -> None:
    for version in (None, *range(1, hookspecs.VERSION + 1)):
        assert Hooks(general=[check_plugin(plugin(version), "it")]).chain("tako_capabilities") == [("it", False)]


def test_a_plugin_for_later_hooks_is_refused_with_what_to_install(
    vendor: Callable[..., Any], register: Callable[..., None]
) -> None:
    later = hookspecs.VERSION + 1
    with pytest.raises(PluginError, match=r"^plugin 'new' is written for version \d .* install a newer tako-core$"):
        register(plugin(later), "new")
    cls = vendor(tako_capabilities=able)
    sys.modules[cls.__module__].tako_hooks = later  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match=r"written for version \d of tako's hooks, and tako-core .* has version 1"):
        cls("m").blocking.chat("hi")


@pytest.mark.parametrize("nonsense", [0, -1, "1", 1.0, True])
def test_a_version_that_is_none_is_refused(nonsense: Any) -> None:
    with pytest.raises(PluginError, match=r"tako_hooks is .*; it's a version of the hooks"):
        check_version(plugin(nonsense), "plugin 'odd'")


def late(folder: Path, name: str, code: str, group: str, entry: str) -> Path:
    """Make a wheel that was made for later hooks."""
    needs = "Requires-Dist: tako-core[http] >=5.2 ; python_version > '3'"
    points = {group: dict([entry.split(" = ")])}
    return wheel(folder, name, {f"{name}.py": code}, points, version="9.0", metadata=needs)


def test_an_installed_plugin_for_later_hooks_names_the_core_that_it_asks_for(environment: Environment) -> None:
    provider = "from tako import Provider\ntako_hooks = 7\nclass Soon(Provider):\n    name = 'soon'\n"
    environment.install(
        late(environment.wheels, "tako_soon", provider, "tako.providers", "soon = tako_soon:Soon"),
        late(environment.wheels, "tako_late", "tako_hooks = 7\n", "tako.plugins", "late = tako_late"),
    )
    result = environment.run(
        """
        import tako
        try:
            tako.get_provider("soon:m")
        except tako.PluginError as error:
            result["provider"] = str(error)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result["said"] = tako.get_provider("frozen:").blocking.chat("fine").text
        result["warned"] = [str(warning.message) for warning in caught]
        """
    )
    environment.uninstall("tako_soon", "tako_late")
    asks = "install a newer tako-core (tako_{} 9.0 asks for tako-core>=5.2)"
    assert result["provider"].startswith("provider 'soon' of tako_soon 9.0 is written for version 7 of tako's hooks")
    assert result["provider"].endswith(asks.format("soon"))
    assert result["said"] == "fine"
    assert len(result["warned"]) == 1
    assert asks.format("late") in result["warned"][0]
