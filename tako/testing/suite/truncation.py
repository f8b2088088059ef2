"""Replies that are cut: never a short success."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import StreamTruncatedError, TransportError
from tako.testing.script import Call, Script
from tako.testing.server import reply
from tako.testing.suite.check import CheckFailed, check, expect, expect_equal
from tako.testing.suite.errors import provider_error
from tako.testing.suite.harness import Harness
from tako.types import ChatRequest, Message

if TYPE_CHECKING:
    from tako.provider import Provider
    from tako.testing.server import Ending, Received, Reply

AT_ONCE = 25
"""Streams that are cut at the same time."""
SAMPLE = 50
"""Places where a stream is cut that costs a program each time; over HTTP it's every one."""


class Truncation(Harness):
    """What comes in part."""

    @check("scripted", "bytes", "streaming")
    async def test_truncated_events(self) -> None:
        """A stream that ends before its terminator, however, is a StreamTruncatedError with what came so far."""
        calls = (Call("weather", {"city": "Rome"}, "call_A1"),) if "tools" not in self.not_applicable else ()
        script = Script(text="Hello there, how are you?", calls=calls, split=8)
        events = self.vendor.events(script)
        complete = self.vendor.complete_after(events)
        endings: tuple[Ending, ...] = ("end", "cut", "reset")
        cases: list[tuple[int, Ending]] = [(count, ending) for count in range(complete) for ending in endings]
        answers = [self.vendor.pieces(events[:count], ending=ending) for count, ending in cases]
        async with self.scripted_provider(*answers, script, max_retries=0) as (provider, _):
            for count, ending in cases:
                subject = f"a stream with the ending {ending!r} after {count} of {complete} events"
                last = count == complete - 1 and ending != "reset"
                await _cut(provider, self.hello, script, subject, all_text=last, nothing=count == 0)

    @check("scripted", "bytes", "streaming")
    async def test_truncated_bytes(self) -> None:
        """A short stream that is cut after any number of bytes is a StreamTruncatedError, or whole."""
        script = Script(text="Hi é", usage=None)
        events = self.vendor.events(script)
        body = b"".join(events[: self.vendor.complete_after(events)])
        enough = len(body.rstrip())
        running = asyncio.Semaphore(AT_ONCE)

        def answer(request: Received) -> Reply:
            count = int(self.vendor.read(request).of("text")[-1].value)
            return self.vendor.pieces([body[:count]] if count else [], ending=_ending(count))

        async with self.scripted_provider(answer, max_retries=0) as (provider, _):

            async def cut(count: int) -> None:
                subject = f"a stream with the ending {_ending(count)!r} after {count} of {len(body)} bytes"
                request_of_count = ChatRequest([Message.user(str(count))])
                async with running:
                    if count < enough:
                        await _cut(provider, request_of_count, script, subject, nothing=count == 0)
                        return
                    try:
                        response = await provider.stream(request_of_count).response()
                    except StreamTruncatedError:
                        return
                    expect_equal(response.text, script.text, subject)

            step = 1 if self.vendor.http else len(body) // SAMPLE + 1
            await asyncio.gather(*[cut(count) for count in range(0, len(body), step)])

    @check("scripted", "bytes")
    async def test_truncated_chat(self) -> None:
        """A whole reply that is cut, by the connection or within its JSON, is an error."""
        body = msgspec.json.encode(self.vendor.whole(Script(text="Hello there.")))
        endings: tuple[Ending, ...] = ("end", "cut", "reset")
        replies: list[Reply] = []
        async with self.scripted_provider(lambda _: replies[-1], max_retries=0) as (provider, _):
            for count in (0, 1, len(body) // 2, len(body) - 1):
                for ending in endings:
                    replies.append(reply(body[:count], ending=ending))
                    subject = f"{count} of {len(body)} bytes, then {ending!r}"
                    await provider_error(lambda: provider.chat(self.hello), subject)


def _ending(count: int) -> Ending:
    return "cut" if count % 2 else "end"


async def _cut(
    provider: Provider, request: Any, script: Script, subject: str, *, all_text: bool = False, nothing: bool = False
) -> None:
    error = await provider_error(lambda: provider.stream(request).response(), subject)
    if nothing and isinstance(error, TransportError):
        return
    if not isinstance(error, StreamTruncatedError):
        raise CheckFailed(f"{subject} is a {type(error).__name__}, no StreamTruncatedError: {error}")
    if error.partial is None:
        raise CheckFailed(f"{subject}: the error has no partial reply")
    text = error.partial.text
    expect(script.text.startswith(text), f"{subject}: the partial text is {text!r}")
    if all_text:
        expect_equal(text, script.text, f"{subject}: the partial text")
    complete_args = [call.args for call in script.calls]
    expect(
        all(call.args in complete_args for call in error.partial.tool_calls),
        f"{subject}: a cut call is in the partial reply",
    )
