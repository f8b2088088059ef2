"""What an answer may be: status 200, of a listed type, as long as it says, and no longer than the policy permits."""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING

from tako.kit.prefetch.rules import Refusal
from tako.media import IMAGE_TYPES, has_magic, kind_of, matches_content, media_type
from tako.parts import FilePart, ImagePart

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    import httpcore

    from tako.url_prefetch import UrlPrefetch

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_HEAD = 12
"""Bytes that tell the types apart."""

_MEDIA_TYPE = re.compile(rb"([a-z]+/[a-z0-9][a-z0-9.+-]*)[ \t]*(?:;[\x20-\x7e\t]*)?", re.IGNORECASE)
_LENGTH = re.compile(rb"[0-9]{1,18}")


def redirect_of(response: httpcore.Response) -> bytes | None:
    """Return the Location of a redirect, None for any other answer; raise Refusal unless there is exactly one."""
    if response.status not in REDIRECTS:
        return None
    locations = _values(response, b"location")
    if len(locations) != 1:
        raise Refusal("redirect", "a redirect has to name one address")
    return locations[0]


async def read_file(
    response: httpcore.Response, policy: UrlPrefetch, types: Collection[str], hang_up: Callable[[], Awaitable[None]]
) -> ImagePart | FilePart:
    """Check the status and the headers, then read, check and encode the body. Memory: under 2 x its limit."""
    if response.status != 200:  # noqa: PLR2004 - OK
        raise Refusal("status", f"the answer's status is {response.status}, not 200")
    _check_framing(response)
    declared = _declared_type(response, types)
    option, limit = policy.limit_of(kind_of(declared))
    _check_length(response, option, limit)
    body = _Body(declared, option, limit)
    text = ""
    refusal: Refusal | None = None
    try:
        async for chunk in response.aiter_stream():
            refusal = refusal or body.problem_with(chunk)
            if refusal:  # httpcore's generators are let run out, which they do at once: trio warns of abandoned ones
                await hang_up()
            else:
                text += body.encode(chunk)  # a local string grows in place: the file is never held twice
    except Exception:
        if not refusal:
            raise
    if refusal or (refusal := body.mismatch()):
        raise refusal
    text += body.encode(b"", last=True)
    return ImagePart(declared, text) if declared in IMAGE_TYPES else FilePart(declared, text)


def _check_framing(response: httpcore.Response) -> None:
    """Refuse codings, and two ways to tell the length."""
    if any(value.lower() != b"identity" for value in _values(response, b"content-encoding")):
        raise Refusal("coding", "the answer has a content coding, which tako didn't ask for")
    lengths = _values(response, b"content-length")
    codings = _values(response, b"transfer-encoding")
    if lengths and codings:
        raise Refusal("protocol", "the answer has both Content-Length and Transfer-Encoding")
    if codings and [value.lower() for value in codings] != [b"chunked"]:
        raise Refusal("coding", "the answer has a transfer coding, which tako didn't ask for")
    if len(set(lengths)) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        raise Refusal("protocol", "the answer's Content-Length isn't a number")


def _check_length(response: httpcore.Response, option: str, limit: int) -> None:
    """Refuse a length over the cap before a byte of the body is read."""
    lengths = _values(response, b"content-length")
    if lengths and int(lengths[0]) > limit:
        raise _too_long(option, limit)


def _declared_type(response: httpcore.Response, types: Collection[str]) -> str:
    values = _values(response, b"content-type")
    media_type = _MEDIA_TYPE.fullmatch(values[0]) if len(values) == 1 else None
    declared = media_type[1].decode("ascii").lower() if media_type else ""
    if declared not in types:
        raise Refusal("type", f"the answer's Content-Type isn't one of {', '.join(sorted(types))}")
    return declared


def _too_long(option: str, limit: int) -> Refusal:
    return Refusal("length", f"it is larger than {limit} bytes", option=option, remedy=f"a larger {option}")


def _values(response: httpcore.Response, name: bytes) -> list[bytes]:
    return [value for key, value in response.headers if key.lower() == name]


class _Body:
    """Checks a body as it comes, and encodes it piece by piece: three bytes are four characters."""

    def __init__(self, declared: str, option: str, limit: int) -> None:
        self._declared = declared
        self._option = option
        self._limit = limit
        self._size = 0
        self._head = b""
        self._pending = b""

    def problem_with(self, chunk: bytes) -> Refusal | None:
        """Count a piece; return what is wrong with the body so far."""
        self._size += len(chunk)
        if self._size > self._limit:
            return _too_long(self._option, self._limit)
        self._head = (self._head + chunk[:_HEAD])[:_HEAD]
        return self.mismatch() if len(self._head) == _HEAD else None

    def mismatch(self) -> Refusal | None:
        """Return the refusal of a body whose first bytes are of another type, or of none if the type has its own."""
        detected = media_type(self._head)
        matches = matches_content(self._declared, self._head) if detected else not has_magic(self._declared)
        if matches and self._size:
            return None
        return Refusal("magic", f"the answer is declared as {self._declared}, but its first bytes don't match that")

    def encode(self, chunk: bytes, *, last: bool = False) -> str:
        """Return what of the body can be encoded by now."""
        data = self._pending + chunk
        length = len(data) if last else len(data) - len(data) % 3
        self._pending = data[length:]
        return binascii.b2a_base64(data[:length], newline=False).decode("ascii")
