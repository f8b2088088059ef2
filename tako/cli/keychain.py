"""Keys that the user keeps: in the system's keyring where there is one, else in a file for the user alone.

The commands put them into the environment of their own process, where providers look for keys. What is there already
wins. A program that imports tako reads none of them.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tako.cli.run import complain
from tako.errors import ConfigurationError
from tako.folders import config_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.provider import Provider

SERVICE = "tako"
NAME = "keys.json"
KEYRING = "keyring"
"""Where a key is, as the file has it: in the keyring, or (any other value) in the file itself, as ``{"key": …}``."""

Place = str | dict[str, str]
VARIABLES = {
    "anthropic": "ANTHROPIC_API_KEY",
    "azure-openai": "AZURE_OPENAI_API_KEY",
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK",
    "gemini": "GEMINI_API_KEY",
    "ollama": "OLLAMA_API_KEY",
}
"""The variables of keys that providers look for; those that speak Chat Completions say it themselves."""


def variable_for(cls: type[Provider]) -> str:
    """Return the variable that has a provider's key; "" if it needs none."""
    variable: str = getattr(cls, "key_variable", "") or VARIABLES.get(cls.name, "")
    return variable


def key_file() -> Path:
    """Return the file that says what keys there are. Raises ConfigurationError without a home folder."""
    folder = config_folder()
    if folder is None:
        raise ConfigurationError("keys need a home folder; set HOME or XDG_CONFIG_HOME")
    return folder / NAME


def stored() -> dict[str, Place]:
    """Return the variables that keys are kept for, and where each is. Raises ConfigurationError."""
    if config_folder() is None:
        return {}
    file = key_file()
    try:
        data = file.read_bytes()
        if os.name != "nt" and file.stat().st_mode & 0o077:
            raise ConfigurationError(f"others can read {file}, so its keys aren't used: chmod 600 {file}")
    except (FileNotFoundError, NotADirectoryError):  # a home of /dev/null has no keys
        return {}
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror or error}") from None
    with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        return msgspec.json.decode(data, type=dict[str, Place])
    raise ConfigurationError(f"{file} is broken; delete it, and set your keys again")


def keep(variable: str, key: str) -> str:
    """Keep a key, and return where it is now."""
    places = stored()
    system = _system()
    if system is not None:
        try:
            system.set_password(SERVICE, variable, key)
        except Exception as error:  # noqa: BLE001 - each backend has its own
            raise ConfigurationError(f"the system's keyring can't keep the key: {_why(error)}") from None
        _write({**places, variable: KEYRING})
        return "the system's keyring"
    _write({**places, variable: {"key": key}})
    return str(key_file())


def forget(variable: str) -> bool:
    """Forget a key; returns whether there was one."""
    places = stored()
    if variable not in places:
        return False
    if places.pop(variable) == KEYRING and (system := _system()) is not None:
        with suppress(Exception):  # somebody else has deleted it
            system.delete_password(SERVICE, variable)
    _write(places)
    return True


def supply() -> None:
    """Put the keys into the environment, but for variables that are set. Raises ConfigurationError."""
    for variable, place in stored().items():
        if not os.environ.get(variable):
            key = _of_system(variable) if isinstance(place, str) else place.get("key")
            if key:
                os.environ[variable] = key


def _of_system(variable: str) -> str | None:
    system = _system()
    try:
        key: str | None = system.get_password(SERVICE, variable) if system is not None else None
    except Exception as error:  # noqa: BLE001 - it is locked, or the desktop's service doesn't answer
        complain(f"tako: the system's keyring can't be read, so {variable} has no key: {_why(error)}")
        return None
    return key


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _system() -> Any:
    """Return the system's keyring; None if there is none, or nothing installed that knows it."""
    try:
        library: Any = import_module("keyring")
        backend = library.get_keyring()
        usable = backend.priority > 0
    except Exception:  # noqa: BLE001 - it isn't installed, or the desktop's service can't be used
        return None
    return backend if usable else None


def _write(places: Mapping[str, Place]) -> None:
    """Write the file, for the user alone."""
    file = key_file()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=file.parent)  # for the user alone
        try:
            with open(number, "wb") as made:  # noqa: PTH123 - by its descriptor
                made.write(msgspec.json.format(msgspec.json.encode(places), indent=2))
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)  # it has keys
            raise
    except OSError as error:
        raise ConfigurationError(f"keys can't be kept in {file}: {error.strerror or error}") from None
