"""The output of plugins while they're imported and made. In a command, it goes to stderr."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stdout, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

OUTPUT_IS_OURS: ContextVar[bool] = ContextVar("output_is_ours", default=False)
"""Set by the command, whose stdout only has its answer. In other programs, plugins print where they like."""


@contextmanager
def plugin_output_to_stderr() -> Generator[None]:
    """Redirect stdout to stderr within the block, also for C libraries and child processes."""
    if not OUTPUT_IS_OURS.get():
        yield
        return
    stdout = sys.stdout
    with redirect_stdout(sys.stderr), _redirect_descriptor(stdout):
        try:
            yield
        finally:
            _flush(stdout)


@contextmanager
def _redirect_descriptor(stream: Any) -> Generator[None]:
    """Redirect file descriptor 1 to stderr, if both are open."""
    _flush(stream)
    try:
        saved_descriptor = os.dup(1)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):
            os.dup2(2, 1)
        yield
    finally:
        os.dup2(saved_descriptor, 1)
        os.close(saved_descriptor)


def _flush(stream: Any) -> None:
    with suppress(AttributeError, OSError, ValueError):  # there's none, its reader is gone, or it's closed
        stream.flush()
