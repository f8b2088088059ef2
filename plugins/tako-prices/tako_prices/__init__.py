"""Prices and context windows from genai-prices for every tako provider, if tako doesn't know them itself.

It's on as soon as it's installed. The data are part of the installed genai-prices; the network isn't used. They are
loaded, in about half a second, when a provider of a known vendor first needs a value that its own table doesn't have.
``TAKO_PRICES=override`` replaces known values, too; ``TAKO_PRICES=off`` turns it off.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.capabilities import PRICES
from tako.errors import ConfigurationError
from tako.hooks import hookimpl

if TYPE_CHECKING:
    from tako.capabilities import Capabilities
    from tako.hookspecs import Around
    from tako.provider import Provider

tako_hooks = 1

MODES = ("fill", "override", "off")
LIMIT = "prices_up_to_tokens"
WINDOW = "max_context_tokens"
_configured: dict[str, str] = {}


def configure(*, mode: str | None = None) -> None:
    """Choose what the data do: "fill", "override" or "off", as ``[plugins.prices]`` in tako.toml does.

    With None, ``TAKO_PRICES`` decides. Raises ConfigurationError.
    """
    if mode is not None and mode not in MODES:
        raise ConfigurationError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    _configured.clear()
    if mode is not None:
        _configured["mode"] = mode


class Prices:
    """A plugin to register if the environment shouldn't decide. ``override`` replaces known values, too."""

    def __init__(self, *, override: bool = False) -> None:
        self.override = override

    @hookimpl(wrapper=True)
    def tako_capabilities(self, provider: Provider) -> Around[Capabilities]:
        """Add what genai-prices knows about the model."""
        capabilities = yield
        return add_prices(provider, capabilities, override=self.override)


@hookimpl(wrapper=True)
def tako_capabilities(provider: Provider) -> Around[Capabilities]:
    """Add what genai-prices knows about the model, as the options or the environment say."""
    capabilities = yield
    mode = _configured.get("mode") or os.environ.get("TAKO_PRICES", "fill")
    if mode not in MODES:
        raise ConfigurationError(f"TAKO_PRICES must be one of {', '.join(MODES)}, not {mode!r}")
    return capabilities if mode == "off" else add_prices(provider, capabilities, override=mode == "override")


def add_prices(provider: Provider, capabilities: Capabilities, *, override: bool = False) -> Capabilities:
    """Add what genai-prices knows to capabilities: what they don't have or, with ``override``, everything.

    Prices are only added if no price is known, because prices of two sources can't be mixed.
    """
    needs_prices = override or all(getattr(capabilities, name) is None for name in PRICES)
    needs_window = override or capabilities.max_context_tokens is None or capabilities.origins.get(WINDOW) == ""
    if not (needs_prices or needs_window):
        return capabilities
    from tako_prices.vendors import find_vendor

    vendor = find_vendor(provider)
    if vendor is None:
        return capabilities
    from tako_prices.data import look_up

    data, origin = look_up(vendor, provider.model)
    window = data.pop(WINDOW, None)
    values: dict[str, Any] = {**dict.fromkeys((*PRICES, LIMIT)), **data} if needs_prices and data else {}
    if needs_window and window is not None:
        values[WINDOW] = window
    names = [name for name, value in values.items() if value is not None]
    origins = {name: text for name, text in capabilities.origins.items() if name not in values}
    return (
        replace(capabilities, **values, origins={**origins, **dict.fromkeys(names, origin)}) if names else capabilities
    )
