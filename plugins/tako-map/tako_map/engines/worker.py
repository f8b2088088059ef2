"""What runs in a worker: a provider, made from an id and options, if both sides have the same plugins."""

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

TAKO = ("tako-core", "tako-map")


class Spec(Struct, frozen=True):
    """The provider that a worker makes, the distributions that it needs (names to versions), and plugin settings."""

    id: str
    options: dict[str, Any]
    distributions: dict[str, str]
    plugins: PluginSettings = PluginSettings()

    def __repr__(self) -> str:
        return f"<{self.id} with {', '.join(self.options) or 'no options'}>"


def distributions(id: str) -> dict[str, str]:
    """Return the distributions that take part in a provider's calls: tako's, the provider's, and general plugins'."""
    entry = find_provider(id.partition(":")[0])
    versions = {name: version(name) for name in TAKO}
    for plugin in [*([entry] if entry is not None else []), *plugin_entries()]:
        if exclusion_reason(plugin) is None:
            versions[plugin.distribution] = plugin.version
    return versions


def version_problems(required: dict[str, str]) -> list[str]:
    """List the distributions that this process doesn't have in the required version."""
    problems: list[str] = []
    for name, required_version in required.items():
        try:
            installed_version = version(name)
        except PackageNotFoundError:
            problems.append(f"{name} {required_version} is missing")
            continue
        if installed_version != required_version:
            problems.append(f"{name} is {installed_version}, not {required_version}")
    return problems


class Worker:
    """A provider in a worker process; the engine makes it an actor. Its calls run on tako's own loop thread."""

    def __init__(self, spec: Spec) -> None:
        self._problems = version_problems(spec.distributions)
        self._provider = None
        if self._problems:
            return
        if spec.plugins:
            PLUGINS.use(spec.plugins)
        try:
            self._provider = get_provider(spec.id, **spec.options)
            self._provider.max_retries = 0
            _warm(self._provider)
        except TakoError as error:
            self._problems = [str(error)]

    async def problems(self) -> list[str]:
        """Return why this worker can't be used; an empty list if it can."""
        return self._problems

    async def chat(self, request: bytes) -> bytes:
        """Make one call; an error is returned, not raised."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._chat(request), loop_thread().loop))

    async def close(self) -> None:
        """Close the provider's connections."""
        if self._provider is not None:
            closing = asyncio.run_coroutine_threadsafe(self._provider.aclose(), loop_thread().loop)
            await asyncio.wrap_future(closing)

    async def _chat(self, request: bytes) -> bytes:
        assert self._provider is not None
        try:
            response: Any = await self._provider.chat(pickle.loads(request))  # noqa: S301 - from our own driver
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - the driver raises it
            response = error
        return _pickle(response)


def _warm(provider: Provider) -> None:
    """Import what a call needs before the first one, which would delay it and all that wait behind it."""
    provider.stream("warm")  # binds the hooks; nothing is sent
    with suppress(ImportError):
        import_module("tako.kit.asyncio_transport")


def _pickle(response: Any) -> bytes:
    """Pickle a response or an error; of an error that can't be pickled, the text."""
    if not isinstance(response, BaseException):
        return pickle.dumps(response)
    try:
        data = pickle.dumps(response)
        pickle.loads(data)  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - anything may be in an exception
        return pickle.dumps(ProviderError(f"{type(response).__name__}: {response}"))
    return data
