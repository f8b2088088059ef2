"""The attack list, and what has to go on working. Every case is a URL, a policy and a scripted world."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import anyio

from .scripted import CANARY, Dialled, Scripted, ScriptedStream, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PUBLIC = "93.184.216.34"
PUBLIC6 = "2606:2800:220:1:248:1893:25c8:1946"
METADATA = "169.254.169.254"
HTTP = {"allow_http": True}
PATIENCE = 60.0
"""Seconds in which every case has to end, by the clock of `clock.run`; the deadlines in the table are shorter."""


@dataclass(frozen=True)
class Case:
    """``rule``: the one that refuses, or None where the image has to arrive. ``dialled``: every address, in order."""

    name: str
    url: str
    rule: str | None
    policy: dict[str, Any] = field(default_factory=dict[str, Any])
    dns: Mapping[str, Sequence[str] | Sequence[Sequence[str]]] = field(default_factory=dict[str, Any])
    answers: Sequence[bytes | Sequence[bytes]] = ()
    dialled: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    option: str | None = None

    def __str__(self) -> str:
        return self.name


async def failing(case: Case, fetch: Callable[..., Any], policy: Callable[..., Any]) -> str | None:
    """Run a case against a guard; return what is wrong, or None. The guard is given, so that a broken one can be."""
    world = Scripted(case.dns, case.answers, dead=case.dead, silent=case.silent)
    wrong: str | None = "did not end"
    with anyio.move_on_after(PATIENCE):
        try:
            image = await fetch(case.url, policy(**case.policy), network=world.network)
        except Exception as error:  # noqa: BLE001 - a broken guard may raise anything
            wrong = _wrong_refusal(case, error)
        else:
            wrong = None if case.rule is None else f"was fetched: {image!r}"
    dialled = [ip_address(each.address) for each in world.dialled]
    if dialled != [ip_address(address) for address in case.dialled]:
        return f"dialled {dialled}, not {case.dialled}"
    if any(not stream.closed for stream in world.streams):
        return "left a connection open"
    return wrong or next(filter(None, (_wrong_request(stream) for stream in world.streams)), None)


def _wrong_request(stream: ScriptedStream) -> str | None:
    """Tell what a request holds beside the request line, Host and the two Accept headers, or what TLS was asked for."""
    lines = stream.request.decode("ascii").split("\r\n")
    names = [line.partition(":")[0].lower() for line in lines[1:-2]]
    if names != ["host", "accept", "accept-encoding"] or not lines[0].startswith("GET /"):
        return f"sends {lines}"
    host = lines[1].removeprefix("Host: ")
    named = host.rpartition("]")[0].removeprefix("[") or host.partition(":")[0]
    if stream.tls_name not in (None, named):
        return f"asks {stream.tls_name} for its certificate, and {named} for the image"
    return None


def _wrong_refusal(case: Case, error: Exception) -> str | None:
    if case.rule is None:
        return f"was refused: {error!r}"
    if getattr(error, "rule", None) != case.rule:
        return f"refused by {error!r}, not by {case.rule}"
    if case.option is not None and getattr(error, "option", "") != case.option:
        return f"names the option {getattr(error, 'option', '')}, not {case.option}"
    text = f"{error} {error!r} {error.__dict__}"
    if error.__context__ is not None or error.__cause__ is not None:
        return "carries another exception along"
    if CANARY.decode() in text:
        return "holds a piece of the answer"
    resolved = [address for answers in case.dns.values() for address in _flat(answers)]
    leaked = [address for address in resolved if address in text and address not in case.url]
    return f"holds the address {leaked[0]}" if leaked else None


def _flat(answers: Sequence[Any]) -> list[str]:
    return [address for each in answers for address in ([each] if isinstance(each, str) else each)]


def literal(address: str) -> str:
    """Write an address as a URL's host."""
    return f"[{address}]" if ":" in address else address


def named(name: str, address: str | Sequence[str], rule: str | None, **options: Any) -> Case:
    """Make a case of a name that resolves to the address."""
    addresses = [address] if isinstance(address, str) else list(address)
    options.setdefault("dialled", () if rule else (addresses[0],))
    return Case(name, "https://images.example/a.png", rule, dns={"images.example": addresses}, **options)


def served(name: str, script: bytes | Sequence[bytes], rule: str | None, **options: Any) -> Case:
    """Make a case of one answer by a public host."""
    dns = {"images.example": [PUBLIC]}
    return Case(name, "https://images.example/a", rule, dns=dns, answers=[script], dialled=(PUBLIC,), **options)


def hops(name: str, answers: Sequence[bytes], rule: str | None, *dialled: str, **options: Any) -> Case:
    """Make a case of a public host that redirects; ``next.example`` is public too, ``inside.example`` is not."""
    dns = {
        "images.example": [PUBLIC],
        "next.example": [PUBLIC6],
        "inside.example": ["10.0.0.5"],
        "metadata.example": [METADATA],
        "mixed.example": [PUBLIC, "192.168.7.7"],
    }
    return Case(name, "https://images.example/x/y?q=1", rule, dns=dns, answers=answers, dialled=dialled, **options)


__all__ = ["HTTP", "METADATA", "PUBLIC", "PUBLIC6", "Case", "Dialled", "answer", "failing", "hops", "literal", "named"]
