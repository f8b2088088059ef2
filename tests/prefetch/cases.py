"""The attack list, and what has to go on working. Every case is a URL, a policy and a scripted world."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from .scripted import CANARY, Dialled, Scripted, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PUBLIC = "93.184.216.34"
PUBLIC6 = "2606:2800:220:1:248:1893:25c8:1946"
METADATA = "169.254.169.254"
HTTP = {"allow_http": True}


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
    option: str | None = None

    def __str__(self) -> str:
        return self.name


async def failing(case: Case, fetch: Callable[..., Any], policy: Callable[..., Any]) -> str | None:
    """Run a case against a guard; return what is wrong, or None. The guard is given, so that a broken one can be."""
    world = Scripted(case.dns, case.answers, dead=case.dead)
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
    return wrong


def _wrong_refusal(case: Case, error: Exception) -> str | None:
    if case.rule is None:
        return f"was refused: {error!r}"
    if getattr(error, "rule", None) != case.rule:
        return f"refused by {error!r}, not by {case.rule}"
    if case.option is not None and getattr(error, "option", "") != case.option:
        return f"names the option {getattr(error, 'option', '')}, not {case.option}"
    text = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__dict__)
    if error.__context__ is not None or error.__cause__ is not None:
        return "carries another exception along"
    if CANARY.decode() in text:
        return "holds a piece of the answer"
    resolved = [address for found in case.dns.values() for address in _flat(found)]
    leaked = [address for address in resolved if address in text and address not in case.url]
    return f"holds the address {leaked[0]}" if leaked else None


def _flat(found: Sequence[Any]) -> list[str]:
    return [address for each in found for address in ([each] if isinstance(each, str) else each)]


def literal(address: str) -> str:
    """Write an address as a URL's host."""
    return f"[{address}]" if ":" in address else address


def named(name: str, address: str | Sequence[str], rule: str | None, **options: Any) -> Case:
    """Make a case of a name that resolves to the address."""
    found = [address] if isinstance(address, str) else list(address)
    options.setdefault("dialled", () if rule else (found[0],))
    return Case(name, "https://images.example/a.png", rule, dns={"images.example": found}, **options)


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
