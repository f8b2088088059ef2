"""The worker's side: a provider, made from an id and options, and the check that both sides have the same plugins."""

from __future__ import annotations

import asyncio
import pickle
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako.discovery import exclusion_reason, find_provider, plugin_entries
from tako.errors import ProviderError, TakoError
from tako.hooks import PLUGINS, get_provider
from tako.hooks.settings import Settings as PluginSettings
from tako.loop_thread import loop_thread

if TYPE_CHECKING:
    from tako.provider import Provider

OURS = ("tako-core", "tako-map")


class Spec(Struct, frozen=True):
    """What a worker is to make, with which distributions (names to versions), and what holds for plugins."""

    id: str
    options: dict[str, Any]
    distributions: dict[str, str]
    plugins: PluginSettings = PluginSettings()

    def __repr__(self) -> str:
        return f"<{self.id} with {', '.join(self.options) or 'no options'}>"


def installed(id: str) -> dict[str, str]:
    """List the distributions that take part in a provider's calls: tako's, the provider's, the general plugins'."""
    entry = find_provider(id.partition(":")[0])
    found = {name: version(name) for name in OURS}
    for one in [*([entry] if entry is not None else []), *plugin_entries()]:
        if exclusion_reason(one) is None:
            found[one.distribution] = one.version
    return found


def lacking(wanted: dict[str, str]) -> list[str]:
    """Say what this process does not have as it is wanted; an empty list is well."""
    lacks: list[str] = []
    for name, wanted_version in wanted.items():
        try:
            there = version(name)
        except PackageNotFoundError:
            lacks.append(f"{name} {wanted_version} is missing")
            continue
        if there != wanted_version:
            lacks.append(f"{name} is {there}, not {wanted_version}")
    return lacks


class Worker:
    """A provider in a worker process; the engine makes it an actor. Its calls run on tako's own loop thread."""

    def __init__(self, spec: Spec) -> None:
        self._lacks = lacking(spec.distributions)
        self._provider = None
        if self._lacks:
            return
        if spec.plugins:
            PLUGINS.use(spec.plugins)
        try:
            self._provider = get_provider(spec.id, **spec.options)
            self._provider.max_retries = 0
            _warm(self._provider)
        except TakoError as error:
            self._lacks = [str(error)]

    async def lacks(self) -> list[str]:
        """Say why this worker cannot be used; an empty list is well."""
        return self._lacks

    async def chat(self, request: bytes) -> bytes:
        """Make one call; an error comes back as a value."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._chat(request), loop_thread().loop))

    async def close(self) -> None:
        """Close the provider's connections."""
        if self._provider is not None:
            closing = asyncio.run_coroutine_threadsafe(self._provider.aclose(), loop_thread().loop)
            await asyncio.wrap_future(closing)

    async def _chat(self, request: bytes) -> bytes:
        assert self._provider is not None
        try:
            answer: Any = await self._provider.chat(pickle.loads(request))  # noqa: S301 - from our own driver
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - it is raised again by the driver
            answer = error
        return _packed(answer)


def _warm(provider: Provider) -> None:
    """Import what a call needs before the first one, which would come late, and with all others behind it."""
    provider.stream("warm")  # binds the hooks; nothing is sent
    with suppress(ImportError):
        import_module("tako.kit.asyncio_transport")


def _packed(answer: Any) -> bytes:
    """Pickle an answer; an error that cannot travel is told in words."""
    if not isinstance(answer, BaseException):
        return pickle.dumps(answer)
    try:
        data = pickle.dumps(answer)
        pickle.loads(data)  # noqa: S301 - what has just been written
    except Exception:  # noqa: BLE001 - anything may be in an exception
        return pickle.dumps(ProviderError(f"{type(answer).__name__}: {answer}"))
    return data
