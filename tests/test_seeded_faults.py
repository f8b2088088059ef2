"""A plugin with one bug at a time: the suite's named check finds it, and for the reason that it is there for."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextlib import aclosing
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec.structs import replace

from tako import Capabilities, hookimpl
from tako.errors import ProviderError, ServerError, StreamTruncatedError
from tako.fold import fold
from tako.kit.completions import CompletionsDecoder, Dialect, decode_reply, encode_request, translator_for
from tako.kit.completions.decode import decode_block
from tako.kit.exchange import Exchange, chat_through, stream_through
from tako.kit.http import HttpProvider, check_url
from tako.kit.keys import read_key
from tako.parts import ImageUrlPart, ReasoningPart, TextPart, ToolCallPart
from tako.testing.suite import CHECKS, ProviderSuite, run_suite
from tako.translator import PartContext, Translator
from tako.types import ChatResponse, Delta, End, FinishReason, Role, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from tako import Chat, ChatRequest, Stream
    from tako.types import Chunk

CONTROLS = (
    "chat",
    "stream",
    "tool_call",
    "usage",
    "error_classes",
    "conversation",
    "notices",
    "key_in_repr",
    "truncated_chat",
)
"""Checks that a fault elsewhere must leave alone: what fails them by accident proves nothing."""
_numbers = count()


class Acme(HttpProvider):
    """A vendor that speaks Chat Completions."""

    name = "acme"

    def __init__(self, model: str, *, api_key: str, base_url: str, **options: Any) -> None:
        key = read_key(api_key, "ACME_API_KEY", self.name)
        api_key = None  # type: ignore[assignment]  # a traceback with locals shows this frame
        super().__init__(model, **options)
        self.base_url = check_url(base_url, "base_url", self.id)
        self.key = key
        self.add_headers({"authorization": key.prefixed("Bearer ")})


class Plugin:
    """The plugin as it should be. A fault is a subclass that gets one thing wrong.

    ``caught_by`` is the check that names the fault, ``told`` stands in what it says, ``also`` are controls that fail
    for the same reason.
    """

    caught_by = ""
    told = ""
    also: tuple[str, ...] = ()
    provider: type[Acme] = Acme

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return request

    def exchange(self, made: Exchange) -> Exchange:
        return made

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        return response

    def decoder(self, provider: Acme, exchange: Exchange) -> Any:
        return CompletionsDecoder(provider, exchange)

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        return inner

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        return inner

    def chunk(self, chunk: Chunk) -> Chunk | None:
        return chunk


def build(plugin: Plugin) -> type[Acme]:  # noqa: C901 - four hooks, each with a seam for a fault
    """Put the plugin together, in a module of its own."""
    module = ModuleType(f"acme_{next(_numbers)}")
    sys.modules[module.__name__] = module

    async def prepare(provider: Acme, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
        context = PartContext(provider.name, request)
        body = encode_request(
            plugin.prepare_request(request), provider.model, translator, context, Dialect(), stream=stream
        )
        return plugin.exchange(Exchange(f"{provider.base_url}/chat/completions", body, context.notices))

    def tako_capabilities(provider: Acme) -> Capabilities:
        return Capabilities(supports_tools=True, supports_vision=True, supports_json_mode=True)

    def tako_translator(provider: Acme) -> Translator:
        return translator_for(lambda block: decode_block(block, provider.name))

    def tako_chat(provider: Acme, translator: Translator) -> Chat:
        inner = chat_through(
            provider,
            lambda request, stream: prepare(provider, translator, request, stream),
            lambda body, exchange: decode_reply(body, exchange, provider, translator),
        )

        async def chat(request: ChatRequest) -> ChatResponse:
            return plugin.response(await inner(request), request)

        return plugin.chat(chat, provider)

    def tako_stream(provider: Acme, translator: Translator) -> Stream:
        inner = stream_through(
            provider,
            lambda request, stream: prepare(provider, translator, request, stream),
            lambda _, exchange: plugin.decoder(provider, exchange),
        )

        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            async with aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    made = plugin.chunk(chunk)
                    if made is not None:
                        yield made

        return plugin.stream(stream, provider)

    for hook in (tako_capabilities, tako_translator, tako_chat, tako_stream):
        setattr(module, hook.__name__, hookimpl(hook))
    made = type("Acme", (plugin.provider,), {"__module__": module.__name__, "name": "acme"})
    module.Acme = made  # type: ignore[attr-defined]  # so that it can be pickled
    return made


def suite_of(plugin: Plugin) -> type[ProviderSuite]:
    cls = build(plugin)

    class Suite(ProviderSuite):
        dialect = "completions"

        def provider(self, base_url: str, **options: Any) -> Acme:
            return cls("acme-1", api_key=self.secret, base_url=base_url, **options)

    return Suite


# The faults.


class SwallowedTruncation(Plugin):
    caught_by, told = "truncated_events", "it passed for a success"

    def decoder(self, provider: Acme, exchange: Exchange) -> Any:
        class Lenient(CompletionsDecoder):
            def finish(self, *, clean: bool) -> Iterator[Chunk]:
                try:
                    yield from super().finish(clean=clean)
                except StreamTruncatedError:
                    yield End()

        return Lenient(provider, exchange)


class MergedParallelCalls(Plugin):
    caught_by, told = "parallel_calls", "arguments of parallel calls"

    def chunk(self, chunk: Chunk) -> Chunk:
        if isinstance(chunk, Delta) and chunk.tool_calls:
            return replace(chunk, tool_calls=[replace(piece, index=0) for piece in chunk.tool_calls])
        return chunk


class LostUsage(Plugin):
    caught_by, told = "usage", "stream: the usage"

    def chunk(self, chunk: Chunk) -> Chunk:
        return replace(chunk, usage=Usage()) if isinstance(chunk, End) else chunk


class CachedNotCounted(Plugin):
    caught_by, told = "usage", "cached_tokens=0"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        return replace(response, usage=replace(response.usage, cached_tokens=0))


class KeyInRepr(Plugin):
    caught_by, told = "key_in_repr", "repr() shows the key"

    class Shown(Acme):
        def __repr__(self) -> str:
            return f"<Acme {self.id} {self.key.reveal()}>"

    provider = Shown


class KeyInVars(Plugin):
    caught_by, told = "key_in_repr", "vars() shows the key"

    class Shown(Acme):
        def __init__(self, model: str, *, api_key: str, **options: Any) -> None:
            super().__init__(model, api_key=api_key, **options)
            self.api_key = api_key

        def __getstate__(self) -> dict[str, Any]:
            return {name: value for name, value in super().__getstate__().items() if name != "api_key"}

    provider = Shown


class KeyInPickle(Plugin):
    caught_by, told = "key_in_pickle", "the pickle holds the key"

    class Carried(Acme):
        def __getstate__(self) -> dict[str, Any]:
            return {**super().__getstate__(), "saved": self.key.reveal()}

    provider = Carried


class KeyInLogs(Plugin):
    caught_by, told = "key_in_logs", "a record of the logger 'acme' shows the key"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        def chat(request: ChatRequest) -> Any:
            logging.getLogger("acme").debug("asking with %s", provider.key.reveal())
            return inner(request)

        return chat


class KeyInErrors(Plugin):
    caught_by, told = "key_in_errors", "shows the key"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except ProviderError as error:
                error.args = (f"{error.args[0]} (with the key {provider.key.reveal()})",)
                raise

        return chat


class KeyInLocals(Plugin):
    caught_by, told = "key_in_errors", "the traceback with locals shows the key"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            header = f"Bearer {provider.key.reveal()}"  # noqa: F841 - that it lies about is the fault
            return await inner(request)

        return chat


class RetryAfterAChunk(Plugin):
    caught_by, told = "no_retry_after_a_chunk", "requests, where a reset came after"

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            try:
                async with aclosing(inner(request)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except ProviderError:
                async with aclosing(inner(request)) as chunks:
                    async for chunk in chunks:
                        yield chunk

        return stream


class RetryOfEverything(Plugin):
    caught_by, told = "no_retry", "requests after 400"
    also = ("error_classes",)

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except ProviderError as error:
                error.retryable = True
                raise

        return chat


class NoRetries(Plugin):
    caught_by, told = "retries", "OverloadedError"

    class Once(Acme):
        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **{**options, "max_retries": 0})

    provider = Once


class BlockingTheLoop(Plugin):
    caught_by, told = "many_at_once", "the event loop stood still"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            time.sleep(0.03)  # noqa: ASYNC251 - the fault
            return await inner(request)

        return chat


class OneAfterTheOther(Plugin):
    caught_by, told = "many_at_once", "took"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        lock = asyncio.Semaphore(1)

        async def chat(request: ChatRequest) -> ChatResponse:
            async with lock:
                return await inner(request)

        return chat


class AnswersMixedUp(Plugin):
    caught_by, told = "many_at_once", "the answer among many"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        last: list[ChatResponse] = []

        async def chat(request: ChatRequest) -> ChatResponse:
            last[:] = [await inner(request)]
            await asyncio.sleep(0.02)
            return last[0]

        return chat


class Kept:
    """A reply whose connection nobody closes."""

    def __init__(self, reply: Any) -> None:
        self.reply = reply
        self.status, self.headers = reply.status, reply.headers

    def pieces(self) -> Any:
        return self.reply.pieces()

    async def aclose(self) -> None:
        return


class LeakedConnection(Plugin):
    caught_by, told = "early_exit", "left the connection open"

    class Leaky(Acme):
        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **options)
            self.kept: list[Any] = []

        async def _transport_here(self) -> Any:
            provider, transport = self, await super()._transport_here()

            class Leaking:
                async def send(self, request: Any) -> Kept:
                    provider.kept.append(Kept(await transport.send(request)))
                    return provider.kept[-1]

            return Leaking()

        async def aclose(self) -> None:
            for kept in self.kept:
                await kept.reply.aclose()
            await super().aclose()

    provider = Leaky


class CancelShielded(Plugin):
    caught_by, told = "cancel_chat", "the connection of a cancelled call stayed open"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            return await asyncio.shield(inner(request))

        return chat


class BoundToOneLoop(Plugin):
    caught_by, told = "two_loops", "loop"

    class Bound(Acme):
        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **options)
            self.loop: Any = None

        async def authorize(self, method: str, url: str, body: bytes) -> dict[str, str]:
            self.loop = self.loop or asyncio.get_running_loop()
            waiting = self.loop.create_future()
            waiting.set_result(None)
            if self.loop is not asyncio.get_running_loop():
                raise RuntimeError("it is bound to a different event loop")
            return {}

    provider = Bound


class TimeoutIgnored(Plugin):
    caught_by, told = "idle_timeout", "took longer than"

    class Patient(Acme):
        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **{**options, "timeout": 600.0})

    provider = Patient


class TimeoutOfTheWhole(Plugin):
    caught_by, told = "slow_but_alive", "TimeoutError"

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            async with asyncio.timeout(provider.timeout), aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    yield chunk

        return stream


class CapIgnored(Plugin):
    caught_by, told = "event_cap", "took longer than"

    class Boundless(Acme):
        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **{**options, "max_event_bytes": 1 << 40})

    provider = Boundless


class CutCallHandedOver(Plugin):
    caught_by, told = "cut_call", "a cut call was handed over"

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            seen: list[Chunk] = []
            try:
                async for chunk in inner(request):
                    seen.append(chunk)
                    yield chunk
            except StreamTruncatedError as error:
                error.partial = fold([*seen, End()], provider.name, provider.model)
                raise

        return stream


class ArgumentsRepaired(Plugin):
    caught_by, told = "arguments_invalid", "arguments that are no JSON"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        parts = response.message.parts
        made = [
            replace(part, args={}) if isinstance(part, ToolCallPart) and isinstance(part.args, str) else part
            for part in parts
        ]
        return replace(response, message=replace(response.message, content=made))


class IdsNotUnique(Plugin):
    caught_by, told = "call_ids", "ids of calls are not unique"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        raw = iter(response.raw["choices"][0]["message"].get("tool_calls", ()))
        made = [
            replace(part, id=next(raw).get("id", "")) if isinstance(part, ToolCallPart) else part
            for part in response.message.parts
        ]
        return replace(response, message=replace(response.message, content=made))


class ErrorEventIgnored(Plugin):
    caught_by, told = "error_events", "the class of an error event"

    def decoder(self, provider: Acme, exchange: Exchange) -> Any:
        class Deaf(CompletionsDecoder):
            def feed(self, data: bytes) -> Iterator[Chunk]:
                try:
                    yield from super().feed(data)
                except ProviderError as error:
                    if error.status_code is None:
                        raise

        return Deaf(provider, exchange)


class ErrorsOfOneClass(Plugin):
    caught_by, told = "error_classes", "the class of status 400"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except ProviderError as error:
                raise ServerError(str(error), status_code=error.status_code) from error

        return chat


class BareErrors(Plugin):
    caught_by, told = "not_json", "a bare DecodeError came out"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except ProviderError as error:
                if isinstance(error.__cause__, msgspec.DecodeError):
                    raise error.__cause__ from None
                raise

        return chat

    also = ("truncated_chat",)


class RetryAfterIgnored(Plugin):
    caught_by, told = "retry_after", ".retry_after of"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except ProviderError as error:
                error.retry_after = None
                raise

        return chat


class RetryAfterNotWaitedFor(Plugin):
    caught_by, told = "retry_after_is_kept", "was not waited for"

    class Hasty(Acme):
        max_retries = 0

        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **options)
            self.tries, self.max_retries = self.max_retries, 0

    provider = Hasty

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except ProviderError as error:
                if not (error.retryable and provider.tries):  # type: ignore[attr-defined]  # Hasty has it
                    raise
                return await inner(request)

        return chat


class RedirectFollowed(Plugin):
    caught_by, told = "redirects", "requests that followed a redirect"

    class Following(Acme):
        async def _transport_here(self) -> Any:
            transport = await super()._transport_here()

            class Followed:
                async def send(self, request: Any) -> Any:
                    reply = await transport.send(request)
                    if 300 <= reply.status < 400:
                        await reply.aclose()
                        reply = await transport.send(replace(request, url=reply.headers["location"]))
                    return reply

            return Followed()

    provider = Following


class NoticesLost(Plugin):
    caught_by, told = "notices", "left out without a notice"

    def exchange(self, made: Exchange) -> Exchange:
        return Exchange(made.url, made.body, [])


class NoticesLostInStreams(Plugin):
    caught_by, told = "notices", "stream: an image that no vendor takes was left out without a notice"

    def chunk(self, chunk: Chunk) -> Chunk:
        return replace(chunk, notices=[]) if isinstance(chunk, End) else chunk


class StrictIgnored(Plugin):
    caught_by, told = "strict", "it passed for a success"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        return lambda request: inner(replace(request, strict=False))


class ImageDropped(Plugin):
    caught_by, told = "image_urls", "an image by URL was lost without a notice"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        kept = [
            replace(one, content=[part for part in one.parts if not isinstance(part, ImageUrlPart)])
            for one in request.messages
        ]
        return replace(request, messages=kept)


class SystemDropped(Plugin):
    caught_by, told = "conversation", "the turns on the wire"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, messages=[one for one in request.messages if one.role is not Role.SYSTEM])


class ParameterDropped(Plugin):
    caught_by, told = "parameters", "stop was lost without a notice"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, stop=[])


class ToolsDropped(Plugin):
    caught_by, told = "tools_are_offered", "the tools on the wire"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, tools=request.tools[:1])


class ExtraDropped(Plugin):
    caught_by, told = "extra", "extra on the wire"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, extra={})


class ModelIgnored(Plugin):
    caught_by, told = "model", "request.model did not go out"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, model=None)


class HeadersIgnored(Plugin):
    caught_by, told = "headers", "a header of the user's"

    class Own(Acme):
        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **{**options, "headers": {}})

    provider = Own


class UnicodeBrokenAtSplits(Plugin):
    caught_by, told = "splits", "came byte by byte"

    def decoder(self, provider: Acme, exchange: Exchange) -> Any:
        class Hasty(CompletionsDecoder):
            def feed(self, data: bytes) -> Iterator[Chunk]:
                return super().feed(data.decode("utf-8", "replace").encode())

        return Hasty(provider, exchange)


class LinesSplitLikeText(Plugin):
    caught_by, told = "unicode", "the reply is not JSON"

    def decoder(self, provider: Acme, exchange: Exchange) -> Any:
        class Splitting(CompletionsDecoder):
            def feed(self, data: bytes) -> Iterator[Chunk]:
                return super().feed(
                    "\n".join(data.decode("utf-8", "replace").splitlines()).encode() + b"\n" * data.endswith(b"\n")
                )

        return Splitting(provider, exchange)


class FinishAlwaysStop(Plugin):
    caught_by, told = "finish_reasons", "the finish reason"
    also = ("tool_call",)

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        return replace(response, finish_reason=FinishReason.STOP)


class ChatAndStreamDiffer(Plugin):
    caught_by, told = "folded_stream_is_chat", "id of the folded stream"

    def chunk(self, chunk: Chunk) -> Chunk:
        return replace(chunk, id="") if isinstance(chunk, End) else chunk


class TextLostAtTheEnd(Plugin):
    caught_by, told = "stream", "the text of the pieces"

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            held: Chunk | None = None
            async with aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    if held is not None and not (isinstance(chunk, End) and isinstance(held, Delta) and held.text):
                        yield held
                    held = chunk
            if held is not None:
                yield held

        return stream


class ReasoningMixedIntoText(Plugin):
    caught_by, told = "reasoning", "the text beside reasoning"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        made = [TextPart(part.text) if isinstance(part, ReasoningPart) else part for part in response.message.parts]
        return replace(response, message=replace(response.message, content=made))


class StreamBuffered(Plugin):
    caught_by, told = "pieces_arrive_at_once", "took longer than"

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            async with aclosing(inner(request)) as chunks:
                for chunk in [chunk async for chunk in chunks]:
                    yield chunk

        return stream


class NothingPickles(Plugin):
    caught_by, told = "values_pickle", "pickle"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        return replace(response, raw=lambda: response.raw)


FAULTS = Plugin.__subclasses__()


def test_the_plugin_without_a_fault_passes_all() -> None:
    report = run_suite(suite_of(Plugin()))
    failed = {name: report.results[name].reason for name in report.named("failed")}
    assert failed == {}
    assert report.named("not applicable") == ["opaque_state"]
    assert len(report.results) == len(CHECKS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_caught_by_its_check(fault: type[Plugin]) -> None:
    report = run_suite(suite_of(fault()), dict.fromkeys([fault.caught_by, *CONTROLS]))
    assert set(report.named("failed")) == {fault.caught_by, *fault.also}, report.results
    assert fault.told in report.results[fault.caught_by].reason


def test_the_faults_are_many_and_spread() -> None:
    assert len(FAULTS) >= 40
    assert len({fault.caught_by for fault in FAULTS}) >= 30
