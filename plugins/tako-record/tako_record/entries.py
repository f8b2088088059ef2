"""What stands on a tape: a request, and what came of it."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from tako.errors import ProviderTimeoutError, TransportError

Ending = Literal["end", "cut", "left"]


class Base64(Struct, frozen=True):
    """Bytes that are no text."""

    base64: bytes


class Asked(Struct, frozen=True, omit_defaults=True):
    """A request, scrubbed. Its body is JSON, or text, or base64; the headers are for readers alone."""

    method: str
    url: str
    headers: dict[str, str] = {}
    json: Any = None
    text: str | None = None
    base64: bytes | None = None

    @property
    def body(self) -> tuple[Any, ...]:
        """What two bodies are compared by."""
        return self.json, self.text, self.base64

    def same(self, other: Asked) -> bool:
        """Compare what counts: method, URL and body."""
        return (self.method, self.url, self.body) == (other.method, other.url, other.body)


class Played(Struct, frozen=True, tag="reply"):
    """A reply, scrubbed, in the pieces in which it came: "end"ed in order, "cut" by the network, or "left" early."""

    status: int
    headers: dict[str, str]
    pieces: list[str | Base64]
    ending: Ending = "end"


class Failed(Struct, frozen=True, tag="failure"):
    """No reply at all."""

    message: str
    timeout: bool = False
    retryable: bool = True

    def error(self) -> TransportError:
        """Make the error again."""
        made = ProviderTimeoutError(self.message) if self.timeout else TransportError(self.message)
        made.retryable = self.retryable
        return made


class Entry(Struct, frozen=True):
    """One line of a tape."""

    request: Asked
    reply: Played | Failed
