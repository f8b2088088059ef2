"""``tako doctor``: check each provider's plugin, key and endpoint. Secrets are never shown."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from shlex import quote
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tako.builtin.guard import describe_retirement, is_near
from tako.capabilities import Capabilities
from tako.cli.arguments import UsageError
from tako.cli.configuration import announce, find_table, read_configuration
from tako.cli.models import VARIABLE
from tako.cli.providers import provider_state
from tako.cli.run import FAILED, print_to_stderr
from tako.cli.table import print_rows
from tako.discovery import provider_entries
from tako.errors import MissingKeyError, TakoError
from tako.hooks import PLUGINS, get_provider
from tako.names import SHIPPED, unknown_provider

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from tako.config import Config
    from tako.installed import Entry
    from tako.provider import Provider

LIMIT = 3.0
"""Seconds for connecting to one endpoint."""
CREDENTIALS_LIMIT = 20.0
"""Seconds for finding credentials: an SDK is imported, and looks for them in files and at metadata services."""
PLACEHOLDER = "doctor"
"""The model of providers that are checked without one."""
KEY_PROVIDERS = ("openai", "anthropic", "gemini", "mistral")
"""Providers that a newcomer can use with a key alone."""
ENDPOINTS = ("base_url", "endpoint_url", "endpoint", "url")
"""Options that contain an address, as the providers name them. Providers whose credentials come from a chain have an
async method ``find_credentials`` instead, which returns the address."""


def run(options: Namespace) -> int:
    """Run the command; exit code 1 if a plugin is broken, or if a provider with a key can't be reached."""
    config = read_configuration(options.config)
    rows = asyncio.run(_examine_all(_subjects(options.names, config)))
    print_rows(rows, as_json=options.json)
    if config is not None and any(row["model"] for row in rows):
        announce(config, options.config)
    if not options.json and not options.names:
        print_to_stderr(f"tako: {_advice(rows, config, options.config)}")
    return FAILED if any(_is_bad(row, is_named=bool(options.names)) for row in rows) else 0


def _advice(rows: list[dict[str, Any]], config: Config | None, path: str | None) -> str:
    """Return what to do next, for a newcomer; ``path`` is the file of -c."""
    chat = f"tako chat -c {quote(path)}" if path is not None else "tako chat"
    default = config.default if config is not None else None
    model = (default if path is not None else None) or os.environ.get(VARIABLE) or default
    if model:
        return f'next: {chat} "Hello" asks {model}'
    ready_row = next((row for row in rows if row["key"] == "present" and not row["why"]), None)
    if ready_row is not None:
        id = ready_row["name"] if ready_row["model"] else f"{ready_row['name']}:MODEL"
        return (
            f'next: {chat} -m {id} "Hello" (tako models {ready_row["name"]} lists models); to leave out -m, set the '
            f"variable {VARIABLE}, or `default` in tako.toml"
        )
    key = f"tako keys set {_providers_for_a_key(rows)} stores a key"
    if any(row["endpoint"] == "in process" and not row["why"] for row in rows):
        return f'next: {chat} "Hello" asks the embedded model; {key} for a larger one'
    return f"next: {key}; or tako setup embedded downloads a small model that needs no key"


def _providers_for_a_key(rows: list[dict[str, Any]]) -> str:
    """Name installed providers that only need a key, or one to install."""
    installed = [row["name"] for row in rows if row["plugin"] == "ok" and not row["model"]]
    first, *others = [name for name in KEY_PROVIDERS if name in installed] or [
        f"openai (after pip install {SHIPPED['openai']})"
    ]
    return f"{first} (or {', '.join(others)})" if others else first


@dataclass(frozen=True)
class Subject:
    """A provider to check: its name, its plugin if it has one, and what makes it, with more options if needed.

    ``model`` is the id of a provider of the configuration.
    """

    name: str
    entry: Entry | None
    make: Callable[..., Provider]
    model: str = ""


def _subjects(names: list[str], config: Config | None) -> list[Subject]:
    """List the providers that are installed and those of the file, or only those with these names. Raises TakoError."""
    entries = provider_entries()
    installed = [Subject(entry.name, entry, partial(get_provider, f"{entry.name}:{PLACEHOLDER}")) for entry in entries]
    tables: list[Subject] = []
    if config is not None:
        for name, table in config.providers.items():
            provider_name = table.use.partition(":")[0]
            entry = next((entry for entry in entries if provider_name in (entry.name, entry.attr)), None)
            tables.append(Subject(name, entry, partial(config.provider, name), table.id))
    if not names:
        return [*installed, *(subject for subject in tables if not _is_alias(subject, config))]
    subjects: list[Subject] = []
    for name in names:
        candidates = tables if find_table(config, name) is not None else installed
        named = [subject for subject in candidates if subject.name == name]
        if not named:
            raise UsageError(unknown_provider(name, [subject.name for subject in tables]))
        subjects += named
    return subjects


def _is_alias(subject: Subject, config: Config | None) -> bool:
    return config is not None and config.providers[subject.name].alias


async def _examine_all(subjects: list[Subject]) -> list[dict[str, Any]]:
    return await asyncio.gather(*[_examine(subject) for subject in subjects])


async def _examine(subject: Subject) -> dict[str, Any]:
    """Check one provider. If it's configured, this opens a connection, and sends no request."""
    entry = subject.entry
    plugin, reason = provider_state(entry) if entry is not None else ("missing", unknown_provider(subject.model))
    row: dict[str, Any] = {"name": subject.name, "model": subject.model, "plugin": plugin}
    row |= {"key": "", "endpoint": "", "why": reason, "warning": ""}
    if entry is None or plugin != "ok":
        return row
    cls: Any = PLUGINS.provider_class(entry.name)
    if cls.options_of_providers and not subject.model:
        row["why"] = f"needs providers, as in {entry.name}:openai:…,anthropic:…"
        return row
    is_ready: Any = getattr(cls, "ready", None)
    if is_ready is not None:
        row["endpoint"] = "in process"
        if not is_ready():
            row["why"] = "the model isn't installed: run `tako setup embedded`"
        return row
    try:
        provider: Any = subject.make()
    except TakoError as error:
        row["why"] = _reason(subject, error)
        row["key"] = "missing" if _is_key_missing(subject, str(error)) else ""
        return row
    capabilities = provider.capabilities if subject.model else Capabilities()
    if capabilities.retires is not None and provider.at_vendor and is_near(capabilities.retires):
        row["warning"] = f"the model {describe_retirement(capabilities)}"
    row["key"] = "present" if getattr(provider, "secrets", ()) else "not needed"
    address = next((value for name in ENDPOINTS if isinstance(value := getattr(provider, name, None), str)), "")
    if hasattr(provider, "find_credentials"):
        try:
            async with asyncio.timeout(CREDENTIALS_LIMIT):
                address = await provider.find_credentials()
        except (TakoError, TimeoutError) as error:
            row["key"], row["why"] = (
                "missing",
                _reason(subject, error) or f"no credentials within {CREDENTIALS_LIMIT:g} s",
            )
            return row
        row["key"] = "present"
    if address:
        row["endpoint"], row["why"] = await reach(address)
    return row


def _reason(subject: Subject, error: Exception) -> str:
    """Return an error's text for the command, without the model that nobody named."""
    if subject.model:
        return str(error)
    if isinstance(error, MissingKeyError):
        error.advice = f"run tako keys set {subject.name}"
    return str(error).replace(f"{subject.name}:{PLACEHOLDER}", subject.name)


def _is_key_missing(subject: Subject, reason: str) -> bool:
    """Whether the key is missing. If so, another key leads to another error, or none."""
    try:
        subject.make(api_key="unused")
    except TakoError as error:
        return str(error) != reason and "api_key" not in str(error)
    return True


async def reach(address: str) -> tuple[str, str]:
    """Connect to an address, with TLS if it's https, and close. Return the text to show, and why it failed."""
    parts = urlsplit(address)
    is_secure = parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    endpoint = f"{parts.hostname}:{port}"
    try:
        async with asyncio.timeout(LIMIT):
            _, writer = await asyncio.open_connection(parts.hostname, port, ssl=_ssl_context() if is_secure else None)
    except TimeoutError:
        return f"{endpoint} unreachable", f"no connection within {LIMIT:g} s"
    except (OSError, ssl.SSLError) as error:
        return f"{endpoint} unreachable", os.strerror(number) if (number := error.errno or 0) > 0 else str(error)
    writer.close()
    with suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    return f"{endpoint} reachable", ""


def _ssl_context() -> ssl.SSLContext:
    """Return a context with the certificates that providers trust."""
    try:
        import certifi
    except ImportError:
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=certifi.where())


def _is_bad(row: dict[str, Any], *, is_named: bool) -> bool:
    """Whether a row is a failure. A provider that isn't set up only is one if the user named it."""
    if row["plugin"] in ("broken", "ambiguous", "missing") or (is_named and row["why"]):
        return True
    return row["key"] == "present" and "unreachable" in row["endpoint"]
