"""``tako.toml``: named providers, a default, and a Conductor, so that vendors change by editing a file.

::

    default = "code"

    [providers.code]
    use = "anthropic"
    model = "claude-sonnet-4-5"
    api_key = "$ENV:ANTHROPIC_API_KEY"

    [providers.math]
    use = "vertex"
    model = "gemini-2.5-pro"
    project_id = "acme"

    [conductor]
    coordinator = "code"
    max_fanout = 8
    [conductor.workers]
    code = "code"
    math = "math"
"""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from tako.conductor import Conductor
from tako.errors import ConfigurationError, TakoError
from tako.hooks import PLUGINS, get_provider
from tako.options import find_secret, fit, is_table, options_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tako.provider import Provider

VARIABLE = "TAKO_CONFIG"
NAME = "tako.toml"


class ProviderTable(Struct, frozen=True):
    """One ``[providers.NAME]``: which provider, which model, and its options. ``id`` is the provider's."""

    use: str
    model: str = ""
    options: dict[str, Any] = {}

    @property
    def id(self) -> str:
        """What ``get_provider`` takes."""
        return f"{self.use}:{self.model}" if self.model else self.use

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


class _File(Struct, frozen=True):
    providers: dict[str, dict[str, Any]] = {}
    default: str | None = None
    conductor: ConductorTable | None = None
    allow_secrets: bool = False


class Config(Struct, frozen=True):
    """What a file says. Providers are made when they are asked for, so that one without a key harms no other."""

    path: str
    providers: dict[str, ProviderTable] = {}
    default: str | None = None
    conductor_table: ConductorTable | None = None

    def provider(self, name: str | None = None, **options: Any) -> Provider:
        """Make the provider of that name, or the default one; ``options`` go over those of the file.

        Raises ConfigurationError, or what the provider raises, with file and key.
        """
        wanted = name if name is not None else self.default
        if wanted is None:
            raise ConfigurationError(f"{self.path}: default is not set; it names {_one_of(self.providers)}")
        table = self.providers.get(wanted)
        if table is None:
            raise ConfigurationError(f"{self.path}: there is no [providers.{wanted}], only {_one_of(self.providers)}")
        where = f"{self.path}: providers.{wanted}"
        try:
            return get_provider(table.id, **{**_fitted(table, where), **options})
        except TakoError as error:
            error.args = (error.args[0] if str(error.args[0]).startswith(where) else f"{where}: {error.args[0]}",)
            failure = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - a constructor that chokes on a value that it did not check
            failure = ConfigurationError(f"{where}: {table.id} takes no such options: {type(error).__name__}: {error}")
        options.clear()  # a traceback with locals shows this frame
        raise failure

    def conductor(self) -> Conductor:
        """Make the Conductor; one name is one provider object. Raises ConfigurationError with file and key."""
        table = self.conductor_table
        if table is None:
            raise ConfigurationError(f"{self.path}: [conductor] is missing; its workers name {_one_of(self.providers)}")
        names = [*table.workers.values(), *([table.coordinator] if table.coordinator else [])]
        made = {name: self.provider(name) for name in dict.fromkeys(names)}
        try:
            return Conductor(
                {role: made[name] for role, name in table.workers.items()},
                made[table.coordinator] if table.coordinator else None,
                max_steps=table.max_steps,
                max_fanout=table.max_fanout,
                worker_timeout=table.worker_timeout,
                fail_fast=table.fail_fast,
                system=table.system,
            )
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.path}: conductor: {error}") from error


def load_config(path: str | os.PathLike[str] | None = None) -> Config:
    """Read a configuration: the given file, else TAKO_CONFIG, else ./tako.toml, else the user's own.

    Raises ConfigurationError where there is none, or with file, key and what was expected where it is wrong.
    """
    found = find_config(path)
    if found is None:
        raise ConfigurationError(f"no configuration: neither {VARIABLE} nor ./{NAME} nor {user_config()}")
    return _read(found)


def find_config(path: str | os.PathLike[str] | None = None) -> Path | None:
    """Find the configuration that ``load_config`` reads, or None where there is none.

    Raises ConfigurationError where the given file, or the one that TAKO_CONFIG names, does not exist.
    """
    named = path if path is not None else os.environ.get(VARIABLE) or None
    if not isinstance(named, (str, os.PathLike, NoneType)):
        raise ConfigurationError(f"the path of a configuration is a str or a Path, not {named!r}")
    if named is not None:
        given = Path(os.path.expanduser(named))  # noqa: PTH111 - Path's raises where ~ is nobody's
        if not given.is_file():
            from_where = f" ({VARIABLE})" if path is None else ""
            raise ConfigurationError(f"{named}: there is no such file{from_where}; a configuration is expected there")
        return given
    return next((place for place in (Path(NAME), user_config()) if place.is_file()), None)


def user_config() -> Path:
    """Return where the user's own configuration lies, whether it exists or not."""
    if sys.platform == "win32":
        root = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Application Support"
    else:
        root = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return root / "tako" / NAME


def _read(path: Path) -> Config:
    try:
        return _decode(path)
    except ConfigurationError as error:
        failure = error.with_traceback(None)  # its frames may hold secrets
    failure.__context__ = None
    raise failure


def _decode(path: Path) -> Config:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        _check_keys(path, "", data, _File)
        conductor = data.get("conductor")
        _check_keys(path, "conductor.", conductor, ConductorTable)
        _check_values(path, "providers", data.get("providers"), dict, 'a table: [providers.NAME] with use = "openai"')
        if is_table(conductor):
            _check_values(path, "conductor.workers", conductor.get("workers"), str, "a name of one of the [providers]")
        file = msgspec.convert(data, _File)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {_plain(error)}") from None
    providers = {name: _table(path, name, table, file.allow_secrets) for name, table in file.providers.items()}
    config = Config(str(path), providers, file.default, file.conductor)
    _check_names(config)
    return config


def _check_keys(path: Path, where: str, table: Any, kind: type[Struct]) -> None:
    """Refuse keys that mean nothing."""
    known = [field.name for field in msgspec.structs.fields(kind)]
    unknown = next((key for key in table if key not in known), None) if is_table(table) else None
    if unknown is not None:
        raise ConfigurationError(f"{path}: {where}{unknown}: there is no such key (known: {', '.join(known)})")


def _check_values(path: Path, where: str, table: Any, kind: type, expected: str) -> None:
    """Refuse values of another kind; msgspec would not say under which key they are."""
    for key, value in table.items() if is_table(table) else ():
        if not isinstance(value, kind):
            raise ConfigurationError(f"{path}: {where}.{key}: expected {expected}, got {type(value).__name__}")


def _table(path: Path, name: str, table: dict[str, Any], allow_secrets: bool) -> ProviderTable:
    where = f"{path}: providers.{name}"
    rest = dict(table)
    use, model = rest.pop("use", None), rest.pop("model", "")
    for key, value in (("use", use), ("model", model)):
        if not isinstance(value, str):
            raise ConfigurationError(f'{where}.{key} is missing or no text: use = "openai", model = "gpt-5"')
    if not use or (":" in use and model):
        raise ConfigurationError(f'{where}.use names a provider, as in "openai", or provider and model: "openai:gpt-5"')
    secret = None if allow_secrets else find_secret(rest)
    if secret is not None:
        raise ConfigurationError(
            f'{where}{secret} holds a secret itself; name a variable, as in "$ENV:NAME", or set allow_secrets = true'
        )
    return ProviderTable(use, model, rest)


def _fitted(table: ProviderTable, where: str) -> dict[str, Any]:
    """Check the options of a table against those of its provider; raises ConfigurationError with the key."""
    known = options_of(PLUGINS.provider_class(table.use.partition(":")[0]))
    if known is None:
        return dict(table.options)
    made: dict[str, Any] = {}
    for key, value in table.options.items():
        if key not in known:
            names = ", ".join(name for name in known if name != "model")
            raise ConfigurationError(f"{where}.{key}: {table.use} has no such option (known: {names})")
        try:
            made[key] = fit(value, key, known[key])
        except ValueError as error:
            raise ConfigurationError(f"{where}.{key}{error}") from None
    return made


def _check_names(config: Config) -> None:
    """Refuse names of providers that are not there."""
    table = config.conductor_table
    used = {"default": config.default}
    if table is not None:
        used |= {"conductor.coordinator": table.coordinator}
        used |= {f"conductor.workers.{role}": name for role, name in table.workers.items()}
    for key, name in used.items():
        if name is not None and name not in config.providers:
            raise ConfigurationError(f"{config.path}: {key} = {name!r} is none; it names {_one_of(config.providers)}")


def _one_of(providers: Iterable[str]) -> str:
    names = ", ".join(providers)
    return f"one of the [providers]: {names}" if names else "one of the [providers], of which there are none"


def _plain(error: msgspec.ValidationError) -> str:
    """Turn msgspec's ``… - at `$.conductor.max_steps` `` into ``conductor.max_steps: …``."""
    text, _, place = str(error).partition(" - at `$")
    return f"{place.rstrip('`').lstrip('.')}: {text}" if place else text
