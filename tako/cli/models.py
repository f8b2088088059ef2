"""Choose the model of a command; never a paid one by accident."""

from __future__ import annotations

import inspect
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tako.cli.arguments import UsageError
from tako.cli.configuration import announce, announce_rules, find_table, read_configuration
from tako.cli.keychain import variable_for
from tako.discovery import find_provider
from tako.errors import ConfigurationError, MissingKeyError, PluginError, UnknownProviderError
from tako.hooks import PLUGINS, get_provider
from tako.names import unknown_provider
from tako.options import TABLES, fit_value

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator

    from tako.config import Config
    from tako.provider import Provider
    from tako.tables import ProviderTable

EMBEDDED = "llamacpp"
"""The name of the provider whose default model runs in process, without a key."""
VARIABLE = "TAKO_MODEL"
"""The environment variable that names the model if -m doesn't."""


class Choice(NamedTuple):
    """Which provider a command uses, before it is made.

    ``id`` is a model's id, or the name of a ``table`` of the file, perhaps with a model. ``options`` are KEY=VALUE.
    ``variable`` is the value of TAKO_MODEL if the choice comes from there. ``fallback``: it's the embedded model,
    because nothing names another one.
    """

    id: str
    options: list[str]
    config: Config | None = None
    path: str | None = None
    table: ProviderTable | None = None
    variable: str | None = None
    fallback: bool = False

    def __repr__(self) -> str:
        return f"<{self.id}>"  # options may be secrets

    def provider(self) -> Provider:
        """Make the provider. Raises UsageError or a TakoError."""
        with _naming_variable(self.variable):
            if self.config is not None and self.table is not None:
                provider = self.config.provider(self.id, **read_options(self.table.id, self.options))
                announce(self.config, self.path)
                return provider
            provider = make_from_id(self.id, self.options, self.config.providers if self.config is not None else ())
            announce_rules(self.config, self.path)
            return provider

    def spec(self) -> tuple[str, dict[str, Any]]:
        """Return the id and all options, including those of the file. Raises UsageError or a TakoError."""
        with _naming_variable(self.variable):
            if self.config is None or self.table is None:
                return self.id, read_options(self.id, self.options)
            name = self.id.partition(":")[0]
            return self.table.id, {**self.config.options(name), **read_options(self.table.id, self.options)}


def make_provider(id: str | None, options: list[str], path: str | None = None) -> tuple[Provider, bool]:
    """Make the provider to use. Return it, and whether it's the embedded one as a fallback; see ``choose_model``."""
    choice = choose_model(id, options, path)
    return choice.provider(), choice.fallback


def choose_model(
    id: str | None,
    options: list[str],
    path: str | None = None,
    *,
    preset: Callable[[Config | None], str | None] | None = None,
) -> Choice:
    """Choose the provider to use.

    In this order: ``id``, the result of ``preset`` for the configuration (a template's model), the default of the file
    at ``path``, TAKO_MODEL, the default of the tako.toml that tako finds, the embedded model. A name without a colon is
    a provider of the file if the file has it. Raises ConfigurationError, with advice, if nothing names a model.
    """
    variable = os.environ.get(VARIABLE) or None if not id and path is None else None
    name = id or variable or None
    with _naming_variable(variable):
        config = configuration_for(name, path)
    preset_id = preset(config) if preset is not None else None
    if preset_id and not id:
        name, variable = preset_id, None
    with _naming_variable(variable):
        if name is not None:
            return Choice(name, options, config, path, find_table(config, name), variable)
    if config is not None and config.default is not None:
        return Choice(config.default, options, config, path, config.providers[config.default])
    if path is None and embedded_ready():
        return Choice(EMBEDDED, options, config, fallback=True)
    if path is not None:
        raise ConfigurationError(f"{path}: default isn't set; choose one of its providers with -m")
    raise ConfigurationError(
        "no model is chosen: pass -m (as in -m openai:gpt-6.2-sol), set TAKO_MODEL or a default in tako.toml, or run "
        '"pip install tako-llamacpp" and "tako setup embedded" for a small model that needs no key'
    )


@contextmanager
def _naming_variable(variable: str | None) -> Generator[None, None, None]:
    """Begin an error's text with TAKO_MODEL if the choice comes from there."""
    try:
        yield
    except (ConfigurationError, PluginError, UsageError) as error:
        if variable is not None:
            error.args = (f"{VARIABLE}={variable}: {error}",)
        raise


def configuration_for(id: str | None, path: str | None) -> Config | None:
    """Read the configuration. An id with a colon doesn't need it, so a broken file that nobody named is ignored."""
    return read_configuration(path, needed=path is not None or ":" not in (id or ""))


def embedded_ready() -> bool:
    """Whether the embedded model is installed and can answer."""
    try:
        if find_provider(EMBEDDED) is None:
            return False
        cls: Any = PLUGINS.provider_class(EMBEDDED)
    except PluginError:
        return False
    return bool(cls.ready())


def make_from_id(id: str, options: list[str], configured: Collection[str] = ()) -> Provider:
    """Make a provider from an id and KEY=VALUE options. Raises UsageError, or what ``get_provider`` raises.

    ``configured`` are names in the file, for the hint about a mistyped one.
    """
    if not id.partition(":")[0]:
        raise UsageError(f"{id!r} isn't a model id; one looks like openai:gpt-6.2-sol")
    try:
        return get_provider(id, **read_options(id, options))
    except UnknownProviderError:
        raise UnknownProviderError(unknown_provider(id, configured)) from None
    except ConfigurationError as error:
        name = id.partition(":")[0]
        variable = variable_for(PLUGINS.provider_class(name))
        if variable and variable in str(error) and not os.environ.get(variable):
            store = f"(tako keys set {name} stores one)"
            if isinstance(error, MissingKeyError):
                error.advice = f"pass -o 'api_key=$ENV:NAME' {store}"
            else:
                error.args = (f"{error} {store}",)
        raise


def read_options(id: str, options: list[str]) -> dict[str, Any]:
    """Read KEY=VALUE pairs. A value that is JSON is decoded, unless the provider declares the option as text."""
    values: dict[str, Any] = {}
    for pair in options:
        key, equals, text = pair.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"an option looks like KEY=VALUE, such as timeout=30, not {key!r}")
        values[key] = text if _is_text_option(id, key) else _decode_value(key, text)
        if key in TABLES:
            if not isinstance(values[key], (dict, bool)):
                raise UsageError(f"the option {key} is a JSON object of its fields, as in -o '{key}={{…}}'")
            try:
                values[key] = fit_value(values[key], key, Any)
            except ValueError as error:
                raise UsageError(f"the option {key}{error}") from None
    return values


def _decode_value(key: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return text
    except RecursionError:
        raise UsageError(f"the option {key} is nested too deeply") from None


def _is_text_option(id: str, key: str) -> bool:
    """Whether the provider declares the option as text, so that an API key of digits stays a text."""
    parameters = inspect.signature(PLUGINS.provider_class(id.partition(":")[0])).parameters
    declared = str(parameters[key].annotation) if key in parameters else ""
    return declared.startswith("str") or "'str'" in declared
