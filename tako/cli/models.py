"""Which model a command talks to: never a paid one by accident."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

import msgspec

from tako.cli.arguments import UsageError
from tako.discovery import find_provider
from tako.errors import ConfigurationError, PluginError
from tako.hooks import PLUGINS, get_provider

if TYPE_CHECKING:
    from tako.provider import Provider

EMBEDDED = "llamacpp"
"""The name of the provider whose default model runs in process, without a key."""


def choose(given: str | None) -> tuple[str, bool]:
    """Return the id of the model to use, and whether it is the embedded one that nobody asked for.

    Raises ConfigurationError where there is none, saying what to do.
    """
    for chosen in (given, os.environ.get("TAKO_MODEL")):
        if chosen:
            return chosen, False
    if embedded_ready():
        return EMBEDDED, True
    raise ConfigurationError(
        'no model is chosen: pass -m (as in -m openai:gpt-5), set TAKO_MODEL, or run "pip install tako-llamacpp" and '
        '"tako setup embedded" for a small model that needs no key'
    )


def embedded_ready() -> bool:
    """Whether the embedded model can answer; a plugin that is absent or broken cannot."""
    try:
        if find_provider(EMBEDDED) is None:
            return False
        cls: Any = PLUGINS.provider_class(EMBEDDED)
    except PluginError:
        return False
    return bool(cls.ready())


def make(id: str, options: list[str]) -> Provider:
    """Make a provider by its id and KEY=VALUE options; raises UsageError, or what ``get_provider`` raises."""
    if not id.partition(":")[0]:
        raise UsageError(f"{id!r} is no model id; one looks like openai:gpt-5")
    return get_provider(id, **read_options(id, options))


def read_options(id: str, options: list[str]) -> dict[str, Any]:
    """Read KEY=VALUE pairs. A value is JSON where it is JSON and the option is not a text; else it is the text."""
    read: dict[str, Any] = {}
    for pair in options:
        key, equals, text = pair.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"an option is KEY=VALUE, as in -o timeout=30, not {key!r}")
        read[key] = text if _takes_text(id, key) else _value(text)
    return read


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return text


def _takes_text(id: str, key: str) -> bool:
    """Whether the provider's option is declared as text, so that a key of digits stays one."""
    parameters = inspect.signature(PLUGINS.provider_class(id.partition(":")[0])).parameters
    declared = str(parameters[key].annotation) if key in parameters else ""
    return declared.startswith("str") or "'str'" in declared
