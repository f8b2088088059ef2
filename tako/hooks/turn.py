"""The turn to import the general plugins: one thread has it, the others wait for that thread."""

from __future__ import annotations

import sys
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Self

from tako.errors import PluginError

if TYPE_CHECKING:
    from types import FrameType, TracebackType

PATIENCE = 1.0
"""Seconds between two looks at the thread that has the turn."""
WAITING = ("threading", "queue", "selectors", "concurrent.futures._base", "concurrent.futures.thread")
"""Modules in which a thread stands that waits for another one."""

_importing: ContextVar[bool] = ContextVar("importing", default=False)


class Turn:
    """A lock around the import of plugins, which may itself call providers.

    Such a call belongs to the import, even on the loop thread of the blocking face, to which contexts are handed on:
    ``mine`` is true for it. Other threads wait. If the import waits for one of them, that one gets an error.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder = 0

    @property
    def mine(self) -> bool:
        """Whether this code runs as a part of the import."""
        return _importing.get() or self._holder == threading.get_ident()

    def __enter__(self) -> Self:
        """Wait for the turn. Raises PluginError if whoever has it waits, too."""
        last = None
        while not self._lock.acquire(timeout=PATIENCE):
            # documented, for just that
            frame = sys._current_frames().get(self._holder)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            if frame is None:  # the thread stayed with the process that this one was forked from
                self._lock = threading.Lock()
            elif _waits(frame) and last == (id(frame), frame.f_lasti):
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


def _waits(frame: FrameType) -> bool:
    """Whether a thread stands in a function that waits for another thread, or for a module that another one imports."""
    module, function = frame.f_globals.get("__name__"), frame.f_code.co_name
    return module in WAITING or (function == "acquire" and str(module).endswith("importlib._bootstrap"))
