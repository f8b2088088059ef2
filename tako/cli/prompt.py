"""The prompt: the words on the command line, and standard input."""

from __future__ import annotations

import errno
import sys
from threading import Timer

from tako.cli.arguments import UsageError
from tako.cli.run import print_to_stderr

STDIN_MARK = "-"
"""The argument that means standard input."""
HINT_DELAY = 2.0
"""Seconds until a line says that the command waits for standard input."""


def read_prompt(args: list[str], *, needed: bool = True) -> str | None:
    """Return the prompt. Return None for a conversation: there are no ``args``, and standard input is a terminal.

    Standard input goes where ``-`` is, or else after the words. Raises UsageError, also for an empty prompt if it's
    ``needed``.
    """
    if args.count(STDIN_MARK) > 1:
        raise UsageError(f"use {STDIN_MARK} only once: standard input can be read only once")
    has_mark = STDIN_MARK in args
    if sys.stdin.isatty() and not has_mark:
        if not args:
            return None if needed else ""
        pieces = [" ".join(args)]
    else:
        index = args.index(STDIN_MARK) if has_mark else len(args)
        pieces = [" ".join(args[:index]), _read_standard_input(has_mark=has_mark), " ".join(args[index + 1 :])]
    text = "\n\n".join(piece for piece in pieces if piece.strip())
    if not text and needed:
        raise UsageError("the prompt is empty; write it after the command, or pipe it in")
    if not is_text(text):
        raise UsageError("the prompt isn't UTF-8 text")
    return text


def is_text(text: str) -> bool:
    """Whether a text is valid; bytes that aren't UTF-8 become surrogates."""
    try:
        text.encode()
    except UnicodeError:
        return False
    return True


def _read_standard_input(*, has_mark: bool) -> str:
    """Read standard input to its end; ``has_mark`` says that the arguments have a ``-``."""
    waiting = Timer(0.0 if sys.stdin.isatty() else HINT_DELAY, print_to_stderr, [_hint()])
    waiting.daemon = True
    waiting.start()
    try:
        text = sys.stdin.read()
        text.encode()
    except UnicodeError as error:
        raise UsageError(f"standard input isn't UTF-8 text{_position(error)}") from error
    except OSError as error:
        if error.errno == errno.EBADF and not has_mark:  # nohup leaves an input that can't be read
            return ""
        raise UsageError(f"standard input can't be read: {error.strerror or error}") from error
    finally:
        waiting.cancel()
    if has_mark and not text.strip():
        print_to_stderr("tako: standard input is empty")
    return text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").strip("\n")


def _position(error: UnicodeError) -> str:
    """Return which byte is wrong. In some locales, Python has turned it into a lone surrogate."""
    if isinstance(error, UnicodeDecodeError):
        return f" (byte {error.object[error.start]:#04x} at {error.start + 1})"
    if isinstance(error, UnicodeEncodeError):
        return f" (byte {ord(error.object[error.start]) & 0xFF:#04x} at {error.start + 1})"
    return ""


def _hint() -> str:
    way_out = "Ctrl-D ends it" if sys.stdin.isatty() else "`< /dev/null` leaves it out"
    return f"tako: reading standard input; {way_out}"
