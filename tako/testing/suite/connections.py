"""Connections: closed when somebody leaves, and none is left behind."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from tako.errors import TakoError
from tako.testing.script import Script
from tako.testing.server import reply
from tako.testing.suite.check import check, expect, expect_equal
from tako.testing.suite.harness import Harness, cancelled, in_thread, settle, within

TEXT = "Hello there, how are you?"


class Connections(Harness):
    """Who leaves, closes the door."""

    def _open_stream(self) -> Any:
        """A stream that goes on to its last event, and then stays open."""
        if not self.vendor.of_bytes:
            return Script(text=TEXT)
        events = self.vendor.events(Script(text=TEXT))
        return self.vendor.pieces(events[: self.vendor.complete_after(events) - 1], ending="hang")

    @check("scripted")
    async def test_cancel_chat(self) -> None:
        """A call that is cancelled closes its connection at once."""
        async with self.scripted_provider(reply([], ending="hang", headers={"content-type": "application/json"})) as (
            provider,
            server,
        ):
            task = asyncio.ensure_future(provider.chat(self.hello))
            await settle(self.patience, lambda: bool(server.requests), "the request didn't arrive")
            await within(self.patience, cancelled(task), "cancelling a call")
            await settle(
                self.patience, lambda: server.left_early == 1, "the connection of a cancelled call stayed open"
            )

    @check("scripted", "streaming")
    async def test_cancel_stream(self) -> None:
        """A stream whose reader is cancelled closes its connection at once."""
        async with self.scripted_provider(self._open_stream()) as (provider, server):
            begun = asyncio.Event()

            async def read() -> None:
                async with provider.stream(self.hello) as stream:
                    async for _ in stream:
                        begun.set()
                        if not self.vendor.of_bytes:
                            await asyncio.Event().wait()

            task = asyncio.ensure_future(read())
            await within(self.patience, begun.wait(), "the first chunk")
            await within(self.patience, cancelled(task), "cancelling a stream")
            await settle(
                self.patience, lambda: server.left_early == 1, "the connection of a cancelled stream stayed open"
            )

    @check("scripted", "streaming")
    async def test_early_exit(self) -> None:
        """A stream that is left early, by ``async with`` or by ``aclose``, closes its connection at once."""
        async with self.scripted_provider(self._open_stream()) as (provider, server):
            async with provider.stream(self.hello) as stream:
                await within(self.patience, anext(stream), "the first piece, while the rest was held back,")
            await settle(
                self.patience, lambda: server.left_early == 1, "leaving `async with` early left the connection open"
            )
            stream = provider.stream(self.hello)
            await within(self.patience, anext(stream), "the first piece, while the rest was held back,")
            await within(self.patience, stream.aclose(), "closing a stream")
            await settle(self.patience, lambda: server.left_early == 2, "aclose() left the connection open")  # noqa: PLR2004 - the second

    @check("scripted", "streaming")
    async def test_early_exit_blocking(self) -> None:
        """A blocking stream that is left early closes its connection, too."""
        async with self.scripted_provider(self._open_stream()) as (provider, server):

            def leave() -> None:
                with provider.blocking.stream(self.hello) as stream:
                    next(stream)
                provider.blocking.close()

            await within(self.patience, in_thread(leave), "leaving a blocking stream")
            await settle(self.patience, lambda: server.left_early == 1 or not self.vendor.of_bytes,
                         "leaving a blocking stream early left the connection open")  # fmt: skip
            await settle(self.patience, lambda: server.open == 0, "leaving a blocking stream early left it running")

    @check("scripted", "http")
    async def test_no_leaks(self) -> None:
        """Calls and streams in turn, good ones and failed ones, leave no more than one connection open."""
        bad = self.vendor.refuse(400)
        for answer in (Script(text="ok"), bad, self.vendor.pieces([b"x"], ending="cut")):
            async with self.scripted_provider(answer, max_retries=0) as (provider, server):
                for _ in range(5):
                    for call in self.calls_by_way(provider, self.hello).values():
                        with suppress(TakoError):
                            await call()
                await settle(
                    self.patience, lambda: server.open <= 1, "more than one connection stayed open after calls in turn"
                )

    @check("scripted", "http")
    async def test_aclose(self) -> None:
        """``aclose`` closes every connection, and the provider can be used again."""
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            await asyncio.gather(*[provider.chat(self.hello) for _ in range(5)])
            await provider.aclose()
            await settle(self.patience, lambda: server.open == 0, "connections stayed open after aclose()")
            expect_equal((await provider.chat(self.hello)).text, "ok", "a call after aclose()")

    @check("scripted", "http")
    async def test_context_manager(self) -> None:
        """Leaving ``async with provider`` closes its connections."""
        with self.vendor.serve(Script(text="ok")) as server:
            async with self.provider(server.url) as provider:
                await self.responses_by_way(provider, self.hello)
            await settle(self.patience, lambda: server.open == 0, "connections stayed open after `async with provider`")
            expect(server.requests, "nothing was asked")
