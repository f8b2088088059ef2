"""What may be written to a terminal, and whether there is one; it imports little, so that help stays fast."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Replace control characters, which could move the cursor, set the title or type for the user."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"
