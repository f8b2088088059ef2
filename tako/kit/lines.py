"""What the two line formats, Server-Sent Events and NDJSON, have in common."""

from __future__ import annotations

from tako.errors import ResponseError

BOM = b"\xef\xbb\xbf"


def strip_bom(start: bytes) -> tuple[bytes | None, bytes]:
    """Take a byte order mark off the first bytes of a body.

    Returns what to put before the next bytes and strip again, as long as all there is may still become the mark, then
    None; and the text.
    """
    if len(start) < len(BOM) and BOM.startswith(start):
        return start, b""
    return None, start.removeprefix(BOM)


def too_large(subject: str, cap: int) -> ResponseError:
    """Return the error for an event or a line of more than ``cap`` bytes."""
    return ResponseError(f"The stream has {subject} of more than {cap} bytes, which is the limit.")
