"""``tako doctor``: is each provider's plugin sound, its key there, its endpoint in reach? Secrets are never shown."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tako.cli.arguments import UsageError
from tako.cli.providers import state
from tako.cli.run import FAILED
from tako.cli.table import show
from tako.discovery import provider_entries
from tako.errors import TakoError
from tako.hooks import PLUGINS, get_provider

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.discovery import Entry

LIMIT = 3.0
"""Seconds for connecting to one endpoint."""
CHAIN = 20.0
"""Seconds for finding credentials: an SDK is imported, and the places where it looks are asked."""
ENDPOINTS = ("base_url", "endpoint_url", "endpoint", "url")
"""The options that hold an address, as the providers name them. One whose credentials come from a chain has an async
method ``find_credentials`` instead, which returns the address."""


def run(options: Namespace) -> int:
    """Carry out the command; exit code 1 where a plugin is broken or a provider with a key is out of reach."""
    entries = provider_entries()
    unknown = set(options.names) - {entry.name for entry in entries}
    if unknown:
        known = ", ".join(entry.name for entry in entries)
        raise UsageError(f"no provider {min(unknown)!r} is installed (installed: {known})")
    wanted = [entry for entry in entries if not options.names or entry.name in options.names]
    rows = asyncio.run(_all(wanted))
    show(rows, as_json=options.json)
    return FAILED if any(_bad(row, asked=bool(options.names)) for row in rows) else 0


async def _all(entries: list[Entry]) -> list[dict[str, Any]]:
    return await asyncio.gather(*[_examine(entry) for entry in entries])


async def _examine(entry: Entry) -> dict[str, Any]:
    """Look at one provider; nothing is asked of it but a connection, and only where it is configured."""
    plugin, why = state(entry)
    row: dict[str, Any] = {"name": entry.name, "plugin": plugin, "key": "", "endpoint": "", "why": why}
    if plugin != "ok":
        return row
    ready: Any = getattr(PLUGINS.provider_class(entry.name), "ready", None)
    if ready is not None:
        row["endpoint"] = "in process"
        if not ready():
            row["why"] = "the model is not installed: run `tako setup embedded`"
        return row
    try:
        provider: Any = get_provider(f"{entry.name}:doctor")
    except TakoError as error:
        row["why"] = str(error)
        row["key"] = "missing" if _lacks_key(entry.name, str(error)) else ""
        return row
    row["key"] = "present" if getattr(provider, "secrets", ()) else "not needed"
    address = next((found for name in ENDPOINTS if isinstance(found := getattr(provider, name, None), str)), "")
    if hasattr(provider, "find_credentials"):
        try:
            async with asyncio.timeout(CHAIN):
                address = await provider.find_credentials()
        except (TakoError, TimeoutError) as error:
            row["key"], row["why"] = "missing", str(error) or f"no credentials were found within {CHAIN:g} s"
            return row
        row["key"] = "present"
    if address:
        row["endpoint"], row["why"] = await reach(address)
    return row


def _lacks_key(name: str, why: str) -> bool:
    """Whether a key is what is missing: with any key at all the complaint is another one, or none."""
    try:
        get_provider(f"{name}:doctor", api_key="unused")
    except TakoError as error:
        return str(error) != why and "api_key" not in str(error)
    return True


async def reach(address: str) -> tuple[str, str]:
    """Connect to an address, with TLS if it is https, and hang up; returns what to show, and why it failed."""
    parts = urlsplit(address)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    where = f"{parts.hostname}:{port}"
    try:
        async with asyncio.timeout(LIMIT):
            _, writer = await asyncio.open_connection(parts.hostname, port, ssl=_trust() if secure else None)
    except TimeoutError:
        return f"{where} unreachable", f"no connection within {LIMIT:g} s"
    except (OSError, ssl.SSLError) as error:
        return f"{where} unreachable", os.strerror(number) if (number := error.errno or 0) > 0 else str(error)
    writer.close()
    with suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    return f"{where} reachable", ""


def _trust() -> ssl.SSLContext:
    """Trust what the providers themselves trust."""
    try:
        import certifi
    except ImportError:
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=certifi.where())


def _bad(row: dict[str, Any], *, asked: bool) -> bool:
    """What nobody has set up is no fault, unless it was asked about by name."""
    if row["plugin"] in ("broken", "ambiguous") or (asked and row["why"]):
        return True
    return row["key"] == "present" and "unreachable" in row["endpoint"]
