"""The command as a separate process: on a pseudo-terminal, or interrupted by Ctrl-C."""

from __future__ import annotations

import codecs
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from typing import TYPE_CHECKING, Any

from tako.testing.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAKO = [sys.executable, "-m", "tako.cli"]
ON_A_TERMINAL = """
import fcntl, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # makes it the controlling terminal, so that Ctrl-C works
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background ignore it
from tako.cli import main
sys.exit(main())
"""
CTRL_C, CTRL_D, ENTER, ALT_ENTER = "\x03", "\x04", "\r", "\x1b\r"
PASTING_ON, PASTING_OFF = "\x1b[?2004h", "\x1b[?2004l"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07")


class Terminal:
    """The command on a terminal with ``columns``. ``text`` is all of its output."""

    def __init__(self, *arguments: str, columns: int = 80, **options: Any) -> None:
        self.master, self.slave = pty.openpty()
        self.settings_before = termios.tcgetattr(self.slave)
        self.text = ""
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns), **options.pop("env", {})}
        streams = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave, **options}
        command = [sys.executable, "-c", ON_A_TERMINAL, *arguments]
        self.process = subprocess.Popen(command, env=environment, start_new_session=True, **streams)
        self.reading = threading.Thread(target=self.read, daemon=True)
        self.reading.start()

    def read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may arrive in two pieces
        while True:
            try:
                data = os.read(self.master, 4096)
            except OSError:  # the other end is closed
                return
            if not data:
                return
            self.text += decoder.decode(data)

    @property
    def plain(self) -> str:
        """The text without its control sequences."""
        return CONTROL.sub("", self.text)

    def type(self, text: str) -> None:
        """Wait for the prompt, then type."""
        self.wait_for_prompt()
        self.press(text)

    def press(self, text: str) -> None:
        """Type without waiting for the prompt."""
        os.write(self.master, text.encode())

    def paste(self, text: str) -> None:
        """Paste as terminals do: between marks, if the command turned them on."""
        marked = self.text.rfind(PASTING_ON) > self.text.rfind(PASTING_OFF)
        self.press(f"\x1b[200~{text}\x1b[201~" if marked else text)

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.plain)

    def wait_for_prompt(self) -> None:
        until(lambda: self.plain.rstrip().endswith(">"))

    def close(self) -> int:
        """Wait for the end, and return the exit code."""
        code = self.process.wait(PATIENCE)
        self.settings_after = termios.tcgetattr(self.slave)
        os.close(self.slave)
        self.reading.join(PATIENCE)
        os.close(self.master)
        return code


def without(*modules: str, folder: Path) -> dict[str, str]:
    """Return an environment whose Python has none of these modules."""
    for name in modules:
        (folder / f"{name}.py").write_text(f"raise ModuleNotFoundError('no module {name}', name='{name}')\n")
    return {"PYTHONPATH": str(folder)}


def interrupted(*arguments: str, when: Callable[[subprocess.Popen[str]], object]) -> tuple[int, str, str]:
    """Run the command, press Ctrl-C after ``when`` has returned, and return the exit code, stdout and stderr."""
    process = subprocess.Popen(
        [*TAKO, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    when(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err
