"""Signals whose handlers raise."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tako.kit import polling
from tako.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class AlarmError(Exception):
    """What a signal's handler raises, as job queues do."""


@contextmanager
def interrupting(is_time: Callable[[], bool]) -> Generator[None]:
    """Send SIGUSR1 to the main thread as soon as it's time, and it waits for a socket."""
    main = threading.main_thread().ident or 0

    def interrupt() -> None:
        until(is_time)
        until(lambda: sys._current_frames()[main].f_code.co_filename == polling.__file__)
        signal.pthread_kill(main, signal.SIGUSR1)

    thread = threading.Thread(target=interrupt)
    thread.start()
    yield
    thread.join()
