"""llama.cpp with one model loaded: once per process for each model and setting, and freed when nobody holds it."""

from __future__ import annotations

import os
import secrets
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import anyio
from msgspec import Struct

from tako.errors import ConfigurationError
from tako_llamacpp.embedded import MODEL, check
from tako_llamacpp.worker import running_loop

if TYPE_CHECKING:
    from collections.abc import Callable

N_PARALLEL = 1
"""Calls that are answered at a time; more wait in a queue. Several at once would share the context and the core."""


class Setting(Struct, frozen=True):
    """What makes one loaded model different from another."""

    path: Path
    alias: str
    n_ctx: int
    n_threads: int


class Engine:
    """A loaded model. Making one blocks for the time that loading takes."""

    def __init__(self, setting: Setting) -> None:
        if setting.alias == MODEL:
            check(setting.path)
        xllamacpp: Any = import_module("xllamacpp")
        params = xllamacpp.CommonParams()
        params.model.path = str(setting.path)
        params.model_alias = {setting.alias}
        params.n_ctx = setting.n_ctx
        params.n_parallel = N_PARALLEL
        params.cpuparams.n_threads = setting.n_threads
        params.cpuparams_batch.n_threads = setting.n_threads
        params.verbosity = 0
        params.warmup = False  # it doubles the time of loading, and saves a tenth of it at the first call
        params.cache_ram_mib = 0  # else up to 8 GiB of old prompts are kept
        params.ui = False
        params.n_threads_http = 1
        params.endpoint_metrics = True  # for the question below
        params.api_keys = [secrets.token_hex(32)]  # the library opens a loopback port, whoever wants it
        try:
            self._server: Any = xllamacpp.Server(params)
        except RuntimeError as error:
            raise ConfigurationError(
                f"llama.cpp can't load {setting.path}: an unknown kind of model, or too little memory "
                f"for n_ctx={setting.n_ctx}"
            ) from error
        self._server.handle_metrics()  # a server that is freed before its own loop has begun waits for ever
        self._pid = os.getpid()
        self._queues: WeakKeyDictionary[Any, anyio.Lock] = WeakKeyDictionary()

    @property
    def mine(self) -> bool:
        """Whether it was loaded in this process, not in one that this was forked from."""
        return self._pid == os.getpid()

    def answer(self, body: dict[str, Any], put: Callable[[dict[str, Any]], bool]) -> None:
        """Answer a Chat Completions body in chunks, blocking; stops as soon as ``put`` returns True."""
        result = self._server.handle_chat_completions(body, put)
        if result is not None:
            put(result)

    def queue(self) -> anyio.Lock:
        """Return the queue of the running event loop; llama.cpp itself makes several loops wait for one another."""
        loop = running_loop()
        if loop not in self._queues:
            self._queues[loop] = anyio.Lock()
        return self._queues[loop]


_engines: WeakValueDictionary[Setting, Engine] = WeakValueDictionary()
_loading = threading.Lock()
_orphans: list[Engine] = []
"""What a forked child inherits: models whose threads stayed behind. Freeing one would wait for those for ever."""


def engine_for(setting: Setting) -> Engine:
    """Return the loaded model, loading it unless somebody holds it already; blocks meanwhile."""
    with _loading:
        engine = _engines.get(setting)
        if engine is None:
            engine = _engines[setting] = Engine(setting)
        return engine


def _after_fork() -> None:
    global _loading  # noqa: PLW0603 - the parent may have held it
    _loading = threading.Lock()
    _orphans.extend(_engines.values())
    _engines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
