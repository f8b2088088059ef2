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
from tako_llamacpp.engine import Engine, Setting, engine_for
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
        model: The path of a GGUF file. By default the small model that a package brings.
        n_threads: Threads that compute. More of them than idle cores make llama.cpp many times slower.
        n_ctx: The context in tokens, prompt and reply together. 0 means the model's own, which is also the maximum.
        capabilities: Replaces everything that tako knows about the model.
        deadline: The most time for a call, in seconds.
        defaults: Request fields that calls leave open.
    """

    name = "llamacpp"
    max_retries = 0  # what fails in this process fails again
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
        longest = self.header.context_length
        self.n_ctx = min(_count(n_ctx, "n_ctx", self.id, 0) or longest or 0, longest or n_ctx)
        self.n_threads = _count(n_threads, "n_threads", self.id, 1)
        self._engine: Engine | None = None

    @classmethod
    def ready(cls) -> bool:
        """Whether the named model is installed; ``tako`` chats with it where no other model is chosen."""
        return embedded.find_embedded() is not None

    @classmethod
    def setup(cls, say: Callable[[str], None]) -> str:
        """Install the named model for this user and return where it is; ``tako setup embedded`` calls this."""
        return str(embedded.setup(say))

    async def load(self) -> Engine:
        """Load the model unless it is loaded already; the event loop goes on meanwhile."""
        engine = self._engine
        if engine is None or not engine.mine:
            setting = Setting(self.path, self.model, self.n_ctx, self.n_threads)
            engine = self._engine = await in_thread(partial(engine_for, setting))
        return engine

    async def generate(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Answer a Chat Completions body in chunks, after the calls that came before; raises a ProviderError."""
        engine = await self.load()
        async with engine.queue():
            worker = Worker[dict[str, Any]](partial(engine.answer, body))
            del engine  # a stream that is left alone keeps no model in memory
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
        """Make the error that llama.cpp reports."""
        facts.codes = [code for code in facts.codes if not code.isdigit()]  # the first is the status
        return make_error(facts, codes=self.codes, status=status, headers={}, body=body)

    async def aclose(self) -> None:
        """Let go of the model; its memory is free when no other provider holds it."""
        held = [self._engine]
        self._engine = None
        if held != [None]:
            await in_thread(held.clear)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to a process."""
        return {**super().__getstate__(), "_engine": None}


@hookimpl
def tako_capabilities(provider: LlamaCpp) -> Capabilities:
    """Read them from the model's own header."""
    header = f"the header of {provider.path.name}"
    found: dict[str, tuple[Any, str]] = {
        "max_context_tokens": (provider.n_ctx or None, f"{header}, at most n_ctx"),
        "supports_streaming": (True, "tako-llamacpp"),
        "supports_tools": (wire.takes_tools(provider.header), f"the chat template in {header}"),
        **dict.fromkeys(MEDIA, (False, "tako-llamacpp carries text alone")),
        "supports_json_mode": (True, "llama.cpp's grammars"),
        **dict.fromkeys(PRICES, (0.0, "it runs in this process")),
    }
    values: dict[str, Any] = {name: value for name, (value, _) in found.items()}
    return Capabilities(**values, origins={name: origin for name, (_, origin) in found.items()})


@hookimpl
def tako_translator(provider: LlamaCpp) -> Translator:
    """Translate as the Chat Completions dialect does, without images."""
    return wire.translator(provider.header)


@hookimpl
def tako_chat(provider: LlamaCpp, translator: Translator) -> Chat:
    """Ask for a whole reply, in chunks underneath: only between chunks can llama.cpp be stopped."""

    async def chat(request: ChatRequest) -> ChatResponse:
        async with aclosing(_stream(provider, translator, request)) as chunks:
            return fold([chunk async for chunk in chunks])

    return chat


@hookimpl
def tako_stream(provider: LlamaCpp, translator: Translator) -> Stream:
    """Ask for a reply in chunks."""
    return partial(_stream, provider, translator)


async def _stream(provider: LlamaCpp, translator: Translator, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
    exchange = _prepare(provider, translator, request)
    decoding = CompletionsDecoder(provider, exchange, translator, wire.dialect(provider.header))
    async with aclosing(provider.generate(exchange.body)) as chunks:
        async for data in chunks:
            for chunk in decoding.feed(wire.event(data)):
                yield chunk
    for chunk in decoding.finish(clean=True):
        yield chunk


def _prepare(provider: LlamaCpp, translator: Translator, request: ChatRequest) -> Exchange:
    exchange = wire.encode(request, provider.model, translator, provider.name, provider.header)
    refuse_if_strict(request, exchange.notices, provider)
    return exchange


def find_model(model: str, owner: str) -> Path:
    """Find a model's file by its name or path; raises ConfigurationError where there is none."""
    if model == embedded.MODEL:
        found = embedded.find_embedded()
        if found is None:
            raise ConfigurationError(embedded.MISSING)
        return found
    path = Path(os.path.expanduser(model))  # noqa: PTH111 - Path's raises where ~ is nobody's
    if not path.is_file():
        raise ConfigurationError(
            f"{owner}: there is no file {model}; give the path of a .gguf file, or {embedded.MODEL}"
        )
    return path.absolute()


def _count(value: int, option: str, owner: str, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(f"{owner}: {option} is a whole number from {least}, not {value!r}")
    return value
