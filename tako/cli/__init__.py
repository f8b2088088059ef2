"""The ``tako`` command. Its parts are imported when they are needed, so that it starts at once."""

from __future__ import annotations

from tako.cli.run import main

__all__ = ["main"]
