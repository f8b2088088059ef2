"""Where a user's own files lie: configuration, and what tako remembers."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def config_folder() -> Path | None:
    """Return the folder of the user's own configuration, whether it exists or not; None without a home folder."""
    if sys.platform == "win32":
        return _in_home("APPDATA", "AppData", "Roaming")
    return _in_home("", "Library", "Application Support") if _is_mac() else _in_home("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path | None:
    """Return the folder of what tako remembers between runs, whether it exists or not; None without a home folder."""
    if sys.platform == "win32":
        return _in_home("LOCALAPPDATA", "AppData", "Local")
    return (
        _in_home("", "Library", "Application Support") if _is_mac() else _in_home("XDG_STATE_HOME", ".local", "state")
    )


def data_folder() -> Path | None:
    """Return the folder of what the user keeps with tako, whether it exists or not; None without a home folder."""
    if sys.platform == "win32":
        return _in_home("LOCALAPPDATA", "AppData", "Local")
    return _in_home("", "Library", "Application Support") if _is_mac() else _in_home("XDG_DATA_HOME", ".local", "share")


def _is_mac() -> bool:
    return sys.platform == "darwin"


def _in_home(variable: str, *usual: str) -> Path | None:
    """Return tako's folder below a variable's, else below the usual one in the home folder.

    Only absolute paths count, as the XDG specification says: a relative one would be in whatever folder is current,
    and whoever wrote that folder's files would speak for the user.
    """
    named = Path(os.environ.get(variable) or ".") if variable else Path()
    if named.is_absolute():
        return named / "tako"
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and the system doesn't know the user
        return None
    return home.joinpath(*usual, "tako") if home.is_absolute() else None
