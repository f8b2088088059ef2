"""The suite of an installed provider, made from the options of `tako.testing.pytest_plugin`.

Where no ``--tako-option`` says it, the address goes to the option that is named like one (``base_url``, ``endpoint``,
``endpoint_url``, ``url``), and so does the key.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tako.errors import ConfigurationError
from tako.hooks import PLUGINS, get_provider
from tako.testing.dialects import find_dialect
from tako.testing.pytest_plugin import CHOSEN
from tako.testing.suite import SECRET, ProviderSuite

if TYPE_CHECKING:
    from tako.provider import Provider
    from tako.testing.dialects import Dialect

ADDRESS_OPTIONS = ("base_url", "endpoint_url", "endpoint", "url")
KEY_OPTIONS = ("api_key", "access_token", "token", "key")


def suite_for(
    id: str,
    dialect: str | Dialect | None = None,
    options: dict[str, str] | None = None,
    reasons: dict[str, str] | None = None,
) -> type[ProviderSuite]:
    """Make the suite of a provider; its class may declare ``conformance`` and ``not_applicable`` itself.

    Raises ConfigurationError where nobody says which dialect it speaks, or where its address goes, and TypeError for a
    dialect that doesn't exist.
    """
    cls = PLUGINS.provider_class(id.partition(":")[0])
    wire = dialect or getattr(cls, "conformance", None)
    if wire is None:
        raise ConfigurationError(f'{id}: give --tako-dialect, or say conformance = "completions" in {cls.__name__}')
    settings = _settings(cls, dict(options or {}))
    not_applicable = {**getattr(cls, "not_applicable", {}), **(reasons or {})}

    def provider(self: ProviderSuite, base_url: str, **others: Any) -> Provider:
        filled_options = {
            name: text.replace("{url}", base_url).replace("{key}", SECRET) for name, text in settings.items()
        }
        return get_provider(id, **filled_options, **others)

    fields = {
        "dialect": find_dialect(wire),
        "not_applicable": not_applicable,
        "provider": provider,
        "__module__": __name__,
    }
    return type(f"Test{cls.__name__}", (ProviderSuite,), fields)


def _settings(cls: type[Provider], options: dict[str, str]) -> dict[str, str]:
    names = inspect.signature(cls.__init__).parameters
    for names_of_option, value in ((ADDRESS_OPTIONS, "{url}"), (KEY_OPTIONS, "{key}")):
        option = next((name for name in names_of_option if name in names), None)
        if option is not None and not any(value in text for text in options.values()):
            options.setdefault(option, value)
    if not any("{url}" in text for text in options.values()):
        raise ConfigurationError(f"{cls.__name__} has no option like base_url; give --tako-option=NAME={{url}}")
    return options


if CHOSEN:
    TestInstalled = suite_for(CHOSEN["provider"], CHOSEN["dialect"], CHOSEN["options"], CHOSEN["not_applicable"])
