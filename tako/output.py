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
    ours = sys.stdout
    with redirect_stdout(sys.stderr), _descriptor_of(ours):
        try:
            yield
        finally:
            _flush(ours)


@contextmanager
def _descriptor_of(stream: Any) -> Generator[None]:
    """Redirect file descriptor 1 to stderr, if both are open."""
    _flush(stream)
    try:
        kept = os.dup(1)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):
            os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _flush(stream: Any) -> None:
    with suppress(AttributeError, OSError, ValueError):  # there's none, its reader is gone, or it's closed
        stream.flush()
