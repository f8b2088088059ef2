"""The ``tako`` command. Each part of it is imported when it is asked for, so that it starts at once."""

from __future__ import annotations

from tako.cli.run import main

__all__ = ["main"]
