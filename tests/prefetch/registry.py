"""IANA's special-purpose registries as attacks: the edges of every block, and the public neighbours on both sides.

Written from the registries (iana-ipv4-special-registry, iana-ipv6-special-registry, ipv6-address-space), not from the
code under test.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

IPV4 = {
    "this network": "0.0.0.0/8",
    "private 10": "10.0.0.0/8",
    "shared": "100.64.0.0/10",
    "loopback": "127.0.0.0/8",
    "azure wire server": "168.63.129.16/32",
    "link-local": "169.254.0.0/16",
    "private 172": "172.16.0.0/12",
    "protocol assignments": "192.0.0.0/24",
    "ds-lite": "192.0.0.0/29",
    "dummy address": "192.0.0.8/32",
    "port control anycast": "192.0.0.9/32",
    "turn anycast": "192.0.0.10/32",
    "nat64 discovery": "192.0.0.170/31",
    "test-net-1": "192.0.2.0/24",
    "6to4 relay": "192.88.99.0/24",
    "private 192": "192.168.0.0/16",
    "benchmarking": "198.18.0.0/15",
    "test-net-2": "198.51.100.0/24",
    "test-net-3": "203.0.113.0/24",
    "multicast": "224.0.0.0/4",
    "reserved": "240.0.0.0/4",
    "broadcast": "255.255.255.255/32",
}

IPV6 = {
    "unspecified": "::/128",
    "loopback": "::1/128",
    "reserved 0100": "200::/7",
    "local nat64": "64:ff9b:1::/48",
    "discard-only": "100::/64",
    "dummy prefix": "100:0:0:1::/64",
    "reserved 0400": "400::/6",
    "reserved 0800": "800::/5",
    "reserved 1000": "1000::/4",
    "protocol assignments": "2001::/23",
    "teredo": "2001::/32",
    "port control anycast": "2001:1::1/128",
    "turn anycast": "2001:1::2/128",
    "dns-sd srp anycast": "2001:1::3/128",
    "benchmarking": "2001:2::/48",
    "amt": "2001:3::/32",
    "as112": "2001:4:112::/48",
    "orchid": "2001:10::/28",
    "orchid v2": "2001:20::/28",
    "drone remote id": "2001:30::/28",
    "documentation": "2001:db8::/32",
    "6to4": "2002::/16",
    "documentation 2": "3fff::/20",
    "reserved 4000": "4000::/3",
    "segment routing": "5f00::/16",
    "reserved 6000": "6000::/3",
    "reserved 8000": "8000::/3",
    "reserved a000": "a000::/3",
    "reserved c000": "c000::/3",
    "reserved e000": "e000::/4",
    "reserved f000": "f000::/5",
    "reserved f800": "f800::/6",
    "unique local": "fc00::/7",
    "unique local fd": "fd00::/8",
    "reserved fe00": "fe00::/9",
    "link-local": "fe80::/10",
    "site-local": "fec0::/10",
    "multicast": "ff00::/8",
    "all nodes": "ff02::1/128",
}

GLOBAL = {
    "as112 v4": "192.31.196.0/24",
    "amt v4": "192.52.193.0/24",
    "direct as112 v4": "192.175.48.0/24",
    "direct as112 v6": "2620:4f:8000::/48",
    "first global": "2001:200::/32",
    "6bone": "3ffe::/16",
    "google": "2607:f8b0::/32",
    "last of 2000::/3 before documentation": "3ffe:ffff::/32",
    "after documentation": "3fff:1000::/20",
}

_DENIED_V4 = [IPv4Network(block) for block in IPV4.values()]
_DENIED_V6 = [IPv6Network(block) for block in IPV6.values()]


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell what the registries say of an address that wraps no other."""
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _DENIED_V4)
    return 0x2000 <= int(address) >> 112 <= 0x3FFF and not any(address in block for block in _DENIED_V6)


def forbidden() -> Iterator[tuple[str, str]]:
    """Yield (name, address) for the first, the last and a middle address of every block."""
    for name, block in (IPV4 | {f"{name} v6": block for name, block in IPV6.items()}).items():
        network = IPv6Network(block) if ":" in block else IPv4Network(block)
        for address in dict.fromkeys((network[0], network[-1], network[network.num_addresses // 2])):
            yield f"{name} {address}", str(address)


def public() -> Iterator[tuple[str, str]]:
    """Yield (name, address) for the neighbours of every block, as far as they are public, and for GLOBAL's blocks."""
    for block in IPV4.values():
        network = IPv4Network(block)
        for number in (int(network[0]) - 1, int(network[-1]) + 1):
            if 0 <= number < 2**32 and is_public(IPv4Address(number)):
                yield f"beside {block}", str(IPv4Address(number))
    for block in IPV6.values():
        network6 = IPv6Network(block)
        for number in (int(network6[0]) - 1, int(network6[-1]) + 1):
            if 0 <= number < 2**128 and is_public(IPv6Address(number)):
                yield f"beside {block}", str(IPv6Address(number))
    for name, block in GLOBAL.items():
        network7 = IPv6Network(block) if ":" in block else IPv4Network(block)
        yield name, str(network7[0])
        yield name, str(network7[-1])


def disguises(inside: str) -> Iterator[tuple[str, str]]:
    """Yield (scheme, IPv6 address) for every scheme that writes an IPv4 address into an IPv6 address."""
    number = int(IPv4Address(inside))
    for scheme, address in {
        "mapped": 0xFFFF << 32 | number,
        "compatible": number,
        "translated": 0xFFFF << 48 | number,
        "nat64": 0x64_FF9B << 96 | number,
        "local nat64": 0x64_FF9B_0001 << 80 | number,
        "local nat64 /48": 0x64_FF9B_0001 << 80 | number >> 16 << 64 | (number & 0xFFFF) << 40,
        "isatap": 0x2607_F8B0 << 96 | 0x5EFE << 32 | number,
        "isatap universal": 0x2607_F8B0 << 96 | 0x0200_5EFE << 32 | number,
        "isatap link-local": 0xFE80 << 112 | 0x5EFE << 32 | number,
        "6to4": 0x2002 << 112 | number << 80 | 1,
        "teredo": 0x2001 << 112 | 0x0808_0808 << 64 | number ^ 0xFFFF_FFFF,
    }.items():
        yield scheme, str(IPv6Address(address))


def nat64_networks(inside: str) -> Iterator[tuple[str, str]]:
    """Yield (scheme, IPv6 address) for a network's own NAT64 prefixes of each length of RFC 6052 section 2.2."""
    number = int(IPv4Address(inside))
    prefix = 0x2607_F8B0_0001_0002
    yield "own nat64 /32", str(IPv6Address(prefix >> 32 << 96 | number << 64))
    yield "own nat64 /40", str(IPv6Address(prefix >> 32 << 96 | number >> 8 << 64 | (number & 0xFF) << 48))
    yield "own nat64 /48", str(IPv6Address(prefix >> 16 << 80 | number >> 16 << 64 | (number & 0xFFFF) << 40))
    yield "own nat64 /56", str(IPv6Address(prefix >> 8 << 72 | number >> 24 << 64 | (number & 0xFF_FFFF) << 32))
    yield "own nat64 /64", str(IPv6Address(prefix << 64 | number << 24))
    yield "own nat64 /96", str(IPv6Address(prefix << 64 | number))
