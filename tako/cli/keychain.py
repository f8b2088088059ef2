"""Keys that the user stored: in the system's keyring, or in a file that only the user can read.

The commands put them into the environment of their own process, where providers look for keys. Variables that are
already set win. A program that imports tako doesn't read them.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tako.cli.run import print_to_stderr
from tako.errors import ConfigurationError
from tako.folders import config_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.provider import Provider

SERVICE = "tako"
NAME = "keys.json"
KEYRING = "keyring"
"""The location of a key that is in the keyring. Otherwise the key is in the file, as ``{"key": …}``."""

Location = str | dict[str, str]
VARIABLES = {
    "anthropic": "ANTHROPIC_API_KEY",
    "azure-openai": "AZURE_OPENAI_API_KEY",
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK",
    "gemini": "GEMINI_API_KEY",
    "ollama": "OLLAMA_API_KEY",
}
"""The variables in which providers look for keys. Providers with Chat Completions have it in ``key_variable``."""


def variable_for(cls: type[Provider]) -> str:
    """Return the variable of a provider's key, "" if it needs no key."""
    variable: str = getattr(cls, "key_variable", "") or VARIABLES.get(cls.name, "")
    return variable


def key_file() -> Path:
    """Return the file that lists the keys. Raises ConfigurationError without a home folder."""
    folder = config_folder()
    if folder is None:
        raise ConfigurationError("keys need a home folder; set HOME or XDG_CONFIG_HOME")
    return folder / NAME


def stored_keys() -> dict[str, Location]:
    """Return the variables that have a stored key, and where each key is. Raises ConfigurationError."""
    if config_folder() is None:
        return {}
    file = key_file()
    try:
        data = file.read_bytes()
        if os.name != "nt" and file.stat().st_mode & 0o077:
            raise ConfigurationError(f"others can read {file}, so tako doesn't use its keys; run: chmod 600 {file}")
    except (FileNotFoundError, NotADirectoryError):  # a home of /dev/null has no keys
        return {}
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror or error}") from None
    with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        return msgspec.json.decode(data, type=dict[str, Location])
    raise ConfigurationError(f"{file} is broken; delete it, and set your keys again")


def store_key(variable: str, key: str) -> str:
    """Store a key, and return its place as a text."""
    locations = stored_keys()
    keyring = _keyring()
    if keyring is not None:
        try:
            keyring.set_password(SERVICE, variable, key)
        except Exception as error:  # noqa: BLE001 - each backend has its own
            raise ConfigurationError(f"the system's keyring can't store the key: {_reason(error)}") from None
        _write({**locations, variable: KEYRING})
        return "the system's keyring"
    _write({**locations, variable: {"key": key}})
    return str(key_file())


def remove_key(variable: str) -> bool:
    """Delete a key; return whether there was one."""
    locations = stored_keys()
    if variable not in locations:
        return False
    if locations.pop(variable) == KEYRING and (keyring := _keyring()) is not None:
        with suppress(Exception):  # another program has deleted it
            keyring.delete_password(SERVICE, variable)
    _write(locations)
    return True


def export_keys() -> None:
    """Put the keys into the environment, except for variables that are set. Raises ConfigurationError."""
    for variable, location in stored_keys().items():
        if not os.environ.get(variable):
            key = _key_from_keyring(variable) if isinstance(location, str) else location.get("key")
            if key:
                os.environ[variable] = key


def _key_from_keyring(variable: str) -> str | None:
    keyring = _keyring()
    try:
        key: str | None = keyring.get_password(SERVICE, variable) if keyring is not None else None
    except Exception as error:  # noqa: BLE001 - it is locked, or the desktop's service doesn't answer
        print_to_stderr(
            f"tako: the system's keyring can't be read, so the key for {variable} is missing: {_reason(error)}"
        )
        return None
    return key


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _keyring() -> Any:
    """Return the system's keyring; None if it doesn't have one, or if `keyring` isn't installed."""
    try:
        backend: Any = import_module("keyring").get_keyring()
        is_usable = backend.priority > 0
    except Exception:  # noqa: BLE001 - it isn't installed, or the desktop's service can't be used
        return None
    return backend if is_usable else None


def _write(locations: Mapping[str, Location]) -> None:
    """Write the file so that only the user can read it."""
    file = key_file()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=file.parent)  # only the user can read it
        try:
            with open(number, "wb") as file_object:  # noqa: PTH123 - by its descriptor
                file_object.write(msgspec.json.format(msgspec.json.encode(locations), indent=2))
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)  # it contains keys
            raise
    except OSError as error:
        raise ConfigurationError(f"keys can't be stored in {file}: {error.strerror or error}") from None
