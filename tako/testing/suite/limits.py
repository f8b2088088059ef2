"""Giant events, and silence."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tako.errors import ProviderTimeoutError, ResponseError
from tako.testing.script import Script
from tako.testing.server import reply
from tako.testing.suite.check import check, expect, expect_equal
from tako.testing.suite.errors import provider_error
from tako.testing.suite.harness import Harness, within

if TYPE_CHECKING:
    from tako.testing.server import Reply

LARGE = 2 * 1024 * 1024
SILENCE = 0.2
"""Seconds of the timeout that is tried."""
TIMEOUT_SCALES = (1, 5, 25)
"""What a slow stream is tried at, from the fastest on: one of them suits the machine, however slow that is."""


class Limits(Harness):
    """What is too much, or too little."""

    @check("scripted", "bytes")
    async def test_giant_events(self) -> None:
        """An event of megabytes arrives whole."""
        text = "0123456789abcdef" * (LARGE // 16)
        async with self.scripted_provider(Script(text=text, split=LARGE)) as (provider, _):
            responses = await within(
                self.patience, self.responses_by_way(provider, self.hello), f"two replies of {LARGE} bytes"
            )
            for way, response in responses.items():
                expect(response.text == text, f"{way}: {LARGE} characters in one event didn't arrive whole")

    @check("scripted", "bytes", "streaming")
    async def test_event_cap(self) -> None:
        """An event over ``max_event_bytes`` is a ResponseError as soon as it is over it."""
        events = self.vendor.events(Script(text="x" * LARGE, split=LARGE))
        body = b"".join(events)
        endless = self.vendor.pieces(
            [body[at : at + 16384] for at in range(0, len(body) - 16384, 16384)], ending="hang"
        )
        async with self.scripted_provider(endless, max_event_bytes=65536, max_retries=0) as (provider, _):
            subject = "an event over the cap"
            failing_call = provider_error(lambda: provider.stream(self.hello).response(), subject)
            error = await within(self.patience, failing_call, subject)
        expect(isinstance(error, ResponseError), f"an event over the cap is a {type(error).__name__}: {error}")

    @check("scripted", "bytes")
    async def test_idle_timeout(self) -> None:
        """Silence longer than ``timeout`` is a ProviderTimeoutError: before the reply, within it, and in a stream."""
        events = self.vendor.events(Script(text="Hello there."))
        never = reply(json={}, delay=lambda: False)
        silent = reply([], headers={"content-type": "application/json"}, ending="hang")
        held = self.vendor.pieces(events[: self.vendor.complete_after(events) - 1], ending="hang")
        cases = [
            ("before the reply", never, "chat"),
            ("before the reply", never, "stream"),
            ("within a reply", silent, "chat"),
            ("within a stream", held, "stream"),
        ]
        await asyncio.gather(
            *[self._check_silence(f"{way}: silence {when}", scripted, way) for when, scripted, way in cases]
        )

    async def _check_silence(self, subject: str, scripted: Reply, way: str) -> None:
        async with self.scripted_provider(scripted, timeout=SILENCE, max_retries=0) as (provider, _):
            call = self.calls_by_way(provider, self.hello).get(way)
            if call is None:
                return
            began = time.perf_counter()
            error = await within(self.patience, provider_error(call, subject), subject)
            seconds = time.perf_counter() - began
        expect(isinstance(error, ProviderTimeoutError), f"{subject} is a {type(error).__name__}: {error}")
        expect(seconds > SILENCE / 2, f"{subject}: timeout={SILENCE} ended after {seconds:.2f} s")

    @check("scripted", "bytes", "streaming")
    async def test_slow_but_alive(self) -> None:
        """``timeout`` is the longest silence, not the length of the answer: a slow stream that goes on is whole."""
        script = Script(text="Hello there, how are you?", split=2)
        pause = 1.5 * SILENCE / len(self.vendor.events(script))
        scales = [scale for scale in TIMEOUT_SCALES if scale * SILENCE <= self.patience]
        for scale in scales:
            slow = self.vendor.stream(script, pause=pause * scale)
            async with self.scripted_provider(slow, timeout=SILENCE * scale, max_retries=0) as (provider, _):
                try:
                    response = await provider.stream(self.hello).response()
                except ProviderTimeoutError:
                    if scale != scales[-1]:
                        continue
                    raise
            expect_equal(response.text, script.text, "a slow stream")
            return
