"""Faults in how calls travel: side by side, in time, and with the door closed behind them."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from .acme import Acme, Plugin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako import Chat, ChatRequest, Stream
    from tako.types import ChatResponse, Chunk


class BlockingTheLoop(Plugin):
    caught_by, message = "many_at_once", "the event loop stood still"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            for _ in range(15):
                time.sleep(0.001)  # noqa: ASYNC251 - the fault; short ones take longer where the machine is slow
            return await inner(request)

        return chat


class WaitingInTheLoop(Plugin):
    caught_by, message = "many_at_once", "the event loop stood still"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            with ThreadPoolExecutor() as thread:
                return thread.submit(lambda: asyncio.run(inner(request))).result()  # waits as a blocking SDK does

        return chat


class NeverEndingInASecondLoop(Plugin):
    caught_by, message = "two_loops", "the check took longer than"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            here = asyncio.get_running_loop()
            if vars(provider).setdefault("loop", here) is not here:
                await asyncio.Event().wait()
            return await inner(request)

        return chat


class BlockingForEver(Plugin):
    caught_by, message = "many_at_once", "the check never ends"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            if request.messages[0].text == "number 7.":
                threading.Event().wait()
            return await inner(request)

        return chat


class StreamsMixedUp(Plugin):
    caught_by, message = "streams_side_by_side", "the texts of two streams read in turn"

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        held: list[Chunk] = []  # of all streams

        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            async with aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    held.append(chunk)
                    if chunk.kind == "delta" and len(held) > 1:
                        yield held.pop(0)
                    elif chunk.kind == "end":
                        held.remove(chunk)
                        while held:
                            yield held.pop(0)
                        yield chunk

        return stream


class OneAfterTheOther(Plugin):
    caught_by, message = "many_at_once", "only 1 were under way side by side"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        lock = asyncio.Semaphore(1)

        async def chat(request: ChatRequest) -> ChatResponse:
            async with lock:
                return await inner(request)

        return chat


class AnswersMixedUp(Plugin):
    caught_by, message = "many_at_once", "the answer among many"

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
    caught_by, message = "early_exit", "left the connection open"

    class Leaky(Acme):
        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **options)
            self.kept: list[Any] = []

        async def _loop_transport(self, body: Any) -> Any:
            provider, transport = self, await super()._loop_transport(body)

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
    caught_by, message = "cancel_chat", "the connection of a cancelled call stayed open"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            return await asyncio.shield(inner(request))

        return chat


class BoundToOneLoop(Plugin):
    caught_by, message = "two_loops", "loop"

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
    caught_by, message = "idle_timeout", "took longer than"

    class Patient(Acme):
        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **{**options, "timeout": 600.0})

    provider = Patient


class TimeoutOfTheWhole(Plugin):
    caught_by, message = "slow_but_alive", "TimeoutError"

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            async with asyncio.timeout(provider.timeout), aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    yield chunk

        return stream


class CapIgnored(Plugin):
    caught_by, message = "event_cap", "took longer than"

    class Boundless(Acme):
        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **{**options, "max_event_bytes": 1 << 40})

    provider = Boundless


class StreamBuffered(Plugin):
    caught_by, message = "pieces_arrive_at_once", "took longer than"

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            async with aclosing(inner(request)) as chunks:
                for chunk in [chunk async for chunk in chunks]:
                    yield chunk

        return stream
