"""Values and capabilities, and the check of the checks."""

from __future__ import annotations

import pickle

import msgspec

from tako.capabilities import Capabilities
from tako.testing.script import Call, Script
from tako.testing.suite.check import CHECKS, check, expect, expect_equal
from tako.testing.suite.harness import Harness, chunks_of
from tako.types import ChatResponse, Chunk, Delta, End

ABLE = {"tools": "supports_tools", "images": "supports_vision", "streaming": "supports_streaming"}
"""Abilities, and the capability that must not claim what ``not_applicable`` denies."""


class Values(Harness):
    """What travels between processes."""

    @check()
    async def test_values_pickle(self) -> None:
        """Responses and chunks survive pickle and JSON, equal to what they were."""
        calls = (Call("weather", {"city": "Rome"}, "call_A1"),) if "tools" not in self.not_applicable else ()
        async with self.scripted_provider(Script(text="Hello.", calls=calls)) as (provider, _):
            response = await provider.chat(self.hello)
            chunks = await chunks_of(provider, self.hello)
        expect_equal(pickle.loads(pickle.dumps(response)), response, "a pickled response")  # noqa: S301 - our own
        expect_equal(pickle.loads(pickle.dumps(chunks)), chunks, "pickled chunks")  # noqa: S301 - our own
        again = msgspec.json.decode(msgspec.json.encode(response), type=ChatResponse)
        expect_equal(again.message, response.message, "a response's message after a journey through JSON")
        decoded: list[Chunk] = msgspec.json.decode(msgspec.json.encode(chunks), type=list[Delta | End])
        expect_equal(decoded, chunks, "chunks after a journey through JSON")

    @check()
    async def test_capabilities(self) -> None:
        """Capabilities are told without the network, and claim nothing that ``not_applicable`` denies."""
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            known = provider.capabilities
            expect(isinstance(known, Capabilities), f"capabilities are a {type(known).__name__}")
            expect_equal(len(server.requests), 0, "requests that capabilities made")
        size = known.max_context_tokens
        expect(size is None or size > 0, f"max_context_tokens is {size}")
        for ability, name in ABLE.items():
            claimed = getattr(known, name)
            if ability in self.not_applicable:
                expect(not claimed, f"{name} is claimed, and {ability!r} is said not to apply")
            self.observe(name, "yes" if claimed else "no")
        expect(
            known.supports_streaming or not self.streaming, "supports_streaming is denied: state it in not_applicable"
        )

    @check()
    async def test_identity(self) -> None:
        """The provider says which model it is, and its repr shows that."""
        async with self.scripted_provider(Script(text="ok")) as (provider, _):
            for name in ("id", "name", "model"):
                expect(isinstance(getattr(provider, name), str) and getattr(provider, name), f".{name} is no text")
            expect(provider.id in repr(provider), f"{provider!r} doesn't show the id {provider.id}")

    @check()
    async def test_suite_is_whole(self) -> None:
        """Every check of the suite is there, as it is: none is deleted or overridden."""
        missing = [f"test_{check.name}" for check in CHECKS.values() if not hasattr(type(self), f"test_{check.name}")]
        missing += type(self).tampered()
        expect_equal(missing, [], "checks that are missing or not the suite's own")
