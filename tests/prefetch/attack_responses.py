"""Attacks by the answer: sizes, codings, framing, types and statuses."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from .cases import Case, served
from .scripted import CANARY, GIF, JPEG, PNG, WEBP, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = {"image/png": PNG, "image/jpeg": JPEG, "image/gif": GIF, "image/webp": WEBP}
SMALL = {"max_bytes": len(PNG)}


def _chunked(
    *chunks: bytes, headers: tuple[str, ...] = ("Transfer-Encoding: chunked",), end: bytes = b"0\r\n\r\n"
) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return answer(b"", *headers, length=False) + body + end


def sizes() -> Iterator[Case]:
    """Yield lengths: declared, counted, false."""
    over = PNG + b"x"
    yield served("as long as it may be", answer(PNG), None, policy=SMALL)
    yield served("chunked, as long as it may be", _chunked(PNG[:7], PNG[7:]), None, policy=SMALL)
    yield served("declared one byte over", answer(over), "length", policy=SMALL, option="max_bytes")
    yield served("declared over, never sent", answer(b"", "Content-Length: 9999999999", length=False), "length")
    yield served("chunked one byte over", _chunked(PNG, b"x"), "length", policy=SMALL, option="max_bytes")
    yield served("undeclared one byte over", answer(over, length=False), "length", policy=SMALL)
    yield served("undeclared", answer(PNG, length=False), None, policy=SMALL)
    yield served(
        "endless chunks", [_chunked(PNG, end=b""), *[b"400\r\n" + b"x" * 1024 + b"\r\n"] * 99], "length", policy=SMALL
    )
    yield served("shorter than declared", answer(PNG)[:-1], "protocol")
    yield served("chunked without an end", _chunked(PNG, end=b""), "protocol")
    yield served("empty", answer(b""), "magic")
    yield served("longer than declared", answer(PNG) + b"HTTP/1.1 200 OK\r\n\r\n", None)
    for length in ("-1", "+83", "83, 83", "8 3", "0x53", "", "1e2", "83;", "\uff19", "9" * 5000):
        rule = None if length == "83, 83" else "protocol"
        script = answer(PNG, f"Content-Length: {length}".encode().decode("latin-1"), length=False)
        yield served(f"Content-Length: {length[:8]}", script, rule)
    yield served("two lengths", answer(PNG, "Content-Length: 5"), "protocol")
    yield served("the same length twice", answer(PNG, f"Content-Length: {len(PNG)}"), None)
    yield served(
        "length and chunked", _chunked(PNG, headers=("Transfer-Encoding: chunked", "Content-Length: 83")), "protocol"
    )
    yield served(
        "chunked and length", _chunked(PNG, headers=("Content-Length: 83", "Transfer-Encoding: chunked")), "protocol"
    )
    yield served(
        "bad chunk size", answer(b"", "Transfer-Encoding: chunked", length=False) + b"-5\r\nCANARY-9d1f", "protocol"
    )
    yield served("endless chunk size", answer(b"", "Transfer-Encoding: chunked", length=False) + b"1" * 999, "protocol")


def codings() -> Iterator[Case]:
    """Yield codings that were not asked for."""
    for coding in (
        "gzip",
        "GZIP",
        "deflate",
        "br",
        "zstd",
        "compress",
        "x-gzip",
        "gzip, gzip",
        "identity, gzip",
        "x",
        "",
    ):
        yield served(f"coding: {coding!r}", answer(gzip.compress(PNG), f"Content-Encoding: {coding}"), "coding")
    yield served("two codings", answer(PNG, "Content-Encoding: identity", "content-encoding: gzip"), "coding")
    yield served("coding: identity", answer(PNG, "Content-Encoding: Identity"), None)
    for coding in ("gzip", "gzip, chunked", "identity", "chunked, chunked", "chunked, identity", "x", "chunked\x0b"):
        yield served(f"transfer coding: {coding}", _chunked(PNG, headers=(f"Transfer-Encoding: {coding}",)), "protocol")


def types() -> Iterator[Case]:
    """Yield declared types, and the bytes that belie them."""
    for declared in IMAGES:
        for real, body in IMAGES.items():
            rule = None if real == declared else "magic"
            yield served(f"{real} declared as {declared}", answer(body, type=declared), rule)
        yield served(f"text declared as {declared}", answer(b"<html>CANARY-9d1f</html>", type=declared), "magic")
        yield served(f"{declared} cut", answer(IMAGES[declared][:2], type=declared), "magic")
    for declared in ("IMAGE/PNG", "Image/Png; charset=utf-8", "image/png;", "image/png ; q=1", " image/png "):
        yield served(f"type: {declared!r}", answer(PNG, type=declared), None)
    for declared in (
        *(
            "image/jpg",
            "image/svg+xml",
            "image/x-png",
            "text/html",
            "application/octet-stream",
            "image/*",
            "*/*",
            "image/",
        ),
        *(
            "image",
            "",
            "image/pngx",
            "ximage/png",
            "image/png, text/html",
            "text/html; a=image/png",
            "image /png",
            "image/avif",
        ),
        *("image/png\x0b", "image/bmp", "multipart/mixed", "image/png/", "imagepng", "image/png text/html"),
    ):
        yield served(f"type: {declared!r}", answer(PNG, type=declared), "protocol" if "\x0b" in declared else "type")
    yield served("no type", answer(PNG, type=None), "type")
    yield served("two types", answer(PNG, "Content-Type: image/png"), "type")
    yield served("two types that differ", answer(PNG, "Content-Type: text/html"), "type")
    yield served("RIFF that is no WebP", answer(b"RIFF\0\0\0\0WAVE" + CANARY, type="image/webp"), "magic")


def statuses() -> Iterator[Case]:
    """Yield statuses but 200, and what is not HTTP."""
    for status in (201, 202, 203, 204, 205, 206, 207, 226, 400, 401, 403, 404, 407, 416, 418, 429, 500, 503, 599):
        yield served(
            f"status {status}", answer(PNG, "WWW-Authenticate: Basic", status=f"{status} CANARY-9d1f"), "status"
        )
    yield served("100 before 200", b"HTTP/1.1 100 Continue\r\n\r\n" + answer(), None)
    yield served("101", answer(b"", "Upgrade: h2c", "Connection: upgrade", status="101 Switching"), "protocol")
    yield served("HTTP/1.0", answer(PNG).replace(b"HTTP/1.1", b"HTTP/1.0"), None)
    for name, script in {
        "nothing": b"",
        "SSH": b"SSH-2.0-CANARY-9d1f\r\n",
        "HTTP/0.9": PNG,
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/2 status line": b"HTTP/2 200 OK\r\nContent-Type: image/png\r\n\r\n" + PNG,
        "status in letters": b"HTTP/1.1 abc CANARY-9d1f\r\n\r\n",
        "redis": b"-ERR CANARY-9d1f\r\n",
        "half a header": b"HTTP/1.1 200 OK\r\nContent-Type: ima",
        "a header with a space": answer(PNG, "CANARY-9d1f : x"),
        "a header with a nul": answer(PNG, "X: CANARY-9d1f\0"),
        "a header without a colon": answer(PNG, "CANARY-9d1f"),
        "a folded header": answer(PNG, "X: a", " b", "\tc: CANARY-9d1f") + b"x",
        "headers without end": answer(PNG, *[f"X-{n}: {'a' * 90}" for n in range(4000)]),
    }.items():
        yield served(f"not HTTP: {name}", script, None if name == "a folded header" else "protocol")


CASES = (*sizes(), *codings(), *types(), *statuses())
