"""Which addresses may be dialled: globally reachable unicast, and what the policy lists.

Sources: IANA's special-purpose address registries (IPv4, IPv6), the IPv6 address space registry, and the vendors' pages
on instance metadata. `ipaddress.is_global` is not asked: it is wrong for several blocks on the supported Pythons.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from tako.kit.prefetch.rules import Refusal
from tako.url_prefetch import EMBEDDING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.url_prefetch import Address, Network, UrlPrefetch

_PRIVATE = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",  # private use, RFC 1918
        "100.64.0.0/10",  # shared address space, RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122
        "172.16.0.0/12",  # private use, RFC 1918
        "192.168.0.0/16",  # private use, RFC 1918
        "::1/128",  # loopback, RFC 4291
        "fc00::/7",  # unique local, RFC 4193
    )
)
"""What ``allow_private_ips`` opens. Not link-local: that is where credentials are served."""

_DENIED_IPV4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network, RFC 791
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's wire server
        "169.254.0.0/16",  # link-local, RFC 3927
        "172.16.0.0/12",
        "192.0.0.0/24",  # IETF protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.88.99.0/24",  # 6to4 relay anycast, RFC 7526
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarking, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved, RFC 1112, and limited broadcast, RFC 8190
    )
)

_GLOBAL_IPV6 = IPv6Network("2000::/3")
_DENIED_IPV6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocol assignments, RFC 2928: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056
        "3fff::/20",  # documentation, RFC 9637
    )
)

_METADATA: frozenset[Address] = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, Oracle, DigitalOcean, OpenStack and others
        "169.254.170.2",  # AWS, credentials of an ECS task
        "169.254.170.23",  # AWS, EKS pod identity
        "169.254.0.23",  # Tencent Cloud
        "169.254.42.42",  # Scaleway
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure's wire server
        "192.0.0.192",  # Oracle Cloud, classic
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS, EKS pod identity
        "fd20:ce::254",  # Google Cloud
        "fd00:42::42",  # Scaleway
        "fd00:c1::a9fe:a9fe",  # Oracle Cloud
    )
)

_UNWRAPPED = EMBEDDING[:4]  # compatible, mapped, translated, NAT64: the last 32 bits are the address
_LOOPBACK_AND_UNSPECIFIED = IPv6Network("::/127")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # the upper half of an interface identifier, RFC 5214 section 6.1
_NAT64_LENGTHS = (32, 40, 48, 56, 64)  # of a network's own prefix, RFC 6052 section 2.2
_METADATA_PREFIX = 8
"""A listed network has to be this long to count as the metadata address's own: 0.0.0.0/0 names nobody in particular."""


def check_address(address: Address, host: str | Address, policy: UrlPrefetch) -> None:
    """Raise Refusal (rule metadata or address) unless ``address``, which ``host`` is or resolved to, may be dialled."""
    lists = _networks(policy.allow_cidrs)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise Refusal("address", "its address has a zone")
    if any(_is_shut(form, host, policy, lists) for form in _disguised(address)):
        raise Refusal(
            "metadata",
            "its address is a cloud's metadata service",
            option="allow_cidrs",
            remedy="that address in allow_cidrs",
        )
    if _is_listed(host, policy.allow_hosts):
        return
    for form in _judged(address):
        if _is_global(form) or _is_in(lists, form):
            continue
        if not any(form in network for network in _PRIVATE):
            raise Refusal(
                "address",
                "its address isn't globally reachable",
                option="allow_hosts",
                remedy="an entry in allow_hosts or allow_cidrs",
            )
        if not policy.allow_private_ips:
            raise Refusal(
                "address",
                "its address is a private one",
                option="allow_private_ips=True",
                remedy="an entry in allow_hosts or allow_cidrs, or allow_private_ips=True,",
            )


def _judged(address: Address) -> tuple[Address, ...]:
    """Return the addresses that all have to pass: the IPv4 one where an IPv6 address is no more than its wrapping."""
    if isinstance(address, IPv4Address) or address in _LOOPBACK_AND_UNSPECIFIED:
        return (address,)
    number = int(address)
    inside = IPv4Address(number & 0xFFFF_FFFF)
    if any(address in prefix for prefix in _UNWRAPPED):
        return (inside,)
    if number >> 32 & 0xFFFF_FFFF in _ISATAP:
        return address, inside
    return (address,)


def _disguised(address: Address) -> Iterator[Address]:
    """Yield the address and every IPv4 address that some scheme would read in it: a metadata address hides in none."""
    yield address
    if isinstance(address, IPv6Address):
        number = int(address)
        yield IPv4Address(number & 0xFFFF_FFFF)  # mapped, compatible, translated, ISATAP, NAT64 with a /96
        yield IPv4Address(~number & 0xFFFF_FFFF)  # Teredo's client, RFC 4380 section 4
        yield IPv4Address(number >> 80 & 0xFFFF_FFFF)  # 6to4
        without_u = number >> 64 << 56 | number & (1 << 56) - 1  # bits 64 to 71 are skipped
        for length in _NAT64_LENGTHS:
            yield IPv4Address(without_u >> 120 - length - 32 & 0xFFFF_FFFF)


def _is_shut(form: Address, host: str | Address, policy: UrlPrefetch, lists: tuple[Network, ...]) -> bool:
    """Tell whether this is a metadata address that the policy does not list as such."""
    if form not in _METADATA:
        return False
    if form == host and str(form) in policy.allow_hosts:
        return False
    return not any(form in network and network.prefixlen >= _METADATA_PREFIX for network in lists)


def _is_listed(host: str | Address, allow_hosts: tuple[str, ...]) -> bool:
    if not isinstance(host, str):
        return str(host) in allow_hosts
    return any(host.endswith(entry[1:]) if entry.startswith("*.") else host == entry for entry in allow_hosts)


def _is_in(lists: tuple[Network, ...], form: Address) -> bool:
    """Tell whether a listed network speaks for this address; none does for one that stands for an IPv4 address."""
    if isinstance(form, IPv6Address) and form not in _LOOPBACK_AND_UNSPECIFIED and any(form in p for p in EMBEDDING):
        return False
    return any(form in network for network in lists)


def _is_global(form: Address) -> bool:
    if isinstance(form, IPv4Address):
        return not any(form in network for network in _DENIED_IPV4)
    return form in _GLOBAL_IPV6 and not any(form in network for network in _DENIED_IPV6)


@lru_cache(maxsize=64)
def _networks(entries: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(entry) for entry in entries)
