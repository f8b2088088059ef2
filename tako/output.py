"""Where plugins print while they are imported and made: in a command, never on the output that programs read."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stdout, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

OUTPUT_IS_OURS: ContextVar[bool] = ContextVar("output_is_ours", default=False)
"""Set by the command: what is on stdout is its answer alone. A program's stdout is its own business."""


@contextmanager
def plugin_output_to_stderr() -> Generator[None]:
    """Send to stderr what is printed within, by Python, by a library in C or by a process that is started."""
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
    """Let file descriptor 1 lead to stderr, if both are open."""
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
    with suppress(AttributeError, OSError, ValueError):  # none, a reader that is gone, or closed
        stream.flush()
