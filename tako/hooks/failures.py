"""Exceptions of plugins: which ones pass through unchanged, and how the others are reported."""

from __future__ import annotations

import threading
import traceback
from typing import Any

from tako import errors
from tako.errors import TakoError

PASSED_THROUGH = (TakoError, SystemExit, KeyboardInterrupt)
"""Exceptions that pass through a call unchanged: tako's own errors, and the end of the program."""


class WrongResultError(TypeError):
    """A plugin returned or yielded something else than the hook requires. The text goes after the plugin's name."""


def one_line(error: BaseException) -> str:
    """Return an exception as one line: its class and its text."""
    text = errors.one_line(_text_of(error))
    if isinstance(error, WrongResultError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def report(error: BaseException) -> str:
    """Return an exception as text: one line of summary, then the traceback."""
    return f"{one_line(error)}\n{''.join(traceback.format_exception(error))}"


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception is the user's Ctrl-C, which only comes in the main thread, and isn't a plugin's fault."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def passes_through(error: BaseException) -> bool:
    """Whether an exception at call time passes through unchanged. Others get the name of the code that raised them.

    Call it where the exception is caught: a GeneratorExit from closing a generator has no other frame than that one.
    """
    if isinstance(error, PASSED_THROUGH):
        return True
    if isinstance(error, GeneratorExit):
        return error.__traceback__ is not None and error.__traceback__.tb_next is None
    if isinstance(error, Exception):
        return False
    grouped: Any = getattr(error, "exceptions", ())  # of an exception group
    return (
        any(passes_through(member) for member in grouped if not isinstance(member, Exception))
        if grouped
        else _is_cancellation(error)
    )


def _is_cancellation(error: BaseException) -> bool:
    """Whether it's the cancellation of asyncio, or of another running event loop."""
    from asyncio import CancelledError  # imported here, since it's only needed after a failure

    import anyio

    try:
        return isinstance(error, (CancelledError, anyio.get_cancelled_exc_class()))
    except Exception:  # noqa: BLE001 - no loop runs: which exception says so depends on anyio's version
        return isinstance(error, CancelledError)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception whose own text fails is reported by its class
        return ""
