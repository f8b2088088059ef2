"""One implementation for every way of calling: blocking, in several event loops, fifty at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tako.testing.script import Script
from tako.testing.suite.check import check, expect, expect_equal
from tako.testing.suite.harness import Harness, in_thread, within
from tako.testing.suite.pulse import MAX_TURNS_MISSED, Gate, Pulse
from tako.types import ChatRequest, Message

if TYPE_CHECKING:
    from tako.provider import Provider
    from tako.testing.server import Received, Reply

MANY = 50


class Concurrency(Harness):
    """Who calls, and when."""

    @check()
    async def test_blocking(self) -> None:
        """The blocking face answers as the async one does, whole and in pieces, also within a running loop."""
        async with self.scripted_provider(Script(text="Hello there, how are you?")) as (provider, _):
            response, folded = await provider.chat(self.hello), await provider.stream(self.hello).response()

            def ask() -> None:
                expect_equal(
                    provider.blocking.chat(self.hello).message, response.message, "blocking.chat, against chat"
                )
                with provider.blocking.stream(self.hello) as stream:
                    text = "".join(stream.text)
                expect_equal(text, folded.text, "the text of blocking.stream, against stream")
                expect_equal(stream.response().usage, folded.usage, "the usage of blocking.stream")
                provider.blocking.close()

            await in_thread(ask)

    @check()
    async def test_two_loops(self) -> None:
        """One provider serves event loops one after the other, and at the same time."""
        async with self.scripted_provider(Script(text="Hello.")) as (provider, _):
            expected = (await provider.chat(self.hello)).text

            async def ask() -> str:
                response = await provider.chat(self.hello)
                streamed = await provider.stream(self.hello).response()
                expect_equal(streamed.text, response.text, "a stream in another loop")
                await provider.aclose()
                return response.text

            def run() -> str:
                return asyncio.run(ask())

            for _ in range(2):
                expect_equal(await in_thread(run), expected, "the answer in a loop after another one has ended")
            texts = await asyncio.gather(in_thread(run), in_thread(run), ask())
            expect_equal(texts, [expected] * 3, "the answers in three loops at once")

    @check("scripted")
    async def test_many_at_once(self) -> None:
        """Fifty calls at once run side by side, without stalling the event loop, and each gets its own answer."""
        requests = [ChatRequest([Message.user(f"number {n}.")]) for n in range(MANY)]
        gates: list[Gate] = []

        def echo(request: Received) -> Reply | Script:
            script = Script(text="You said " + self.vendor.read(request).of("text")[-1].value)
            held = self.vendor.of_bytes and gates
            return replace(self.vendor.answer(script)(request), delay=gates[-1].enter()) if held else script

        async with self.scripted_provider(echo) as (provider, _):
            await self.responses_by_way(provider, requests[0])  # whatever is imported or looked up once
            for way in self.calls_by_way(provider, requests[0]):
                async with Pulse() as pulse:
                    gates.append(Gate(MANY, pulse, self.patience))
                    calls = [self.calls_by_way(provider, request)[way]() for request in requests]
                    responses = await within(3 * self.patience, asyncio.gather(*calls), f"{way}: {MANY} calls at once")
                expect(
                    pulse.still < MAX_TURNS_MISSED and not gates[-1].stalled,
                    f"{way}: the event loop stood still under {MANY} calls, for about {pulse.seconds:.1f} s at a"
                    " stretch: move what blocks into a thread, or make it async",
                )
                most = gates[-1].most if gates[-1].gave_up else MANY
                expect(most == MANY, f"{way}: of {MANY} calls at once only {most} were under way side by side")
                for request, response in zip(requests, responses, strict=True):
                    expect_equal(response.text, f"You said {request.messages[0].text}", f"{way}: the answer among many")

    @check("scripted", "streaming")
    async def test_streams_side_by_side(self) -> None:
        """Two streams of one provider that are read in turn do not mix."""
        texts = ["one two three four five", "uno due tre quattro cinque"]

        def answer(request: Received) -> Script:
            return Script(text=texts[int(self.vendor.read(request).of("text")[-1].value)])

        async with self.scripted_provider(answer) as (provider, _):
            expect_equal(await _in_turn(provider, 2), texts, "the texts of two streams read in turn")


async def _in_turn(provider: Provider, count: int) -> list[str]:
    streams = [provider.stream(str(n)) for n in range(count)]
    texts = ["" for _ in streams]
    going = set(range(count))
    while going:
        for n in sorted(going):
            chunk = await anext(streams[n], None)
            if chunk is None:
                going.discard(n)
            elif chunk.kind == "delta":
                texts[n] += chunk.text or ""
    return texts
