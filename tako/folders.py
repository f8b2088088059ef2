"""The folders of a user's own files: configuration, state and data."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def config_folder() -> Path | None:
    """Return the folder of the user's configuration, even if it doesn't exist. None without a home folder."""
    if sys.platform == "win32":
        return _in_home("APPDATA", "AppData", "Roaming")
    return _in_home("", "Library", "Application Support") if _is_mac() else _in_home("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path | None:
    """Return the folder of tako's state between runs, even if it doesn't exist. None without a home folder."""
    if sys.platform == "win32":
        return _in_home("LOCALAPPDATA", "AppData", "Local")
    return (
        _in_home("", "Library", "Application Support") if _is_mac() else _in_home("XDG_STATE_HOME", ".local", "state")
    )


def data_folder() -> Path | None:
    """Return the folder of the user's data, even if it doesn't exist. None without a home folder."""
    if sys.platform == "win32":
        return _in_home("LOCALAPPDATA", "AppData", "Local")
    return _in_home("", "Library", "Application Support") if _is_mac() else _in_home("XDG_DATA_HOME", ".local", "share")


def _is_mac() -> bool:
    return sys.platform == "darwin"


def _in_home(variable: str, *usual: str) -> Path | None:
    """Return tako's folder in the variable's folder, else in the usual one in the home folder.

    Only absolute paths count, as the XDG specification says. A relative one would depend on the current folder, whose
    files somebody else may have written.
    """
    named = Path(os.environ.get(variable) or ".") if variable else Path()
    if named.is_absolute():
        return named / "tako"
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and the system doesn't know the user
        return None
    return home.joinpath(*usual, "tako") if home.is_absolute() else None
