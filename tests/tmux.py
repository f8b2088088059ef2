"""The command in its own tmux session: tests press keys, and read the screen."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tako.testing.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

TMUX = shutil.which("tmux")
needs_tmux = pytest.mark.skipif(TMUX is None, reason="tmux isn't installed")


class Tmux:
    """A terminal of 80 columns, on its own tmux server."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.socket = str(folder / "tmux")
        command = shlex.join([sys.executable, "-m", "tako.cli", *arguments])
        size = ["-x", "80", "-y", "40"]
        self.run("-f", os.devnull, "new-session", "-d", *size, "-s", "tako", f"{command}; echo ended with $?; cat")

    def run(self, *arguments: str) -> str:
        assert TMUX is not None
        environment = {name: value for name, value in os.environ.items() if name != "TMUX"}
        result = subprocess.run(
            [TMUX, "-S", self.socket, *arguments], env=environment, capture_output=True, text=True, check=True
        )
        return result.stdout

    @property
    def screen(self) -> str:
        """The text of the screen, with what has scrolled away."""
        return self.run("capture-pane", "-p", "-J", "-S", "-500", "-t", "tako")

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.screen)

    def wait_for_prompt(self) -> None:
        until(lambda: self.screen.rstrip().endswith("\n>"))

    def type(self, text: str, *keys: str) -> None:
        """Wait for the prompt, type a text, then press keys by their tmux names."""
        self.wait_for_prompt()
        self.run("send-keys", "-t", "tako", "-l", "--", text)
        if keys:
            self.press(*keys)

    def press(self, *keys: str) -> None:
        self.run("send-keys", "-t", "tako", *keys)

    def paste(self, text: str) -> None:
        """Paste as a terminal does, between marks if the command turned them on."""
        self.run("set-buffer", "-b", "clip", "--", text)
        self.run("paste-buffer", "-p", "-r", "-b", "clip", "-t", "tako")

    def close(self) -> None:
        subprocess.run([str(TMUX), "-S", self.socket, "kill-server"], check=False, capture_output=True)
