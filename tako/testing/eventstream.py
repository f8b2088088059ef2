"""Messages of AWS event streams, as a vendor writes them: pieces for `tako.testing.server.reply`."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTENT_TYPE = {"content-type": "application/vnd.amazon.eventstream"}
"""The headers of a reply that is an event stream."""


def frame(headers: Mapping[str, str | bytes], payload: bytes) -> bytes:
    """Write one message; a header is text, or bytes that are its type and its value as they go on the wire."""
    block = b"".join([_header(name, value) for name, value in headers.items()])
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    body = prelude + struct.pack(">I", crc32(prelude)) + block + payload
    return body + struct.pack(">I", crc32(body))


def event(kind: str, payload: Any) -> bytes:
    """Write an event of this type; the payload becomes JSON."""
    return frame(
        {":message-type": "event", ":event-type": kind, ":content-type": "application/json"},
        msgspec.json.encode(payload),
    )


def exception(kind: str, message: str) -> bytes:
    """Write an exception of this type."""
    return frame({":message-type": "exception", ":exception-type": kind}, msgspec.json.encode({"message": message}))


def _header(name: str, value: str | bytes) -> bytes:
    raw = name.encode()
    if isinstance(value, str):
        text = value.encode()
        value = struct.pack(">BH", 7, len(text)) + text
    return bytes([len(raw)]) + raw + value
