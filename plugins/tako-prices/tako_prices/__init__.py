"""Prices and context windows from genai-prices for every tako provider, where nobody else knows them.

Installed is switched on. The data are those that the installed genai-prices ships: nothing asks the network. They are
read, in about half a second, when a provider of a known vendor is first asked for what its own table does not say.
``TAKO_PRICES=override`` puts them over what is known, ``TAKO_PRICES=off`` leaves them out.
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
_chosen: dict[str, str] = {}


def configure(*, mode: str | None = None) -> None:
    """Choose what the data do: "fill", "override" or "off", as ``[plugins.prices]`` in tako.toml does.

    None leaves it to ``TAKO_PRICES``. Raises ConfigurationError.
    """
    if mode is not None and mode not in MODES:
        raise ConfigurationError(f"mode is one of {', '.join(MODES)}, not {mode!r}")
    _chosen.clear()
    if mode is not None:
        _chosen["mode"] = mode


class Prices:
    """A plugin to register where the environment is not to decide; ``override`` puts the data over what is known."""

    def __init__(self, *, override: bool = False) -> None:
        self.override = override

    @hookimpl(wrapper=True)
    def tako_capabilities(self, provider: Provider) -> Around[Capabilities]:
        """Add what genai-prices knows of the model."""
        known = yield
        return add(provider, known, override=self.override)


@hookimpl(wrapper=True)
def tako_capabilities(provider: Provider) -> Around[Capabilities]:
    """Add what genai-prices knows of the model, as the options or the environment say."""
    known = yield
    mode = _chosen.get("mode") or os.environ.get("TAKO_PRICES", "fill")
    if mode not in MODES:
        raise ConfigurationError(f"TAKO_PRICES is one of {', '.join(MODES)}, not {mode!r}")
    return known if mode == "off" else add(provider, known, override=mode == "override")


def add(provider: Provider, known: Capabilities, *, override: bool = False) -> Capabilities:
    """Return capabilities with what genai-prices knows and they do not, or with all that it knows.

    Prices go together: they are added where no price is known, since those of two sources make no sum.
    """
    unpriced = override or all(getattr(known, name) is None for name in PRICES)
    unsized = override or known.max_context_tokens is None or known.origins.get(WINDOW) == ""
    if not (unpriced or unsized):
        return known
    from tako_prices.vendors import find_vendor

    vendor = find_vendor(provider)
    if vendor is None:
        return known
    from tako_prices.data import look_up

    found, origin = look_up(vendor, provider.model)
    window = found.pop(WINDOW, None)
    values: dict[str, Any] = {**dict.fromkeys((*PRICES, LIMIT)), **found} if unpriced and found else {}
    if unsized and window is not None:
        values[WINDOW] = window
    said = [name for name, value in values.items() if value is not None]
    origins = {name: text for name, text in known.origins.items() if name not in values}
    return replace(known, **values, origins={**origins, **dict.fromkeys(said, origin)}) if said else known
