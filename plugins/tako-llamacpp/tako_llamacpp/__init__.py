"""GGUF models in process, by llama.cpp (https://github.com/ggml-org/llama.cpp), without a server or a key."""

from __future__ import annotations

import os
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tako import Capabilities, Chat, ChatRequest, Stream, Translator, hookimpl
from tako.capabilities import PRICES
from tako.errors import BadRequestError, ConfigurationError, ContextLengthError, ProviderError, ServerError, TakoError
from tako.fold import fold
from tako.kit.completions import CompletionsDecoder
from tako.kit.exchange import Exchange, refuse_if_strict
from tako.kit.failures import Facts, make_error
from tako.provider import Provider
from tako_llamacpp import embedded, wire
from tako_llamacpp.engine import Engine, EngineOptions, engine_for
from tako_llamacpp.gguf import read_header
from tako_llamacpp.worker import Worker, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from tako.keywords import RequestOptions
    from tako.types import ChatResponse, Chunk


MEDIA = ("supports_vision", "supports_documents", "supports_audio", "supports_video")


class LlamaCpp(Provider):
    """A model that runs in this process.

    It's loaded at the first call, once per process for each model and its settings. ``aclose`` unloads it.

    Args:
        model: The path of a GGUF file. By default the embedded model, which a package contains.
        n_threads: Threads that compute. More of them than idle cores make llama.cpp many times slower.
        n_ctx: The context in tokens, prompt and reply together. 0 means the model's own, which is also the maximum.
        capabilities: Replaces everything that tako knows about the model.
        deadline: The most time for a call, in seconds.
        defaults: Request fields that calls leave open.
    """

    name = "llamacpp"
    max_retries = 0  # it would only fail again
    max_event_bytes = 16 * 1024 * 1024
    codes: ClassVar[Mapping[str, type[ProviderError]]] = {"exceed_context_size_error": ContextLengthError}

    def __init__(
        self,
        model: str = embedded.MODEL,
        *,
        n_threads: int = 1,
        n_ctx: int = 4096,
        capabilities: Capabilities | None = None,
        deadline: float | None = None,
        defaults: RequestOptions | None = None,  # Provider takes it; here it's for type checkers
    ) -> None:
        super().__init__(model, capabilities=capabilities, deadline=deadline)
        self.path = find_model(model, self.id)
        self.header = read_header(self.path, self.id)
        max_context = self.header.context_length
        self.n_ctx = min(_count(n_ctx, "n_ctx", self.id, 0) or max_context or 0, max_context or n_ctx)
        self.n_threads = _count(n_threads, "n_threads", self.id, 1)
        self._engine: Engine | None = None

    @classmethod
    def ready(cls) -> bool:
        """Whether the embedded model is installed. The ``tako`` command uses it if no other model is chosen."""
        return embedded.find_embedded() is not None

    @classmethod
    def setup(cls, report: Callable[[str], None]) -> str:
        """Install the embedded model for this user, and return its path. ``tako setup embedded`` calls this."""
        return str(embedded.setup(report))

    async def load(self) -> Engine:
        """Load the model, unless it's loaded already, without blocking the event loop."""
        engine = self._engine
        if engine is None or not engine.is_own_process:
            options = EngineOptions(self.path, self.model, self.n_ctx, self.n_threads)
            engine = self._engine = await in_thread(partial(engine_for, options))
        return engine

    async def generate(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Answer a Chat Completions body in chunks, after earlier calls. Raises ProviderError."""
        engine = await self.load()
        async with engine.queue():
            worker = Worker[dict[str, Any]](partial(engine.answer, body))
            del engine  # an abandoned stream doesn't keep the model in memory
            try:
                async with aclosing(worker.items()) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except TakoError:
                raise
            except (ValueError, TypeError) as error:
                raise BadRequestError(f"llama.cpp refuses the request: {error}") from error
            except Exception as error:
                raise ServerError(f"llama.cpp failed: {error}") from error

    def failure(self, facts: Facts, *, status: int | None = None, body: str = "") -> ProviderError:
        """Return the error that llama.cpp reported."""
        facts.codes = [code for code in facts.codes if not code.isdigit()]  # the first is the status
        return make_error(facts, codes=self.codes, status=status, headers={}, body=body)

    async def aclose(self) -> None:
        """Release the model. Its memory is freed when no other provider uses it."""
        engines = [self._engine]
        self._engine = None
        if engines != [None]:
            await in_thread(engines.clear)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the engine, which belongs to the process."""
        return {**super().__getstate__(), "_engine": None}


@hookimpl
def tako_capabilities(provider: LlamaCpp) -> Capabilities:
    """Read the capabilities from the model's header."""
    header = f"the header of {provider.path.name}"
    facts: dict[str, tuple[Any, str]] = {
        "max_context_tokens": (provider.n_ctx or None, f"{header}, at most n_ctx"),
        "supports_streaming": (True, "tako-llamacpp"),
        "supports_tools": (wire.supports_tools(provider.header), f"the chat template in {header}"),
        **dict.fromkeys(MEDIA, (False, "tako-llamacpp only supports text")),
        "supports_json_mode": (True, "llama.cpp's grammars"),
        **dict.fromkeys(PRICES, (0.0, "it runs in this process")),
    }
    values: dict[str, Any] = {name: value for name, (value, _) in facts.items()}
    return Capabilities(**values, origins={name: origin for name, (_, origin) in facts.items()})


@hookimpl
def tako_translator(provider: LlamaCpp) -> Translator:
    """Translate as the Chat Completions dialect does, without images."""
    return wire.translator(provider.header)


@hookimpl
def tako_chat(provider: LlamaCpp, translator: Translator) -> Chat:
    """Return a complete reply. It's read in chunks, because llama.cpp can only be stopped between chunks."""

    async def chat(request: ChatRequest) -> ChatResponse:
        async with aclosing(_stream(provider, translator, request)) as chunks:
            return fold([chunk async for chunk in chunks])

    return chat


@hookimpl
def tako_stream(provider: LlamaCpp, translator: Translator) -> Stream:
    """Stream a reply."""
    return partial(_stream, provider, translator)


async def _stream(provider: LlamaCpp, translator: Translator, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
    exchange = _prepare(provider, translator, request)
    decoder = CompletionsDecoder(provider, exchange, translator, wire.dialect(provider.header))
    async with aclosing(provider.generate(exchange.body)) as chunks:
        async for data in chunks:
            for chunk in decoder.feed(wire.event(data)):
                yield chunk
    for chunk in decoder.finish(clean=True):
        yield chunk


def _prepare(provider: LlamaCpp, translator: Translator, request: ChatRequest) -> Exchange:
    exchange = wire.encode(request, provider.model, translator, provider.name, provider.header)
    refuse_if_strict(request, exchange.notices, provider)
    return exchange


def find_model(model: str, owner: str) -> Path:
    """Find a model's file by its name or path. Raises ConfigurationError if there isn't one."""
    if model == embedded.MODEL:
        embedded_path = embedded.find_embedded()
        if embedded_path is None:
            raise ConfigurationError(embedded.MISSING)
        return embedded_path
    path = Path(os.path.expanduser(model))  # noqa: PTH111 - Path's raises for an unknown user
    if not path.is_file():
        raise ConfigurationError(
            f"{owner}: the file {model} doesn't exist; pass the path of a .gguf file, or {embedded.MODEL}"
        )
    return path.absolute()


def _count(value: int, option: str, owner: str, minimum: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ConfigurationError(f"{owner}: {option} must be a whole number, at least {minimum}, not {value!r}")
    return value
