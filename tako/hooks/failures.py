"""Whose fault an exception is: what passes as it is, and the words for the rest."""

from __future__ import annotations

import threading
import traceback
from typing import Any

from tako import errors
from tako.errors import TakoError

PASSING = (TakoError, SystemExit, KeyboardInterrupt)
"""What goes through at call time as it is: errors on purpose, and the end of the program."""


class WrongResultError(TypeError):
    """A plugin returned or yielded something else than a hook promises; the text says what, to follow a name."""


def one_line(error: BaseException) -> str:
    """Return an exception as one line: its class and its text."""
    text = errors.one_line(_text(error))
    if isinstance(error, WrongResultError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def report(error: BaseException) -> str:
    """Return an exception as text: one line that says what it is, then the traceback."""
    return f"{one_line(error)}\n{''.join(traceback.format_exception(error))}"


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception is the user's Ctrl-C, which comes in the main thread alone, and no plugin's fault."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def passes(error: BaseException) -> bool:
    """Whether an exception at call time goes through as it is; any other gets the name of who raised it.

    Ask where it's caught: a GeneratorExit of who closes a generator or a coroutine has no frame but that one's.
    """
    if isinstance(error, PASSING):
        return True
    if isinstance(error, GeneratorExit):
        return error.__traceback__ is not None and error.__traceback__.tb_next is None
    if isinstance(error, Exception):
        return False
    within: Any = getattr(error, "exceptions", ())  # those of a group, as of tasks
    return any(passes(one) for one in within if not isinstance(one, Exception)) if within else _is_cancellation(error)


def _is_cancellation(error: BaseException) -> bool:
    """Whether it's asyncio's cancellation, or that of another event loop that runs."""
    from asyncio import CancelledError  # here and below: imported when something has failed

    import anyio

    try:
        return isinstance(error, (CancelledError, anyio.get_cancelled_exc_class()))
    except Exception:  # noqa: BLE001 - no loop runs: which exception says so depends on anyio's version
        return isinstance(error, CancelledError)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception whose own text fails is reported by its class
        return ""
