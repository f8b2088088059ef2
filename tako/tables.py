"""The tables of a ``tako.toml``, read and checked without importing a provider."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from tako.errors import ConfigurationError
from tako.hooks.settings import Settings
from tako.names import did_you_mean, nearest_or_all
from tako.options import find_secret, is_table
from tako.presets import Preset, read_preset

if TYPE_CHECKING:
    from collections.abc import Iterable

DOLLAR_PROVIDER = "http-generic"
"""The provider that also reads ``$NAME`` in headers as a variable."""


class ProviderTable(Struct, frozen=True):
    """One ``[providers.NAME]``: which provider, which model, and its options. ``id`` is the provider's.

    ``alias``: the table is a line of ``[aliases]``, an id under another name. ``label``: the name of the block, even if
    an alias of it is used, so that plugins for this block see every request.
    """

    use: str
    model: str = ""
    options: dict[str, Any] = {}
    alias: bool = False
    label: str = ""

    @property
    def id(self) -> str:
        """What ``get_provider`` takes."""
        return f"{self.use}:{self.model}" if self.model else self.use

    def of_model(self, model: str) -> ProviderTable:
        """Return the same for another model; for "" it's the table's own."""
        return replace(self, use=self.use.partition(":")[0], model=model) if model else self

    def __repr__(self) -> str:
        return f"<{self.id} with {', '.join(self.options) or 'no options'}>"  # their values may be secrets


class ConductorTable(Struct, frozen=True):
    """``[conductor]``: workers and coordinator by the names of providers; the rest as ``Conductor`` takes it."""

    workers: Annotated[dict[str, str], Meta(min_length=1)]
    coordinator: str | None = None
    max_steps: Annotated[int, Meta(ge=1)] = 8
    max_fanout: Annotated[int, Meta(ge=1)] = 4
    worker_timeout: Annotated[float, Meta(gt=0)] = 60.0
    fail_fast: bool = False
    system: str | None = None


class TomlFile(Struct, frozen=True):
    """A whole file."""

    providers: dict[str, dict[str, Any]] = {}
    default: str | None = None
    conductor: ConductorTable | None = None
    plugins: dict[str, Any] = {}
    allow_secrets: bool = False
    aliases: dict[str, str] = {}
    chat: dict[str, Any] = {}
    templates: dict[str, dict[str, Any]] = {}


class Tables(NamedTuple):
    """A file's content, checked."""

    providers: dict[str, ProviderTable]
    plugins: Settings
    chat: Preset
    templates: dict[str, Preset]
    file: TomlFile


def read_tables(path: str, data: bytes) -> Tables:
    """Read a file's content. Raises ConfigurationError with file and key."""
    try:
        return _read(path, data)
    except ConfigurationError as error:
        failure = error.with_traceback(None)  # its frames may have secrets
    failure.__context__ = None
    raise failure


def one_of(providers: Iterable[str]) -> str:
    """Return the names of a file's providers, for messages."""
    names = ", ".join(providers)
    return f"one of the [providers]: {names}" if names else "one of the [providers]: there are none"


def _read(path: str, data: bytes) -> Tables:
    try:
        content = tomllib.loads(data.decode("utf-8-sig").replace("\r\n", "\n"))
        _check_keys(path, "", content, TomlFile)
        conductor = content.get("conductor")
        _check_keys(path, "conductor.", conductor, ConductorTable)
        _check_values(
            path, "providers", content.get("providers"), dict, 'a table: [providers.NAME] with use = "openai"'
        )
        _check_values(path, "aliases", content.get("aliases"), str, 'an id: fast = "openai:gpt-6.2-sol"')
        _check_values(path, "templates", content.get("templates"), dict, 'a table: [templates.NAME] with prompt = "…"')
        if is_table(conductor):
            _check_values(path, "conductor.workers", conductor.get("workers"), str, "a name of one of the [providers]")
        file = msgspec.convert(content, TomlFile)
        providers = {name: _table(path, name, table, file) for name, table in file.providers.items()}
        providers |= _aliases(path, file, providers)
        plugins = _plugins(path, file)
        chat = read_preset(file.chat, f"{path}: chat", template=False)
        templates = {
            name: read_preset(table, f"{path}: templates.{name}", template=True)
            for name, table in file.templates.items()
        }
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None
    except UnicodeError as error:
        raise ConfigurationError(f"{path}: can't be read: {error}") from None
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {_plain_message(error)}") from None
    except RecursionError:
        raise ConfigurationError(f"{path}: not TOML: it is nested too deeply") from None
    _check_names(path, providers, file)
    return Tables(providers, plugins, chat, templates, file)


def _check_keys(path: str, where: str, table: Any, kind: type[Struct]) -> None:
    """Raise ConfigurationError for an unknown key."""
    known_keys = [field.name for field in msgspec.structs.fields(kind)]
    unknown = next((key for key in table if key not in known_keys), None) if is_table(table) else None
    if unknown is not None:
        raise ConfigurationError(f"{path}: {where}{unknown}: no such key{nearest_or_all(unknown, known_keys)}")


def _check_values(path: str, where: str, table: Any, kind: type, expected: str) -> None:
    """Raise ConfigurationError for a value of another type, with its key, which msgspec wouldn't name."""
    for key, value in table.items() if is_table(table) else ():
        if not isinstance(value, kind):
            raise ConfigurationError(f"{path}: {where}.{key}: expected {expected}, got {type(value).__name__}")


def _table(path: str, name: str, table: dict[str, Any], file: TomlFile) -> ProviderTable:
    where = f"{path}: providers.{name}"
    options = dict(table)
    use, model = options.pop("use", None), options.pop("model", "")
    for key, value in (("use", use), ("model", model)):
        if not isinstance(value, str):
            raise ConfigurationError(f'{where}.{key} must be text, as in use = "openai", model = "gpt-6.2-sol"')
    if not use or (":" in use and model):
        raise ConfigurationError(
            f'{where}.use names a provider, as in "openai", or provider and model: "openai:gpt-6.2-sol"'
        )
    _refuse_secrets(where, options, file, dollar=use.partition(":")[0] == DOLLAR_PROVIDER)
    return ProviderTable(use, model, options, label=name)


def _aliases(path: str, file: TomlFile, providers: dict[str, ProviderTable]) -> dict[str, ProviderTable]:
    """Read ``[aliases]``: names of ids, or of providers of the file."""
    aliases: dict[str, ProviderTable] = {}
    for name, target in file.aliases.items():
        where = f"{path}: aliases.{name}"
        if not name or ":" in name or name in providers:
            problem = "[providers] has that name" if name in providers else "a name without a colon is expected"
            raise ConfigurationError(f"{where}: {problem}")
        table = providers.get(target)
        if table is None and not all(target.partition(":")):
            raise ConfigurationError(
                f'{where}: {target!r} isn\'t an id, as in "openai:gpt-6.2-sol", nor {one_of(providers)}'
            )
        aliases[name] = replace(table or ProviderTable(target, label=name), alias=True)
    return aliases


def _plugins(path: str, file: TomlFile) -> Settings:
    """Read ``[plugins]``: two lists of names, and the tables of options."""
    options = dict(file.plugins)
    lists: dict[str, tuple[str, ...]] = {}
    for key in ("order", "required"):
        names: list[Any] = options.pop(key, [])
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise ConfigurationError(f'{path}: plugins.{key}: expected a list of plugins, as in ["audit", "redact"]')
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise ConfigurationError(f"{path}: plugins.{key} names {repeated!r} twice")
        lists[key] = tuple(names)
    for name, table in options.items():
        if not is_table(table):
            raise ConfigurationError(
                f"{path}: plugins.{name}: no such key (known: order, required, and a table of options for "
                f"each plugin: [plugins.NAME])"
            )
        _refuse_secrets(f"{path}: plugins.{name}", table, file)
    return Settings(path, lists["order"], lists["required"], options)


def _refuse_secrets(where: str, table: dict[str, Any], file: TomlFile, *, dollar: bool = False) -> None:
    """Raise ConfigurationError for a secret in a table of options, unless the file allows them."""
    secret = None if file.allow_secrets else find_secret(table, dollar=dollar)
    if secret is not None:
        raise ConfigurationError(
            f'{where}{secret} holds a secret itself; name a variable, as in "$ENV:NAME", or set allow_secrets = true'
        )


def _check_names(path: str, providers: dict[str, ProviderTable], file: TomlFile) -> None:
    """Raise ConfigurationError for the name of a provider that isn't in the file."""
    table = file.conductor
    used = {"default": file.default}
    if table is not None:
        used |= {"conductor.coordinator": table.coordinator}
        used |= {f"conductor.workers.{role}": name for role, name in table.workers.items()}
    for key, name in used.items():
        if name is not None and name not in providers:
            raise ConfigurationError(
                f"{path}: {key} = {name!r} isn't {one_of(providers)}{did_you_mean(name, providers)}"
            )


def _plain_message(error: msgspec.ValidationError) -> str:
    """Turn msgspec's ``… - at `$.conductor.max_steps` `` into ``conductor.max_steps: …``."""
    text, _, path = str(error).partition(" - at `$")
    return f"{path.rstrip('`').lstrip('.')}: {text}" if path else text
