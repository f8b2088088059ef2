"""llama.cpp with one loaded model: one per process for each model and its options, freed when nobody uses it."""

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
"""Calls that are answered at the same time; others wait. More would have to share the context and the core."""


class EngineOptions(Struct, frozen=True):
    """The options of a loaded model; models with the same options are shared."""

    path: Path
    alias: str
    n_ctx: int
    n_threads: int


class Engine:
    """A loaded model. Making one blocks until the model is loaded."""

    def __init__(self, options: EngineOptions) -> None:
        if options.alias == MODEL:
            check(options.path)
        xllamacpp: Any = import_module("xllamacpp")
        params = xllamacpp.CommonParams()
        params.model.path = str(options.path)
        params.model_alias = {options.alias}
        params.n_ctx = options.n_ctx
        params.n_parallel = N_PARALLEL
        params.cpuparams.n_threads = options.n_threads
        params.cpuparams_batch.n_threads = options.n_threads
        params.verbosity = 0
        params.warmup = False  # it doubles the loading time, and saves a tenth of that at the first call
        params.cache_ram_mib = 0  # otherwise up to 8 GiB of old prompts are kept
        params.ui = False
        params.n_threads_http = 1
        params.endpoint_metrics = True  # handle_metrics below needs it
        params.api_keys = [secrets.token_hex(32)]  # the library always opens a loopback port
        try:
            self._server: Any = xllamacpp.Server(params)
        except RuntimeError as error:
            raise ConfigurationError(
                f"llama.cpp can't load {options.path}: an unknown kind of model, or too little memory "
                f"for n_ctx={options.n_ctx}"
            ) from error
        self._server.handle_metrics()  # a server that is freed before its loop has started waits forever
        self._pid = os.getpid()
        self._queues: WeakKeyDictionary[Any, anyio.Lock] = WeakKeyDictionary()

    @property
    def is_own_process(self) -> bool:
        """Whether it was loaded in this process, not in the parent before a fork."""
        return self._pid == os.getpid()

    def answer(self, body: dict[str, Any], put: Callable[[dict[str, Any]], bool]) -> None:
        """Answer a Chat Completions body in chunks, blocking; stops as soon as ``put`` returns True."""
        result = self._server.handle_chat_completions(body, put)
        if result is not None:
            put(result)

    def queue(self) -> anyio.Lock:
        """Return the queue of the running event loop. Between loops, llama.cpp itself has a queue."""
        loop = running_loop()
        if loop not in self._queues:
            self._queues[loop] = anyio.Lock()
        return self._queues[loop]


_engines: WeakValueDictionary[EngineOptions, Engine] = WeakValueDictionary()
_loading = threading.Lock()
_orphans: list[Engine] = []
"""Models of the parent, in a forked child. Freeing one would wait forever for threads that the child doesn't have."""


def engine_for(options: EngineOptions) -> Engine:
    """Return the loaded model. Load it if nobody uses it yet, which blocks."""
    with _loading:
        engine = _engines.get(options)
        if engine is None:
            engine = _engines[options] = Engine(options)
        return engine


def _after_fork() -> None:
    global _loading  # noqa: PLW0603 - the parent may have locked it
    _loading = threading.Lock()
    _orphans.extend(_engines.values())
    _engines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
