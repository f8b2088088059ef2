"""The lock around the import of general plugins: one thread imports them, and the others wait."""

from __future__ import annotations

import sys
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Self

from tako.errors import PluginError

if TYPE_CHECKING:
    from types import FrameType, TracebackType

POLL_SECONDS = 1.0
"""Seconds between two checks of the thread that holds the lock."""
WAITING_MODULES = ("threading", "queue", "selectors", "concurrent.futures._base", "concurrent.futures.thread")
"""Modules whose functions wait for another thread."""

_importing: ContextVar[bool] = ContextVar("importing", default=False)


class ImportLock:
    """A lock around the import of plugins, which may itself call providers.

    ``is_held_here`` is true for such a call, even on the loop thread of the blocking methods, since contexts are passed
    on to it. Other threads wait. If the import waits for one of them, that one gets an error instead.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder = 0

    @property
    def is_held_here(self) -> bool:
        """Whether this code runs as a part of the import."""
        return _importing.get() or self._holder == threading.get_ident()

    def __enter__(self) -> Self:
        """Wait for the lock. Raises PluginError if the thread that holds it waits for another one."""
        last = None
        while not self._lock.acquire(timeout=POLL_SECONDS):
            # documented, for debugging deadlocks
            frame = sys._current_frames().get(self._holder)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            if frame is None:  # this process was forked, and that thread only exists in the parent
                self._lock = threading.Lock()
            elif _is_waiting(frame) and last == (id(frame), frame.f_lasti):
                raise PluginError(
                    "the plugins aren't imported yet: one of them waits for another thread while it's imported, "
                    "perhaps for this call"
                )
            last = (id(frame), frame.f_lasti) if frame is not None else None
        self._holder = threading.get_ident()
        self._token = _importing.set(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _importing.reset(self._token)
        self._holder = 0
        self._lock.release()


def _is_waiting(frame: FrameType) -> bool:
    """Whether a thread is in a function that waits for another thread, or for a module that another one imports."""
    module, function = frame.f_globals.get("__name__"), frame.f_code.co_name
    return module in WAITING_MODULES or (function == "acquire" and str(module).endswith("importlib._bootstrap"))
