"""Which model a command talks to: never a paid one by accident."""

from __future__ import annotations

import inspect
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tako.cli.arguments import UsageError
from tako.cli.configuration import announce, announce_rules, read_configuration, table_of
from tako.cli.keychain import variable_for
from tako.discovery import find_provider
from tako.errors import ConfigurationError, PluginError
from tako.hooks import PLUGINS, UnknownProviderError, get_provider
from tako.names import unknown_provider
from tako.options import TABLES, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator

    from tako.config import Config
    from tako.provider import Provider
    from tako.tables import ProviderTable

EMBEDDED = "llamacpp"
"""The name of the provider whose default model runs in process, without a key."""
VARIABLE = "TAKO_MODEL"
"""The environment variable that names a model where nobody gives -m."""


class Choice(NamedTuple):
    """Which provider a command uses, before it is made.

    ``wanted`` is an id, or the name of a ``table`` of the file, perhaps with a model; ``given`` are KEY=VALUE options.
    ``variable`` is what TAKO_MODEL says where it decides; ``fallback`` is the embedded model that nobody asked for.
    """

    wanted: str
    given: list[str]
    config: Config | None = None
    path: str | None = None
    table: ProviderTable | None = None
    variable: str | None = None
    fallback: bool = False

    def __repr__(self) -> str:
        return f"<{self.wanted}>"  # options may be secrets

    def provider(self) -> Provider:
        """Make it. Raises UsageError or a TakoError."""
        with _blaming(self.variable):
            if self.config is not None and self.table is not None:
                made = self.config.provider(self.wanted, **read_options(self.table.id, self.given))
                announce(self.config, self.path)
                return made
            made = make(self.wanted, self.given, self.config.providers if self.config is not None else ())
            announce_rules(self.config, self.path)
            return made

    def spec(self) -> tuple[str, dict[str, Any]]:
        """Return its id and its options, those of the file too. Raises UsageError or a TakoError."""
        with _blaming(self.variable):
            if self.config is None or self.table is None:
                return self.wanted, read_options(self.wanted, self.given)
            name = self.wanted.partition(":")[0]
            return self.table.id, {**self.config.options(name), **read_options(self.table.id, self.given)}


def pick(given: str | None, options: list[str], path: str | None = None) -> tuple[Provider, bool]:
    """Make the provider to use, and say whether it is the embedded one that nobody asked for; see ``decide``."""
    choice = decide(given, options, path)
    return choice.provider(), choice.fallback


def decide(
    given: str | None,
    options: list[str],
    path: str | None = None,
    *,
    preset: Callable[[Config | None], str | None] | None = None,
) -> Choice:
    """Decide which provider to use.

    ``given``, else what ``preset`` says of the configuration (as a template does), else the default of the file at
    ``path``, else TAKO_MODEL, else the default of the tako.toml that is found, else the embedded model. A name without
    a colon is one of the file's providers if there is one of that name. Raises ConfigurationError where there is none,
    saying what to do.
    """
    variable = os.environ.get(VARIABLE) or None if not given and path is None else None
    wanted = given or variable or None
    with _blaming(variable):
        config = configuration_for(wanted, path)
    told = preset(config) if preset is not None else None
    if told and not given:
        wanted, variable = told, None
    with _blaming(variable):
        if wanted is not None:
            return Choice(wanted, options, config, path, table_of(config, wanted), variable)
    if config is not None and config.default is not None:
        return Choice(config.default, options, config, path, config.providers[config.default])
    if path is None and embedded_ready():
        return Choice(EMBEDDED, options, config, fallback=True)
    if path is not None:
        raise ConfigurationError(f"{path}: default isn't set, and no -m names one of its providers")
    raise ConfigurationError(
        "no model is chosen: pass -m (as in -m openai:gpt-5), set TAKO_MODEL or a default in tako.toml, or run "
        '"pip install tako-llamacpp" and "tako setup embedded" for a small model that needs no key'
    )


@contextmanager
def _blaming(variable: str | None) -> Generator[None, None, None]:
    """Say of an error that TAKO_MODEL is to blame, where it decided."""
    try:
        yield
    except (ConfigurationError, PluginError, UsageError) as error:
        if variable is not None:
            error.args = (f"{VARIABLE}={variable}: {error}",)
        raise


def configuration_for(wanted: str | None, path: str | None) -> Config | None:
    """Read the file that applies. An id with a colon doesn't need it, so one that's broken and not named is ignored."""
    return read_configuration(path, needed=path is not None or ":" not in (wanted or ""))


def embedded_ready() -> bool:
    """Whether the embedded model can answer; a plugin that is absent or broken cannot."""
    try:
        if find_provider(EMBEDDED) is None:
            return False
        cls: Any = PLUGINS.provider_class(EMBEDDED)
    except PluginError:
        return False
    return bool(cls.ready())


def make(id: str, options: list[str], configured: Collection[str] = ()) -> Provider:
    """Make a provider by its id and KEY=VALUE options; raises UsageError, or what ``get_provider`` raises.

    ``configured`` are names of the file, for whoever mistypes one.
    """
    if not id.partition(":")[0]:
        raise UsageError(f"{id!r} isn't a model id; one looks like openai:gpt-5")
    try:
        return get_provider(id, **read_options(id, options))
    except UnknownProviderError:
        raise UnknownProviderError(unknown_provider(id, configured)) from None
    except ConfigurationError as error:
        name = id.partition(":")[0]
        variable = variable_for(PLUGINS.provider_class(name))
        if variable and variable in str(error) and not os.environ.get(variable):
            error.args = (f"{error} (tako keys set {name} keeps one)",)
        raise


def read_options(id: str, options: list[str]) -> dict[str, Any]:
    """Read KEY=VALUE pairs. A value is JSON where it is JSON and the option is not a text; else it is the text."""
    read: dict[str, Any] = {}
    for pair in options:
        key, equals, text = pair.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"an option is KEY=VALUE, as in timeout=30, not {key!r}")
        read[key] = text if _takes_text(id, key) else _value(key, text)
        if key in TABLES:
            if not isinstance(read[key], (dict, bool)):
                raise UsageError(f"the option {key} is a JSON object of its fields, as in -o '{key}={{…}}'")
            try:
                read[key] = fit(read[key], key, Any)
            except ValueError as error:
                raise UsageError(f"the option {key}{error}") from None
    return read


def _value(key: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return text
    except RecursionError:
        raise UsageError(f"the option {key} is nested too deeply") from None


def _takes_text(id: str, key: str) -> bool:
    """Whether the provider's option is declared as text, so that a key of digits stays one."""
    parameters = inspect.signature(PLUGINS.provider_class(id.partition(":")[0])).parameters
    declared = str(parameters[key].annotation) if key in parameters else ""
    return declared.startswith("str") or "'str'" in declared
