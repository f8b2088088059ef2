"""The entries of a tape: a request, and its reply or failure."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from tako.errors import ProviderTimeoutError, TransportError

Ending = Literal["end", "cut", "left"]


class Base64(Struct, frozen=True):
    """Bytes that aren't text."""

    base64: bytes


class TapeRequest(Struct, frozen=True, omit_defaults=True):
    """A request without secrets. Its body is JSON, text or base64. Headers are only for people who read the tape."""

    method: str
    url: str
    headers: dict[str, str] = {}
    json: Any = None
    text: str | None = None
    base64: bytes | None = None

    @property
    def body(self) -> tuple[Any, ...]:
        """The body, for comparisons."""
        return self.json, self.text, self.base64

    def matches(self, other: TapeRequest) -> bool:
        """Whether method, URL and body are the same."""
        return (self.method, self.url, self.body) == (other.method, other.url, other.body)


class TapeReply(Struct, frozen=True, tag="reply"):
    """A reply without secrets, in the pieces that arrived. ``ending``: complete, cut by the network, or left early."""

    status: int
    headers: dict[str, str]
    pieces: list[str | Base64]
    ending: Ending = "end"


class TapeFailure(Struct, frozen=True, tag="failure"):
    """A request without a reply."""

    message: str
    timeout: bool = False
    retryable: bool = True

    def to_error(self) -> TransportError:
        """Make the error that was recorded."""
        error = ProviderTimeoutError(self.message) if self.timeout else TransportError(self.message)
        error.retryable = self.retryable
        return error


class Entry(Struct, frozen=True):
    """One line of a tape."""

    request: TapeRequest
    reply: TapeReply | TapeFailure
