"""Attacks by address: every special block, every disguise, DNS, and the allow-lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import registry
from .cases import METADATA, PUBLIC, PUBLIC6, Case, literal, named
from .scripted import answer

if TYPE_CHECKING:
    from collections.abc import Iterator

INSIDE = ("127.0.0.1", "10.0.0.5", "192.168.1.1", "172.31.255.255")
METADATA_IPV4 = (METADATA, "100.100.100.200", "168.63.129.16")
METADATA_ALL = (*METADATA_IPV4, "fd00:ec2::254")
ANY_HOST = {"allow_hosts": ("images.example", "*.example")}
OPEN = {"allow_private_ips": True, **ANY_HOST, "allow_cidrs": ("0.0.0.0/0", "::/0")}


def _rule(address: str) -> str:
    return "metadata" if address in {*METADATA_ALL, "169.254.170.2", "fd20:ce::254"} else "address"


def blocks() -> Iterator[Case]:
    """Yield each edge of each block as a literal and as an answer, and the neighbours that have to work."""
    for name, address in registry.forbidden():
        rule = _rule(address)
        yield Case(f"literal: {name}", f"https://{literal(address)}/a", rule)
        yield named(f"answer: {name}", address, rule)
    for name, address in registry.public():
        yield Case(f"public: {name} {address}", f"https://{literal(address)}/a", None, dialled=(address,))


def disguises() -> Iterator[Case]:
    """Yield forbidden IPv4 addresses inside IPv6 addresses."""
    for inside in (*INSIDE, *METADATA_IPV4):
        for scheme, address in registry.disguises(inside):
            rule = "metadata" if inside in METADATA_IPV4 else "address"
            yield Case(f"literal: {inside} {scheme}", f"https://[{address}]/", rule)
            yield named(f"answer: {inside} {scheme}", address, rule)
            if inside in METADATA_IPV4:
                yield named(f"all open: {inside} {scheme}", address, "metadata", policy=OPEN)
    for inside in METADATA_IPV4:
        for scheme, address in registry.nat64_networks(inside):
            yield named(f"answer: {inside} {scheme}", address, "metadata", policy=ANY_HOST)
    yield Case("literal: dotted mapped", "https://[::ffff:127.0.0.1]/", "address")
    yield Case("literal: expanded mapped", "https://[0000:0000:0000:0000:0000:FFFF:7F00:0001]/", "address")
    yield Case("literal: expanded loopback", "https://[0:0:0:0:0:0:0:1]/", "address", option="allow_private_ips=True")
    for scheme in ("mapped", "nat64"):  # a network with DNS64 has nothing else
        address = dict(registry.disguises(PUBLIC))[scheme]
        yield named(f"public {scheme}", address, None)
    yield named("public isatap", dict(registry.disguises(PUBLIC))["isatap"], None)
    yield named(
        "link-local isatap of a public address", dict(registry.disguises(PUBLIC))["isatap link-local"], "address"
    )


def dns() -> Iterator[Case]:
    """Yield mixed answers, rebinding, fail-over and names that resolve to nothing."""
    for bad in ("10.0.0.5", "127.0.0.1", "::1", "fe80::1", "224.0.0.1", "::ffff:10.0.0.5"):
        yield named(f"mixed answer, first public: {bad}", [PUBLIC, bad], "address")
        yield named(f"mixed answer, last public: {bad}", [bad, PUBLIC], "address")
    yield named("mixed answer, one in forty", [*[f"93.184.216.{n}" for n in range(1, 40)], "10.0.0.5"], "address")
    yield named("metadata among public", [PUBLIC, PUBLIC6, METADATA], "metadata")
    yield named("a zone in the answer", "fe80::1%2", "address", policy=ANY_HOST)
    yield named("a zone on a public address", f"{PUBLIC6}%1", "address", policy=ANY_HOST)
    yield named("no address", [], "dns")
    yield named("not an address", "intranet", "dns")
    yield named("an octal address", "0177.0.0.1", "dns")
    yield named("not an address among public", [PUBLIC, "127.1"], "dns")
    yield Case("unknown name", "https://unknown.example/", "dns")
    yield Case("localhost", "https://localhost/", "address", dns={"localhost": ["127.0.0.1", "::1"]})
    yield Case("localhost in disguise", "https://a.localhost/", "address", dns={"a.localhost": ["127.0.0.1"]})
    yield Case("rebinding", "https://r.example/", None, dns={"r.example": [[PUBLIC], ["127.0.0.1"]]}, dialled=(PUBLIC,))
    yield Case("rebinding to public", "https://r.example/", "address", dns={"r.example": [["127.0.0.1"], [PUBLIC]]})
    yield named("fail-over to public", [PUBLIC, PUBLIC6], None, dead=(PUBLIC,), dialled=(PUBLIC, PUBLIC6))
    yield named("fail-over to inside", [PUBLIC, "10.0.0.5"], "address", dead=(PUBLIC,))
    yield named("all dead", [PUBLIC, PUBLIC6], "connect", dead=(PUBLIC, PUBLIC6), dialled=(PUBLIC, PUBLIC6))
    yield Case(
        "fail-over with rebinding",
        "https://r.example/",
        "connect",
        dns={"r.example": [[PUBLIC], ["10.0.0.5"]]},
        dead=(PUBLIC,),
        dialled=(PUBLIC,),
    )
    quick = {"timeout": 0.05}
    yield named(
        "a silent address", PUBLIC, "timeout", policy=quick, silent=(PUBLIC,), dialled=(PUBLIC,), option="timeout"
    )
    both = (PUBLIC, PUBLIC6)
    yield named("fail-over from a silent address", both, None, policy={"timeout": 0.1}, silent=(PUBLIC,), dialled=both)
    many = [f"93.184.216.{n}" for n in range(1, 40)]
    yield named("forty dead addresses", many, "connect", dead=tuple(many), dialled=tuple(many[:8]))


def allow_lists() -> Iterator[Case]:
    """Yield what the lists open, and what they leave shut."""
    wild = {"allow_hosts": ("*.corp.example",)}
    for host, rule in {
        "a.corp.example": None,
        "A.B.CORP.Example": None,
        "a.corp.example.": None,
        "corp.example": "address",
        "evilcorp.example": "address",
        "a.corp.example.evil.example": "address",
        "corp.example.evil.example": "address",
        "a-corp.example": "address",
    }.items():
        key = host.lower().removesuffix(".")
        dialled = () if rule else ("10.0.0.5",)
        yield Case(f"*.corp.example: {host}", f"https://{host}/", rule, wild, {key: ["10.0.0.5"]}, dialled=dialled)
    exact = {"allow_hosts": ("Images.Example.", "10.0.0.7")}
    yield named("exact name", "10.0.0.5", None, policy=exact)
    yield Case(
        "sub-name of an exact name", "https://a.images.example/", "address", exact, {"a.images.example": ["::1"]}
    )
    yield Case("exact address", "https://10.0.0.7/", None, exact, dialled=("10.0.0.7",))
    yield Case("exact address, mapped", "https://[::ffff:10.0.0.7]/", "address", exact)
    yield Case("neighbour of an exact address", "https://10.0.0.8/", "address", exact)
    yield named("a name at a listed address", "10.0.0.7", "address", policy={"allow_hosts": ("10.0.0.7",)})
    cidr = {"allow_cidrs": ("10.1.0.0/16", "fd12:3456::/32")}
    for address, rule in {
        "10.1.0.0": None,
        "10.1.255.255": None,
        "10.0.255.255": "address",
        "10.2.0.0": "address",
        "::ffff:10.1.2.3": None,
        "::ffff:10.2.0.0": "address",
        "fd12:3456::1": None,
        "fd12:3457::1": "address",
        "fd12:3456::5efe:10.2.0.1": "address",
        "2002:a01:203::1": "address",
        "127.0.0.1": "address",
    }.items():
        yield named(f"allow_cidrs: {address}", address, rule, policy=cidr)
    yield named("allow_cidrs, one of two", ["10.1.2.3", "10.2.0.1"], "address", policy=cidr)
    yield named("allow_cidrs, both", ["10.1.2.3", PUBLIC], None, policy=cidr)
    yield named("6to4 under 2000::/3", "2002:a00:1::1", "address", policy={"allow_cidrs": ("2000::/3", "::/0")})
    yield Case("loopback v6 listed", "https://[::1]/", None, {"allow_cidrs": ("::1",)}, dialled=("::1",))
    yield from _private()
    yield from _metadata()
    for name, address in {"http": "http://10.1.2.3/", "port": "https://10.1.2.3:0/"}.items():
        yield Case(f"a listed network lifts one rule alone: {name}", address, name, cidr)
    broken = {"answers": (answer(type="text/html"),), "dialled": ("10.0.0.5",)}
    yield named("a listed host lifts one rule alone: type", "10.0.0.5", "type", policy=ANY_HOST, **broken)


def _private() -> Iterator[Case]:
    private = {"allow_private_ips": True}
    for address in ("10.0.0.5", "172.16.0.1", "192.168.1.1", "127.0.0.1", "100.64.0.1", "::1", "fd00::1", "fc00::1"):
        yield named(f"allow_private_ips: {address}", address, None, policy=private)
    for address in ("::ffff:10.0.0.5", "64:ff9b::10.0.0.5"):
        yield named(f"allow_private_ips: {address}", address, None, policy=private)
    for address in (
        *(
            "0.0.0.0",
            "169.254.1.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ),
        *("::", "fe80::1", "ff02::1", "2001:db8::1", "2002:a00:5::1", "64:ff9b:1::a00:5", "fec0::1", "2001::1"),
    ):
        yield named(f"allow_private_ips leaves shut: {address}", address, "address", policy=private)


def _metadata() -> Iterator[Case]:
    for address in METADATA_ALL:
        for name, policy in {
            "hosts": ANY_HOST,
            "private": {"allow_private_ips": True},
            "everything": OPEN,
            "its address in allow_hosts, by a name": {"allow_hosts": (address,)},
        }.items():
            yield named(f"metadata {address} under {name}", address, "metadata", policy=policy)
        listed = {"allow_cidrs": (address,)}
        yield named(f"metadata {address} listed by itself", address, None, policy=listed)
        url = f"https://{literal(address)}/"
        yield Case(f"metadata {address} literal and listed", url, None, {"allow_hosts": (address,)}, dialled=(address,))
        yield Case(f"metadata {address} literal", url, "metadata", {"allow_private_ips": True}, option="allow_cidrs")
    link_local = {"allow_cidrs": ("169.254.0.0/16",)}
    yield named("metadata by its network", METADATA, None, policy=link_local)
    yield named("metadata, half of all networks listed", METADATA, "metadata", policy={"allow_cidrs": ("128.0.0.0/1",)})
    yield named("metadata in 6to4 though listed", "2002:a9fe:a9fe::1", "address", policy=link_local)


CASES = (*blocks(), *disguises(), *dns(), *allow_lists())
