"""Run the command: each outcome is an exit code, and an error is one line on stderr.

Exit codes: 0 success; 1 a call or a check failed; 2 wrong usage or configuration, or a missing or broken plugin; 70 a
bug of tako; 130 interrupted; 141 the reader of the output stopped reading.
"""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tako.output import OUTPUT_IS_OURS

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED = 1
MISUSED = 2
BUG = 70
INTERRUPTED = 130
NO_READER = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (else the process's own) and return its exit code."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    _prepare_streams()
    token = OUTPUT_IS_OURS.set(True)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = _run(argv)
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return NO_READER
    except OSError as error:  # when the last output is flushed
        _discard_output()
        print_to_stderr(f"tako: can't write the output: {error.strerror or error}")
        return FAILED
    finally:
        OUTPUT_IS_OURS.reset(token)
    return code


def _prepare_streams() -> None:
    """Replace closed streams (`>&-`) with the null device, and characters that stdout can't encode with others."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115, PTH123 - open as long as the process is
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 - as long, too
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123 - as long, too
    reconfigure: Any = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def print_to_stderr(text: str) -> None:
    """Write one line to stderr; control characters that came from elsewhere never reach the terminal."""
    from tako.cli.terminal import printable

    with suppress(OSError, ValueError):  # nobody reads it, or the disk is full
        print(printable(" ".join(text.split())), file=sys.stderr, flush=True)  # noqa: T201 - a command prints


def _warn(message: object, *_: object, **__: object) -> None:
    """Show a warning as one line, without its place in the code."""
    text = str(message)
    print_to_stderr(text if text.startswith("tako ") else f"tako: {text}")


def _run(argv: list[str]) -> int:
    from tako.cli.arguments import UsageError, parse
    from tako.errors import ProviderError, TakoError

    debug = "--debug" in argv
    try:
        options = parse(argv)
        code: int = options.run(options)
    except SystemExit as exit:  # --help and --version, or a callable that ends the program
        return _exit_code(exit)
    except UsageError as error:
        print_to_stderr(f"tako: {error}")
        return MISUSED
    except TakoError as error:
        _print_error(error, debug=debug)
        return FAILED if isinstance(error, ProviderError) else MISUSED
    except KeyboardInterrupt:
        print_to_stderr("tako: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug of tako is one line, too
        is_from_system = isinstance(error, OSError)  # such as a full disk, or a file without permission
        _print_error(error, debug=debug, label="" if is_from_system else f"a bug, {type(error).__name__}")
        return FAILED if is_from_system else BUG
    return code


def _exit_code(exit: SystemExit) -> int:
    """Return the exit code. A text in its place is printed, as Python does."""
    if exit.code is None or isinstance(exit.code, int):
        return exit.code or 0
    print_to_stderr(f"tako: {exit.code}")
    return FAILED


def _print_error(error: BaseException, *, debug: bool, label: str = "") -> None:
    if debug:
        import traceback

        traceback.print_exception(error)
    hint = " (--debug shows the traceback)" if label and not debug else ""
    print_to_stderr(": ".join(filter(None, ("tako", label, _text_of(error)))) + hint)


def _text_of(error: BaseException) -> str:
    """Return an error's text, without the number of a system error."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _discard_output() -> None:
    """Send the interpreter's last flush to the null device, because nobody reads it."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
