"""Read an image's URL once, strictly, into the parts that everything else works with.

RFC 3986, less what lets two readers see two hosts in one URL: userinfo, backslashes, control characters, percent signs
and numbers in other bases in the authority. A string never goes further than this module.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from tako.kit.prefetch.rules import Refusal
from tako.url_prefetch import canonical_host

if TYPE_CHECKING:
    from tako.url_prefetch import Address

MAX_URL = 8000
"""Characters. RFC 9110 section 4.1 asks servers for 8000 at least."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ufeff\ud800-\udfff]")
_AUTHORITY = re.compile(r"//([^/?#]*)")
_HOST_AND_PORT = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::(.*))?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_MAX_PORT = 65535
_DEFAULT_PORTS = {"http": 80, "https": 443}
_TARGET_SAFE = "%/:?@!$&'()*+,;=[]-._~"


class Url(NamedTuple):
    """The parts. ``host`` is canonical (see `canonical_host`); ``target`` is ASCII and begins with a slash."""

    scheme: str
    host: str | Address
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The value of the Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_url(text: object) -> Url:
    """Read an absolute URL, or raise Refusal (rules url, scheme, userinfo, host, port)."""
    if not isinstance(text, str):
        raise Refusal("url", "the URL isn't a string")
    if len(text) > MAX_URL:
        raise Refusal("url", f"the URL is longer than {MAX_URL} characters")
    if _FORBIDDEN.search(text):
        raise Refusal("url", "the URL contains a space, a control character or a backslash")
    scheme = _SCHEME.match(text)
    if not scheme:
        raise Refusal("scheme", "the URL has no scheme")
    if scheme[1].lower() not in _DEFAULT_PORTS:
        raise Refusal("scheme", "the URL's scheme isn't https")
    authority = _AUTHORITY.match(text, scheme.end())
    if not authority:
        raise Refusal("url", "the URL's scheme isn't followed by //")
    host, port = _host_and_port(authority[1], scheme[1].lower())
    return Url(scheme[1].lower(), host, port, _target(text[authority.end() :]))


def follow(url: Url, location: bytes) -> Url:
    """Resolve a Location header (RFC 3986 section 5.2) against the parts of the URL that answered with it."""
    try:
        text = location.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal("redirect", "the redirect's address isn't text") from None
    if not text or len(text) > MAX_URL or _FORBIDDEN.search(text):
        raise Refusal("redirect", "the redirect's address is empty, too long, or contains a character that no URL has")
    if _SCHEME.match(text):
        return parse_url(text)
    if text.startswith("//"):
        return parse_url(f"{url.scheme}:{text}")
    path, _, query = url.target.partition("?")
    if text.startswith("/"):
        return url._replace(target=_target(text))
    if text.startswith("?"):
        return url._replace(target=_target(path + text))
    if text.startswith("#"):
        return url._replace(target=path + (f"?{query}" if query else ""))
    return url._replace(target=_target(path[: path.rindex("/") + 1] + text))


def shown_host(text: object) -> str:
    """Return the host of a URL for an error or the log, also of a URL that was refused; no userinfo, path or query."""
    authority = re.match(r"[^:/?#\\]*:[/\\]{1,2}([^/?#\\]*)", text) if isinstance(text, str) else None
    if not authority:
        return ""
    host = authority[1].rpartition("@")[2]
    host = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return re.sub(r"[^\w.:-]", "?", host.strip("[]")[:253]).lower()


def _host_and_port(authority: str, scheme: str) -> tuple[str | Address, int]:
    """Take an authority apart; every character of it has to have its one place."""
    if "@" in authority:
        raise Refusal("userinfo", "the URL contains a user name or a password")
    if "%" in authority:
        raise Refusal("host", "the URL's host contains a percent sign")
    parts = _HOST_AND_PORT.fullmatch(authority)
    if not parts:
        raise Refusal("host", "the URL's host has brackets or colons out of place")
    try:
        host = canonical_host(parts[1])
    except ValueError as error:
        raise Refusal("host", str(error)) from None
    if parts[2] is None:
        return host, _DEFAULT_PORTS[scheme]
    if not _PORT.fullmatch(parts[2]) or int(parts[2]) > _MAX_PORT:
        raise Refusal("port", "the URL's port isn't a plain number from 1 to 65535")
    return host, int(parts[2])


def _target(rest: str) -> str:
    """Make the request target of what follows the authority: percent-encoded, dot segments removed, no fragment."""
    path, question, query = rest.partition("#")[0].partition("?")
    segments: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
    if path.endswith(("/.", "/..")):
        segments.append("")
    return quote("/" + "/".join(segments) + question + query, safe=_TARGET_SAFE)
