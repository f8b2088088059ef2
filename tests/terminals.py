"""The command as a process of its own: on a pseudo-terminal, or with Ctrl-C."""

from __future__ import annotations

import codecs
import os
import pty
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from tako.testing.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable

TAKO = [sys.executable, "-m", "tako.cli"]


class Terminal:
    """The command on a terminal of so many columns; ``text`` is all that was written on it."""

    def __init__(self, *arguments: str, columns: int = 80) -> None:
        self.master, slave = pty.openpty()
        self.text = ""
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
        self.process = subprocess.Popen([*TAKO, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment)
        os.close(slave)
        self.reading = threading.Thread(target=self.read)
        self.reading.start()

    def read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may come in two pieces
        while True:
            try:
                data = os.read(self.master, 4096)
            except OSError:  # nobody has the other end any more
                return
            if not data:
                return
            self.text += decoder.decode(data)

    def type(self, text: str) -> None:
        """Answer a prompt, once it is there."""
        until(lambda: self.text.rstrip().endswith(">"))
        os.write(self.master, text.encode())

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.text)

    def close(self) -> int:
        """Wait for the end, and return the exit code."""
        code = self.process.wait(PATIENCE)
        self.reading.join(PATIENCE)
        os.close(self.master)
        return code


def interrupted(*arguments: str, when: Callable[[subprocess.Popen[str]], object]) -> tuple[int, str, str]:
    """Run the command, press Ctrl-C after ``when`` has returned, and return the exit code, stdout and stderr."""
    process = subprocess.Popen([*TAKO, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    when(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err
