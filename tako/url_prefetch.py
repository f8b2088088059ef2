"""UrlPrefetch: what tako may fetch when a provider wants an image or a file inline and the request names a URL.

    provider = tako.providers.Ollama("llava", url_prefetch=tako.UrlPrefetch(allow_hosts=("images.corp.example",)))

The value is data and nothing else; `tako.kit.prefetch` acts on it. The rules are listed in docs/prefetch.md.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from math import isfinite
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import force_setattr

from tako.errors import ConfigurationError, short_repr

if TYPE_CHECKING:
    from collections.abc import Callable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

EMBEDDING = tuple(
    IPv6Network(text)
    for text in (
        "::/96",  # IPv4-compatible, RFC 4291 section 2.5.5.1
        "::ffff:0:0/96",  # IPv4-mapped, RFC 4291 section 2.5.5.2
        "::ffff:0:0:0/96",  # IPv4-translated, RFC 7915
        "64:ff9b::/96",  # NAT64, RFC 6052
        "64:ff9b:1::/48",  # local-use NAT64, RFC 8215
        "2001::/32",  # Teredo, RFC 4380
        "2002::/16",  # 6to4, RFC 3056
    )
)
"""The IPv6 prefixes whose addresses stand for an IPv4 address. No listed network reaches into them."""

_DOTTED_QUAD = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_IPV4_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_IPV6 = re.compile(r"[0-9a-fA-F:.]{2,45}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_LOOPBACK = IPv6Network("::1/128")
_PREFIX_LENGTH = re.compile(r"/[0-9]{1,3}")


LIMITS = {
    "document": "max_document_bytes",
    "text": "max_document_bytes",
    "audio": "max_audio_bytes",
    "video": "max_video_bytes",
}
"""The options that limit files of a kind."""


class UrlPrefetch(Struct, frozen=True, kw_only=True):
    """A policy for fetching images and files by URL. By default, only public https:// addresses are allowed.

    The last three options only lift the rule about addresses. The metadata address of a cloud stays blocked unless you
    list that address or its network. Raises ConfigurationError if a field is wrong.

    Attributes:
        timeout: Seconds for one whole fetch, from DNS to the last byte, with redirects.
        max_bytes: The largest image, and the largest file of a kind without a limit of its own.
        max_document_bytes: The largest document or text.
        max_audio_bytes: The largest audio file.
        max_video_bytes: The largest video.
        allow_http: Allow http:// as well as https://.
        allow_hosts: Names or addresses that may have any address. ``*.suffix`` allows all names below the suffix.
        allow_cidrs: Networks that any host may be in, such as ``10.1.0.0/16``, ``fd12:3456::/32``, or a bare address.
        allow_private_ips: Allow private (RFC 1918, ULA), shared (RFC 6598) and loopback addresses.
    """

    timeout: float = 10.0
    max_bytes: int = 10 * 1024 * 1024
    max_document_bytes: int | None = None
    max_audio_bytes: int | None = None
    max_video_bytes: int | None = None
    allow_http: bool = False
    allow_hosts: tuple[str, ...] = ()
    allow_cidrs: tuple[str, ...] = ()
    allow_private_ips: bool = False

    def __post_init__(self) -> None:
        """Check every field, and bring hosts and networks into their canonical spelling."""
        if type(self.timeout) not in (int, float) or not isfinite(self.timeout) or self.timeout <= 0:
            raise ConfigurationError(
                f"UrlPrefetch: timeout is a positive number of seconds, not {short_repr(self.timeout)}"
            )
        for name in ("max_bytes", *LIMITS.values()):
            limit = getattr(self, name)
            if (type(limit) is not int or limit <= 0) and (limit is not None or name == "max_bytes"):
                raise ConfigurationError(f"UrlPrefetch: {name} is a positive integer, not {short_repr(limit)}")
        for name in ("allow_http", "allow_private_ips"):
            if type(getattr(self, name)) is not bool:
                raise ConfigurationError(f"UrlPrefetch: {name} is True or False, not {short_repr(getattr(self, name))}")
        force_setattr(self, "timeout", float(self.timeout))
        force_setattr(self, "allow_hosts", _entries("allow_hosts", self.allow_hosts, _allowed_host))
        force_setattr(self, "allow_cidrs", _entries("allow_cidrs", self.allow_cidrs, _allowed_network))

    def limit_of(self, kind: str) -> tuple[str, int]:
        """Return the option that limits files of a kind ("image", "document", …), and its bytes."""
        name = LIMITS.get(kind, "max_bytes")
        limit: int | None = getattr(self, name)
        return ("max_bytes", self.max_bytes) if limit is None else (name, limit)

    @classmethod
    def of(cls, value: bool | UrlPrefetch | None) -> UrlPrefetch | None:
        """Read the option ``url_prefetch`` of a provider. True is the default policy; False and None turn it off."""
        if value is True:
            return cls()
        if value is False or value is None:
            return None
        if isinstance(value, cls):
            return value
        raise ConfigurationError(f"url_prefetch is True, False or a UrlPrefetch, not {type(value).__name__}")


def canonical_host(text: str) -> str | Address:
    """Read the host of a URL (no port): a lower-case ASCII name without its trailing dot, or an address.

    IPv6 stands in brackets; IPv4 is a dotted quad of decimal numbers and nothing that the C library would also take for
    one. Names with non-ASCII characters go through UTS 46 and IDNA 2008. Raises ValueError, whose text is the reason
    and holds nothing of the host.
    """
    if text.startswith("["):
        if not text.endswith("]") or not _IPV6.fullmatch(text[1:-1]):
            raise ValueError("an IPv6 address is hexadecimal digits and colons in brackets, without a zone")
        try:
            return IPv6Address(text[1:-1])
        except ValueError:
            raise ValueError("the part in brackets isn't an IPv6 address") from None
    name = text.removesuffix(".")
    if not name:
        raise ValueError("the host is empty")
    if len(name) > 253:  # noqa: PLR2004 - RFC 1035 section 2.3.4, less the length byte and the root
        raise ValueError("the host is longer than 253 characters")
    if _DOTTED_QUAD.fullmatch(name):
        try:
            return IPv4Address(name)
        except ValueError:
            raise ValueError("a number of the IPv4 address is over 255") from None
    return _canonical_name(name)


def _canonical_name(name: str) -> str:
    """Read a host name, strictly."""
    ascii_name = name.lower() if name.isascii() else _ascii_name(name)
    labels = ascii_name.split(".")
    if _IPV4_NUMBER.fullmatch(labels[-1]):
        raise ValueError("an IPv4 address is four decimal numbers with dots between them, in no other spelling")
    if len(ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004 - as above
        raise ValueError("a host name is labels of 1 to 63 letters, digits, hyphens and underscores")
    for label in labels:
        if label.startswith("xn--"):
            _ascii_name(label)
    return ascii_name


def _ascii_name(name: str) -> str:
    """Convert a name, or check a label that is converted already."""
    import idna

    try:
        return idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
    except UnicodeError:  # IDNAError is one
        raise ValueError("the host isn't a valid internationalised name") from None


def _entries(option: str, value: Any, read: Callable[[Any], str]) -> tuple[str, ...]:
    """Read a list of entries, each by `read`; a lone string is a mistake, since it would be read by the letter."""
    if not isinstance(value, (tuple, list, set, frozenset)):
        raise ConfigurationError(f"UrlPrefetch: {option} is a tuple of entries, not {type(value).__name__}")
    canonical: list[str] = []
    entries: list[Any] = [*value]  # anything may be in it; read() judges it
    for entry in entries:
        try:
            canonical.append(read(entry))
        except ValueError as error:
            raise ConfigurationError(f"UrlPrefetch: {option}: {short_repr(entry)}: {error}") from None
    return tuple(canonical)


def _allowed_host(entry: Any) -> str:
    if not isinstance(entry, str):
        raise ValueError("an entry is a string")  # noqa: TRY004 - _entries turns it into a ConfigurationError
    if entry.startswith("*."):
        suffix = canonical_host(entry[2:])
        if not isinstance(suffix, str):
            raise ValueError("a wildcard stands before a name, not before an address")
        return f"*.{suffix}"
    bracketed = f"[{entry}]" if ":" in entry and not entry.startswith("[") else entry
    return str(canonical_host(bracketed))


def _allowed_network(entry: Any) -> str:
    if isinstance(entry, str):
        if "%" in entry:
            raise ValueError("a network has no zone")
        if "/" in entry and not _PREFIX_LENGTH.fullmatch(entry[entry.index("/") :]):
            raise ValueError("a network is an address, a slash and the length of the prefix")
    elif not isinstance(entry, (IPv4Network, IPv6Network)):
        raise ValueError("an entry is a string")  # noqa: TRY004 - as above
    network = ip_network(entry)
    if isinstance(network, IPv6Network) and network != _LOOPBACK:
        for prefix in EMBEDDING:
            if network.subnet_of(prefix):
                raise ValueError(f"addresses in {prefix} stand for IPv4 addresses: list the IPv4 network")
    return str(network)
