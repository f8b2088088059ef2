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
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Struct

from tako.conductor import Conductor
from tako.errors import ConfigurationError, TakoError
from tako.hooks import get_provider

if TYPE_CHECKING:
    from tako.provider import Provider

VARIABLE = "TAKO_CONFIG"
NAME = "tako.toml"
_SECRET = re.compile(r"(^|_)(key|token|secret|password)$|authorization", re.IGNORECASE)


class ProviderTable(Struct, frozen=True):
    """One ``[providers.NAME]``: which provider, which model, and its options."""

    use: str
    model: str = ""
    options: dict[str, Any] = {}


class ConductorTable(Struct, frozen=True, forbid_unknown_fields=True):
    """``[conductor]``: workers and coordinator by the names of providers; the rest as ``Conductor`` takes it."""

    workers: dict[str, str]
    coordinator: str | None = None
    max_steps: int = 8
    max_fanout: int = 4
    worker_timeout: float = 60.0
    fail_fast: bool = False
    system: str | None = None


class _File(Struct, frozen=True, forbid_unknown_fields=True):
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

    def provider(self, name: str | None = None) -> Provider:
        """Make the provider of that name, or the default one. Raises ConfigurationError with file and key."""
        wanted = name if name is not None else self.default
        if wanted is None:
            raise ConfigurationError(f"{self.path}: default is not set; it names one of the providers")
        table = self.providers.get(wanted)
        if table is None:
            known = ", ".join(self.providers) or "none"
            raise ConfigurationError(f"{self.path}: there is no [providers.{wanted}] (providers: {known})")
        try:
            return get_provider(f"{table.use}:{table.model}", **table.options)
        except TakoError as error:
            raise type(error)(f"{self.path}: providers.{wanted}: {error}") from error

    def conductor(self) -> Conductor:
        """Make the Conductor; one name is one provider object. Raises ConfigurationError with file and key."""
        table = self.conductor_table
        if table is None:
            raise ConfigurationError(f"{self.path}: there is no [conductor]")
        names = [*table.workers.values(), *([table.coordinator] if table.coordinator else [])]
        made = {name: self.provider(name) for name in dict.fromkeys(names)}
        return Conductor(
            {role: made[name] for role, name in table.workers.items()},
            made[table.coordinator] if table.coordinator else None,
            max_steps=table.max_steps,
            max_fanout=table.max_fanout,
            worker_timeout=table.worker_timeout,
            fail_fast=table.fail_fast,
            system=table.system,
        )


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
    if named is not None:
        if not Path(named).is_file():
            raise ConfigurationError(
                f"there is no configuration at {named}" + (f" ({VARIABLE})" if path is None else "")
            )
        return Path(named)
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
        file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {_plain(error)}") from None
    providers = {name: _table(path, name, table, file.allow_secrets) for name, table in file.providers.items()}
    config = Config(str(path), providers, file.default, file.conductor)
    _check_names(config)
    return config


def _table(path: Path, name: str, table: dict[str, Any], allow_secrets: bool) -> ProviderTable:
    where = f"{path}: providers.{name}"
    rest = dict(table)
    use, model = rest.pop("use", None), rest.pop("model", "")
    if not isinstance(use, str) or not isinstance(model, str):
        raise ConfigurationError(f'{where}: use and model are text: use = "openai", model = "gpt-5"')
    if not allow_secrets:
        _refuse_secrets(where, rest)
    return ProviderTable(use, model, rest)


def _refuse_secrets(where: str, options: dict[str, Any]) -> None:
    """Keep keys out of files: they are named by their environment variables."""
    for key, value in options.items():
        inner = cast("dict[str, Any]", value) if isinstance(value, dict) else None
        if inner is not None:
            _refuse_secrets(f"{where}.{key}", inner)
        elif isinstance(value, str) and _SECRET.search(key) and not value.startswith("$"):
            del value
            raise ConfigurationError(
                f'{where}.{key} holds a secret itself; write {key} = "$ENV:NAME", or set allow_secrets = true'
            )


def _check_names(config: Config) -> None:
    """Refuse names of providers that are not there."""
    table = config.conductor_table
    used = {"default": config.default}
    if table is not None:
        used |= {"conductor.coordinator": table.coordinator}
        used |= {f"conductor.workers.{role}": name for role, name in table.workers.items()}
    for key, name in used.items():
        if name is not None and name not in config.providers:
            known = ", ".join(config.providers) or "none"
            raise ConfigurationError(f"{config.path}: {key} = {name!r} names no provider (providers: {known})")


def _plain(error: msgspec.ValidationError) -> str:
    """Turn msgspec's ``… - at `$.conductor.max_steps` `` into ``conductor.max_steps: …``."""
    text, _, place = str(error).partition(" - at `$")
    return f"{place.rstrip('`').lstrip('.')}: {text}" if place else text
