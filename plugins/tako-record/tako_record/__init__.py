"""Record and replay the HTTP of tako providers, without secrets.

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
configured: dict[str, str] = {}
"""The arguments of ``configure``: "directory" and "mode"."""


def configure(*, directory: str | None = None, mode: Mode = "auto") -> None:
    """Store tapes in a directory, as ``[plugins.record]`` in tako.toml does. None means the environment decides."""
    configured.clear()
    if directory:
        configured.update(directory=directory, mode=mode)


@contextmanager
def cassette(path: str | os.PathLike[str], mode: Mode = "auto") -> Generator[Tape, None, None]:
    """Send all HTTP of all providers of this process through a tape, a file of JSON lines.

    ``replay`` only answers from the tape; a request that isn't on it is a ConfigurationError. ``record`` starts a new
    tape. ``auto`` answers from the tape and records what's missing. An inner cassette replaces the outer one.
    """
    from tako_record.tape import Tape
    from tako_record.transport import tape_around

    tape = Tape(path, mode)
    with tape_around(tape):
        yield tape


@hookimpl
def tako_translator() -> None:
    """Return no translator. tako calls this before it uses a provider, so it's the time to start."""
    if configured or os.environ.get(DIRECTORY):
        from tako_record.environment import wrap_transports

        wrap_transports()
