"""Start, run, and end: whatever happens comes out as an exit code and at most one line on stderr.

Exit codes: 0 all is well; 1 a call failed, or a check found something broken; 2 usage, configuration, or a plugin that
is missing; 70 a bug of tako; 130 interrupted; 141 the reader of the output went away.
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
    given = list(sys.argv[1:] if arguments is None else arguments)
    _have_streams()
    ours = OUTPUT_IS_OURS.set(True)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = _run(given)
            sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return NO_READER
    except OSError as error:  # the last of the output
        _forget_output()
        complain(f"tako: can't write the output: {error.strerror or error}")
        return FAILED
    finally:
        OUTPUT_IS_OURS.reset(ours)
    return code


def _have_streams() -> None:
    """Let what was closed (`>&-`) read and write nothing, and no character be one that cannot be shown."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115, PTH123 - open as long as the process is
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 - as long, too
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123 - as long, too
    reconfigure: Any = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def complain(text: str) -> None:
    """Write one line to stderr; control characters that came from elsewhere never reach the terminal."""
    from tako.cli.screen import printable

    with suppress(OSError, ValueError):  # nobody reads it, or the disk is full: there is no other place to say so
        print(printable(" ".join(text.split())), file=sys.stderr, flush=True)  # noqa: T201 - a command prints


def _warn(message: object, *_: object, **__: object) -> None:
    """Show a warning as one line, without the place in our code."""
    text = str(message)
    complain(text if text.startswith("tako ") else f"tako: {text}")


def _run(given: list[str]) -> int:
    from tako.cli.arguments import UsageError, parse
    from tako.errors import ProviderError, TakoError

    debug = "--debug" in given
    try:
        options = parse(given)
        code: int = options.run(options)
    except SystemExit as finished:  # --help and --version, or a callable that ends the program
        return _ended(finished)
    except UsageError as error:
        complain(f"tako: {error}")
        return MISUSED
    except TakoError as error:
        _explain(error, debug=debug)
        return FAILED if isinstance(error, ProviderError) else MISUSED
    except KeyboardInterrupt:
        complain("tako: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last resort: a line that says it is our fault
        outside = isinstance(error, OSError)  # a full disk, a file that may not be read
        _explain(error, debug=debug, what="" if outside else f"a bug, {type(error).__name__}")
        return FAILED if outside else BUG
    return code


def _ended(finished: SystemExit) -> int:
    """Return the exit code; text in its place is said, as Python does it."""
    if finished.code is None or isinstance(finished.code, int):
        return finished.code or 0
    complain(f"tako: {finished.code}")
    return FAILED


def _explain(error: BaseException, *, debug: bool, what: str = "") -> None:
    if debug:
        import traceback

        traceback.print_exception(error)
    hint = " (--debug shows the traceback)" if what and not debug else ""
    complain(": ".join(filter(None, ("tako", what, _text_of(error)))) + hint)


def _text_of(error: BaseException) -> str:
    """Return an error's text; the system's errors have a number that tells nobody anything."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _forget_output() -> None:
    """Let the interpreter's last flush go nowhere instead of to a reader that is gone."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
