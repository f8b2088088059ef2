"""What no table of examples can say: over all URLs and all addresses."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tako.kit.prefetch.addresses import check_address
from tako.kit.prefetch.rules import Refusal
from tako.kit.prefetch.url import Url, follow, parse_url
from tako.url_prefetch import UrlPrefetch

from . import registry
from .attack_urls import LOOPBACK_SPELLINGS

POLICY = UrlPrefetch()
FRAGMENTS = st.sampled_from(
    [
        *"/\\@:?#[]%.*\t\n &;=-_~|",
        "https",
        "http",
        "://",
        "127.0.0.1",
        "0x7f",
        "[::1]",
        "a.example",
        "169.254.169.254",
        "①",
        "。",
    ]
)
TEXT = st.lists(FRAGMENTS | st.characters(), max_size=12).map("".join)


def parsed(text: str) -> Url | None:
    with suppress(Refusal):
        return parse_url(text)
    return None


def is_well_formed(url: Url) -> bool:
    assert url.scheme in ("http", "https")
    assert 1 <= url.port <= 65535
    assert url.target.isascii()
    assert url.target.isprintable()
    assert url.target.startswith("/")
    assert not set(url.target) & set(" \\#")
    if isinstance(url.host, str):
        assert url.host.isascii()
        assert not set(url.host) & set("/\\@:?#[]%* ")
        with pytest.raises(OSError):  # noqa: PT012 - whichever of the two it is
            socket.inet_aton(url.host)
            raise AssertionError(url.host)
    return True


@settings(max_examples=200, deadline=None)
@given(text=TEXT | st.builds("https://{}{}".format, TEXT, TEXT))
def test_what_is_parsed_is_well_formed_and_no_name_is_an_address_to_the_c_library(text: str) -> None:
    url = parsed(text)
    assert url is None or is_well_formed(url)


@settings(max_examples=200, deadline=None)
@given(location=TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=40))
def test_a_redirect_leads_to_a_well_formed_url_or_nowhere(location: bytes) -> None:
    with suppress(Refusal):
        assert is_well_formed(follow(Url("https", "a.example", 443, "/x/y?z"), location))


@pytest.mark.parametrize("host", LOOPBACK_SPELLINGS)
def test_no_spelling_of_loopback_is_a_name(host: str) -> None:
    url = parsed(f"http://{host}/")
    assert url is None or is_well_formed(url)


def permitted(address: IPv4Address | IPv6Address, policy: UrlPrefetch = POLICY) -> bool:
    try:
        check_address(address, "a.example", policy)
    except Refusal:
        return False
    return True


@settings(max_examples=150, deadline=None)
@given(address=st.ip_addresses(v=4))
def test_ipv4_is_judged_as_the_registry_says(address: IPv4Address) -> None:
    assert permitted(address) == registry.is_public(address)
    for scheme, disguised in registry.disguises(str(address)):
        through = scheme in ("mapped", "compatible", "translated", "nat64", "isatap", "isatap universal")
        expected = registry.is_public(address) and through
        if int(address) > 1 or scheme != "compatible":  # :: and ::1 are addresses of their own
            assert permitted(ip_address(disguised)) == expected, (scheme, disguised)


@settings(max_examples=150, deadline=None)
@given(address=st.ip_addresses(v=6) | st.integers(0x2000 << 112, (0x4000 << 112) - 1).map(IPv6Address))
def test_ipv6_outside_the_registry_s_public_blocks_is_never_permitted(address: IPv6Address) -> None:
    if permitted(address) and int(address) >> 32 not in (0, 0xFFFF, 0xFFFF_0000, 0x64_FF9B << 64):
        assert registry.is_public(address)


@settings(max_examples=100, deadline=None)
@given(address=st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4))
def test_a_listed_address_is_the_only_one_that_its_entry_permits(address: IPv4Address) -> None:
    policy = UrlPrefetch(allow_cidrs=(str(address),))
    assert permitted(address, policy)
    neighbour = IPv4Address(int(address) ^ 1)
    assert permitted(neighbour, policy) == registry.is_public(neighbour)
