"""What is asked: the words of the command line and standard input, as one prompt."""

from __future__ import annotations

import errno
import sys
from threading import Timer

from tako.cli.arguments import UsageError
from tako.cli.run import complain

PLACE = "-"
"""The word that stands for standard input."""
PATIENCE = 2.0
"""Seconds after which a line says that the command waits for standard input."""


def read_prompt(words: list[str], *, needed: bool = True) -> str | None:
    """Return the prompt, or None for a conversation: there are no words, and standard input is a terminal.

    Standard input goes where ``-`` stands, else after the words. Raises UsageError, also for an empty prompt if one is
    ``needed``.
    """
    if words.count(PLACE) > 1:
        raise UsageError(f"{PLACE} can stand once: standard input is read once")
    wanted = PLACE in words
    if sys.stdin.isatty() and not wanted:
        if not words:
            return None if needed else ""
        pieces = [" ".join(words)]
    else:
        place = words.index(PLACE) if wanted else len(words)
        pieces = [" ".join(words[:place]), _standard_input(wanted=wanted), " ".join(words[place + 1 :])]
    text = "\n\n".join(piece for piece in pieces if piece.strip())
    if not text and needed:
        raise UsageError('the prompt is empty: write it after the command, as in tako chat "Hello", or pipe it in')
    if not is_text(text):
        raise UsageError("the prompt isn't UTF-8 text")
    return text


def is_text(text: str) -> bool:
    """Tell text from what a terminal or a pipe made of bytes that aren't text."""
    try:
        text.encode()
    except UnicodeError:
        return False
    return True


def _standard_input(*, wanted: bool) -> str:
    """Read standard input to its end; ``wanted`` says that ``-`` asks for it."""
    waiting = Timer(0.0 if sys.stdin.isatty() else PATIENCE, complain, [_hint()])
    waiting.daemon = True
    waiting.start()
    try:
        text = sys.stdin.read()
        text.encode()
    except UnicodeError as error:
        raise UsageError(f"standard input isn't UTF-8 text{_place(error)}") from error
    except OSError as error:
        if error.errno == errno.EBADF and not wanted:  # nohup leaves an input that can't be read
            return ""
        raise UsageError(f"standard input can't be read: {error.strerror or error}") from error
    finally:
        waiting.cancel()
    if wanted and not text.strip():
        complain("tako: standard input is empty")
    return text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").strip("\n")


def _place(error: UnicodeError) -> str:
    """Say which byte is to blame; in some locales Python has made a lone surrogate of it."""
    if isinstance(error, UnicodeDecodeError):
        return f" (byte {error.object[error.start]:#04x} at {error.start + 1})"
    if isinstance(error, UnicodeEncodeError):
        return f" (byte {ord(error.object[error.start]) & 0xFF:#04x} at {error.start + 1})"
    return ""


def _hint() -> str:
    way_out = "Ctrl-D ends it" if sys.stdin.isatty() else "`< /dev/null` leaves it out"
    return f"tako: reading standard input; {way_out}"
