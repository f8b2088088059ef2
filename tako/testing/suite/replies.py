"""Replies: text, pieces, reasoning, usage and finish reasons."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import pairwise

from msgspec.structs import replace

from tako.testing.script import Call, Script
from tako.testing.suite.check import check, expect, expect_equal
from tako.testing.suite.harness import Harness, chunks_of, within
from tako.types import ChatRequest, Delta, End, FinishReason, Message, Role, Usage

UNICODE = "Grüße, 世界! 👩‍👩‍👧‍👦 \u2028\u2029\u0085\u200f שלום \t\r\n \\u0041 \"'</script> é 𝔘 \x7f\ufeff end"  # noqa: RUF001 - the odd ones are meant
FULL = Script(
    text="It is sunny, I think.",
    reasoning="Rome or Oslo? Both.",
    signature="c2lnbmF0dXJl",
    calls=(Call("weather", {"city": "Rome"}, "call_A1"), Call("weather", {"city": "Oslo", "days": [1, 2]}, "call_B2")),
    usage=Usage(100, 40, 30, 20, 15),
)
WAYS = 16
"""Streams over which the boundaries between bytes are shared out."""


class Replies(Harness):
    """What comes back."""

    @check("scripted")
    async def test_chat(self) -> None:
        """``chat`` answers with the vendor's text, in one message of the assistant, without notices."""
        async with self.scripted_provider(Script(text="  Hello there.\n")) as (provider, _):
            response = await provider.chat("Hi")
        expect_equal(response.text, "  Hello there.\n", "the text, with its white space")
        expect_equal(response.message.role, Role.ASSISTANT, "the role")
        expect_equal(response.finish_reason, FinishReason.STOP, "the finish reason")
        expect_equal(response.notices, [], "notices on a plain request")

    @check()
    async def test_chunks_in_order(self) -> None:
        """A stream is deltas, then exactly one End; every piece of text is text, and none is empty of everything."""
        async with self.scripted_provider(Script(text="Hello there, how are you?")) as (provider, _):
            chunks = await chunks_of(provider, self.hello)
        expect(chunks and isinstance(chunks[-1], End), "the last chunk is no End")
        expect(all(isinstance(chunk, Delta) for chunk in chunks[:-1]), "something before the End is no Delta")
        for chunk in chunks[:-1]:
            expect(
                isinstance(chunk, Delta) and isinstance(chunk.text, str | None), f"{chunk!r} has text that is no str"
            )
            expect(chunk != Delta() and chunk != Delta(""), f"{chunk!r} is empty of everything: don't hand it over")

    @check("scripted")
    async def test_stream(self) -> None:
        """The pieces of a stream are the vendor's text, and ``stream.text`` is the same."""
        async with self.scripted_provider(Script(text="Hello there, how are you?")) as (provider, _):
            chunks = await chunks_of(provider, self.hello)
            stream = provider.stream(self.hello)
            texts = [text async for text in stream.text]
        joined = "".join(chunk.text or "" for chunk in chunks if isinstance(chunk, Delta))
        expect_equal(joined, "Hello there, how are you?", "the text of the pieces")
        expect_equal("".join(texts), joined, "stream.text")

    @check("scripted", "streaming")
    async def test_folded_stream_is_chat(self) -> None:
        """A stream that is put together equals the whole reply: parts, id, usage, finish reason and word, and model."""
        script = replace(FULL, calls=FULL.calls if "tools" not in self.not_applicable else ())
        if "reasoning" in self.not_applicable:
            script = replace(script, reasoning="", signature=None)
        async with self.scripted_provider(script) as (provider, _):
            response, folded = (await self.responses_by_way(provider, self.hello)).values()
        for name in ("message", "finish_reason", "finish_word", "usage", "model", "id", "provider", "notices"):
            expect_equal(getattr(folded, name), getattr(response, name), f"{name} of the folded stream, against chat's")

    @check("scripted", "bytes", "streaming")
    async def test_pieces_arrive_at_once(self) -> None:
        """A piece is handed over when it comes, not when the reply is complete."""
        events = self.vendor.events(Script(text="Hello there, how are you?"))
        held = self.vendor.pieces(events[: self.vendor.complete_after(events) - 1], ending="hang")
        async with self.scripted_provider(held) as (provider, _), aclosing(provider.stream(self.hello)) as stream:
            chunk = await within(self.patience, anext(stream), "the first piece, while the rest was held back,")
        expect(isinstance(chunk, Delta), "the first chunk is no Delta")

    @check("scripted")
    async def test_unicode(self) -> None:
        """Text of any script, emoji and line separators arrive unharmed, in both directions."""
        async with self.scripted_provider(Script(text=UNICODE, split=3)) as (provider, server):
            responses = await self.responses_by_way(provider, ChatRequest([Message.user(UNICODE)]))
            received = [self.vendor.read(request).of("text") for request in server.requests]
        for way, response in responses.items():
            expect_equal(response.text, UNICODE, f"{way}: the text that came")
        for texts in received:
            expect_equal([seen.value for seen in texts], [UNICODE], "the text that went out")

    @check("scripted", "bytes", "streaming")
    async def test_splits(self) -> None:
        """A stream means the same wherever the network cuts it: at every boundary between two bytes."""
        calls = (Call("find", {"q": "é世"}, "call_A1"),) if "tools" not in self.not_applicable else ()
        script = Script(text="é世👩‍👧 ok", calls=calls, split=4)
        body = b"".join(self.vendor.events(script))
        cuts = [sorted({0, *range(n + 1, len(body), WAYS), len(body)}) for n in range(WAYS)]
        answers = [self.vendor.pieces([body[a:b] for a, b in pairwise(at)], pause=0.001) for at in cuts]
        async with self.scripted_provider(*answers, script) as (provider, _):
            responses = await asyncio.gather(*[provider.stream(self.hello).response() for _ in answers])
            expected = await provider.stream(self.hello).response()
        for response in responses:
            expect_equal(response.text, script.text, "the text of a stream that came byte by byte")
            expect_equal(response.message, expected.message, "the message of a stream that came byte by byte")

    @check("scripted")
    async def test_usage(self) -> None:
        """Input counts all of the prompt, cached or not, output all that was generated, thought or said."""
        usage = Usage(100, 40, 30, 20, 15)
        async with self.scripted_provider(Script(text="ok", usage=usage)) as (provider, _):
            for way, response in (await self.responses_by_way(provider, self.hello)).items():
                subject = f"{way}: the usage{self._without_traits('cached', 'cache_writes', 'reasoning_tokens')}"
                expect_equal(response.usage, self.vendor.counted(usage), subject)
        counts = sorted({"cached", "cache_writes", "reasoning_tokens"} & self.vendor.traits)
        self.observe("usage", ", ".join(["input", "output", *counts]))

    @check("scripted")
    async def test_usage_missing(self) -> None:
        """A vendor that counts nothing is no failure."""
        async with self.scripted_provider(Script(text="ok", usage=None)) as (provider, _):
            for way, response in (await self.responses_by_way(provider, self.hello)).items():
                expect_equal(response.usage, Usage(), f"{way}: the usage")

    @check("scripted")
    async def test_finish_reasons(self) -> None:
        """Every finish reason that the wire has a word for arrives as itself, and an unknown word is "other"."""
        reasons = [reason for reason in self.vendor.words if reason is not FinishReason.TOOL_CALLS]
        scripts = [Script(text="ok", finish=one) for one in reasons]
        expected = [*reasons]
        if self.vendor.of_bytes:
            scripts.append(Script(text="ok", word="SOME_NEW_REASON"))
            expected.append(FinishReason.OTHER)
        sent: list[Script] = []
        async with self.scripted_provider(lambda _: sent[-1]) as (provider, _):
            for script, reason in zip(scripts, expected, strict=True):
                sent.append(script)
                for way, response in (await self.responses_by_way(provider, self.hello)).items():
                    expect_equal(response.finish_reason, reason, f"{way}: the finish reason")
        self.observe("finish reasons", ", ".join(self.vendor.words))

    @check("scripted")
    async def test_empty_reply(self) -> None:
        """A reply without a word is a reply."""
        async with self.scripted_provider(Script()) as (provider, _):
            for way, response in (await self.responses_by_way(provider, self.hello)).items():
                expect_equal((response.text, response.finish_reason), ("", FinishReason.STOP), f"{way}: an empty reply")

    @check("scripted", "reasoning")
    async def test_reasoning(self) -> None:
        """Reasoning is kept apart from the text, whole and in pieces."""
        script = Script(text="Yes.", reasoning="Let me think about it.", signature="c2ln")
        async with self.scripted_provider(script) as (provider, _):
            for way, response in (await self.responses_by_way(provider, self.hello)).items():
                expect_equal(response.text, "Yes.", f"{way}: the text beside reasoning")
                expect_equal(response.reasoning, script.reasoning, f"{way}: the reasoning")

    @check("scripted")
    async def test_model(self) -> None:
        """``request.model`` goes out in place of the provider's own, and the reply says which model it is of."""
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            own = await self.responses_by_way(provider, self.hello)
            await self.responses_by_way(provider, replace(self.hello, model="another-model-1"))
            sent = [request.path.encode() + request.body for request in server.requests[len(own) :]]
        expect(all(b"another-model-1" in one for one in sent), "request.model didn't go out")
        for way, response in own.items():
            expected = "scripted-model" if "names" in self.vendor.traits else provider.model
            expect_equal(response.model, expected, f"{way}: the model of the reply{self._without_traits('names')}")

    def _without_traits(self, *traits: str) -> str:
        """Name the traits that the dialect doesn't have and that a check depends on."""
        missing = [repr(trait) for trait in traits if trait not in self.vendor.traits]
        return f" (the dialect's traits don't have {', '.join(missing)})" if missing else ""
