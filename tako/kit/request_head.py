"""The head of a request: its first line and its headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako.kit.wire import HttpHeaders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.kit.wire import HttpRequest


class HeadWriter:
    """Writes the heads of the requests to one URL.

    Most have the headers of the one before, so what was written is used again; the length of the body follows it.
    Headers that one request has alone aren't kept.
    """

    def __init__(self, path: str, headers: Mapping[str, str]) -> None:
        self._path = path
        self._headers = headers
        self._kept = ("", HttpHeaders()), b""  # one value, since threads share it

    def write(self, request: HttpRequest) -> bytes:
        """Write a request's head. Raises ValueError if a header can't be sent."""
        if not request.body and request.method in ("GET", "HEAD"):
            return request_head(request.method, self._path, {**self._headers, **request.headers})
        kept_for, start = self._kept
        if (request.method, request.headers) != kept_for:
            start = self._start(request)
        return b"%bcontent-length: %d\r\n\r\n" % (start, len(request.body))

    def _start(self, request: HttpRequest) -> bytes:
        headers = {**self._headers, **request.headers}
        headers.pop("content-length", None)
        start = request_head(request.method, self._path, headers).removesuffix(b"\r\n")
        if not request.has_own_headers:
            self._kept = (request.method, HttpHeaders(request.headers)), start
        return start


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Write the head of a request. Raises ValueError if a header would become two."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or "\0" in lines:
        raise ValueError("a header holds a line break")
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode()
