"""The origins of a provider's capabilities: who set each known value."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tako.capabilities import Capabilities
from tako.errors import PluginError
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tako.provider import Provider

FIELDS = tuple(name for name in Capabilities.__struct_fields__ if name != "origins")
USER_ORIGIN = "given as capabilities="
HOOK = "tako_capabilities"


def trace_origins(provider: Provider, user_capabilities: Capabilities | None) -> dict[str, str]:
    """Return who set each known value, by field.

    That's the user, or a general plugin (found by calling the hook without it and with it), or what the provider's own
    hook names in ``origins``, such as a row of its table, or a server. Without ``origins``, it's the hook itself.
    """
    if user_capabilities is not None:
        return dict.fromkeys(_known_fields(user_capabilities, FIELDS), USER_ORIGIN)
    origins: dict[str, str] = {}
    previous = Capabilities()
    for plugin, current in _steps(provider):
        if not plugin:
            cls = type(provider)
            origins = current.origins or dict.fromkeys(FIELDS, f"{cls.__module__}.{cls.__qualname__}")
        else:
            changed = [name for name in FIELDS if getattr(current, name) != getattr(previous, name)]
            new_origins = {
                name: text for name, text in current.origins.items() if text and previous.origins.get(name) != text
            }
            details = {name: f"plugin {plugin}: {text}" for name, text in new_origins.items()}
            origins = {**origins, **dict.fromkeys(changed, f"plugin {plugin}"), **details}
        previous = current
    return {name: origins[name] for name in _known_fields(previous, FIELDS) if origins.get(name)}


def _steps(provider: Provider) -> Iterator[tuple[str, Capabilities]]:
    """Call the hook without general plugins (named ""), then with one more of them each time."""
    hook_plugins = [name for name, _ in PLUGINS.hooks(type(provider)).chain(HOOK)]
    excluded = [name for name in PLUGINS.hooks(type(provider)).general if name in hook_plugins]
    yield "", PLUGINS.ask(HOOK, provider, without=excluded)
    while excluded:
        name = excluded.pop(0)
        with suppress(PluginError):  # if it needs a later plugin, it counts together with that one
            yield name, PLUGINS.ask(HOOK, provider, without=excluded)


def _known_fields(capabilities: Capabilities, names: Iterable[str]) -> list[str]:
    return [name for name in names if getattr(capabilities, name) is not None]
