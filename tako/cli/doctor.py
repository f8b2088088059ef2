"""``tako doctor``: is each provider's plugin sound, its key there, its endpoint in reach? Secrets are never shown."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tako.builtin.guard import is_near, life_of
from tako.capabilities import Capabilities
from tako.cli.arguments import UsageError
from tako.cli.configuration import announce, read_configuration, table_of
from tako.cli.models import VARIABLE
from tako.cli.providers import state
from tako.cli.run import FAILED, complain
from tako.cli.table import show
from tako.discovery import provider_entries
from tako.errors import TakoError
from tako.hooks import PLUGINS, get_provider
from tako.names import unknown_provider

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from tako.config import Config
    from tako.installed import Entry
    from tako.provider import Provider

LIMIT = 3.0
"""Seconds for connecting to one endpoint."""
CHAIN = 20.0
"""Seconds for finding credentials: an SDK is imported, and the places where it looks are asked."""
ENDPOINTS = ("base_url", "endpoint_url", "endpoint", "url")
"""The options that hold an address, as the providers name them. One whose credentials come from a chain has an async
method ``find_credentials`` instead, which returns the address."""


def run(options: Namespace) -> int:
    """Carry out the command; exit code 1 where a plugin is broken or a provider with a key is out of reach."""
    config = read_configuration(options.config)
    rows = asyncio.run(_all(_subjects(options.names, config)))
    show(rows, as_json=options.json)
    if config is not None and any(row["model"] for row in rows):
        announce(config, options.config)
    if not options.json and not options.names:
        complain(f"tako: {_advice(rows, config)}")
    return FAILED if any(_bad(row, asked=bool(options.names)) for row in rows) else 0


def _advice(rows: list[dict[str, Any]], config: Config | None) -> str:
    """Tell a newcomer what to do next."""
    usual = os.environ.get(VARIABLE) or (config.default if config is not None else None)
    if usual:
        return f'next: tako chat "Hello" asks {usual}'
    ready = next((row for row in rows if row["key"] == "present" and not row["why"]), None)
    if ready is not None:
        id = ready["model"] or f"{ready['name']}:MODEL"
        return (
            f'next: tako chat -m {id} "Hello" (tako models {ready["name"]} lists models); a variable {VARIABLE}, or '
            "`default` in tako.toml, saves you the -m"
        )
    key = "tako keys set openai (or anthropic, gemini, mistral) keeps a key"
    if any(row["endpoint"] == "in process" and not row["why"] for row in rows):
        return f'next: tako chat "Hello" asks the small model in this process; {key} for a larger one'
    return f"next: {key}; or tako setup embedded downloads a small model that needs none"


@dataclass(frozen=True)
class Subject:
    """A provider to look at: its name, its plugin if there is one, and how it is made, with other options if need be.

    ``model`` is the id of one that is in the configuration.
    """

    name: str
    entry: Entry | None
    make: Callable[..., Provider]
    model: str = ""


def _subjects(names: list[str], config: Config | None) -> list[Subject]:
    """List what is installed and what the file has, or only what is named. Raises a TakoError for an unknown name."""
    entries = provider_entries()
    installed = [Subject(entry.name, entry, partial(get_provider, f"{entry.name}:doctor")) for entry in entries]
    tables: list[Subject] = []
    if config is not None:
        for name, table in config.providers.items():
            used = table.use.partition(":")[0]
            entry = next((entry for entry in entries if used in (entry.name, entry.attr)), None)
            tables.append(Subject(name, entry, partial(config.provider, name), table.id))
    if not names:
        return [*installed, *(subject for subject in tables if not _is_alias(subject, config))]
    subjects: list[Subject] = []
    for name in names:
        known = tables if table_of(config, name) is not None else installed
        named = [subject for subject in known if subject.name == name]
        if not named:
            raise UsageError(unknown_provider(name, [subject.name for subject in tables]))
        subjects += named
    return subjects


def _is_alias(subject: Subject, config: Config | None) -> bool:
    return config is not None and config.providers[subject.name].alias


async def _all(subjects: list[Subject]) -> list[dict[str, Any]]:
    return await asyncio.gather(*[_examine(subject) for subject in subjects])


async def _examine(subject: Subject) -> dict[str, Any]:
    """Look at one provider; nothing is asked of it but a connection, and only where it is configured."""
    entry = subject.entry
    plugin, why = state(entry) if entry is not None else ("missing", unknown_provider(subject.model))
    row: dict[str, Any] = {"name": subject.name, "model": subject.model, "plugin": plugin}
    row |= {"key": "", "endpoint": "", "why": why, "warning": ""}
    if entry is None or plugin != "ok":
        return row
    ready: Any = getattr(PLUGINS.provider_class(entry.name), "ready", None)
    if ready is not None:
        row["endpoint"] = "in process"
        if not ready():
            row["why"] = "the model isn't installed: run `tako setup embedded`"
        return row
    try:
        provider: Any = subject.make()
    except TakoError as error:
        row["why"] = str(error)
        row["key"] = "missing" if _is_key_missing(subject, str(error)) else ""
        return row
    known = provider.capabilities if subject.model else Capabilities()
    if known.retires is not None and provider.at_vendor and is_near(known.retires):
        row["warning"] = f"the model {life_of(known)}"
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


def _is_key_missing(subject: Subject, why: str) -> bool:
    """Whether a key is what is missing: with any key at all the complaint is another one, or none."""
    try:
        subject.make(api_key="unused")
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
    if row["plugin"] in ("broken", "ambiguous", "missing") or (asked and row["why"]):
        return True
    return row["key"] == "present" and "unreachable" in row["endpoint"]
