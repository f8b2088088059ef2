"""Record and replay what tako providers send and receive, at the wire, secrets scrubbed.

In code ``with tako_record.cassette("tapes/weather.jsonl"):``; from outside ``TAKO_RECORD_DIR`` and
``TAKO_RECORD_MODE``, read when a provider is first used. Without either, nothing happens and nothing is imported.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from tako.hooks import hookimpl

if TYPE_CHECKING:
    from collections.abc import Generator

    from tako_record.tape import Tape

tako_hooks = 1

DIRECTORY = "TAKO_RECORD_DIR"
MODE = "TAKO_RECORD_MODE"
Mode = Literal["auto", "record", "replay"]
chosen: dict[str, str] = {}
"""What ``configure`` has said: "directory" and "mode"."""


def configure(*, directory: str | None = None, mode: Mode = "auto") -> None:
    """Keep tapes in a directory, as ``[plugins.record]`` in tako.toml does; None leaves it to the environment."""
    chosen.clear()
    if directory:
        chosen.update(directory=directory, mode=mode)


@contextmanager
def cassette(path: str | os.PathLike[str], mode: Mode = "auto") -> Generator[Tape, None, None]:
    """Send all HTTP of all providers of this process through a tape, a file of JSON lines.

    ``replay`` answers from the tape alone, and a request that is not on it is a ConfigurationError; ``record`` begins
    the tape anew; ``auto`` answers what is on it and records the rest. An inner cassette takes the outer one's place.
    """
    from tako_record.recording import through
    from tako_record.tape import Tape

    tape = Tape(path, mode)
    with through(tape):
        yield tape


@hookimpl
def tako_translator() -> None:
    """Translate nothing; being asked means that a provider is about to be used."""
    if chosen or os.environ.get(DIRECTORY):
        from tako_record.environment import follow

        follow()
