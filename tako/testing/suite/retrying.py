"""Retries: of what passes, as often as allowed, and never once a chunk has been delivered."""

from __future__ import annotations

import time
from contextlib import suppress

from tako.errors import ProviderError, TakoError
from tako.testing.script import Script
from tako.testing.server import reply
from tako.testing.suite.check import check, expect, expect_equal
from tako.testing.suite.errors import provider_error
from tako.testing.suite.harness import Harness

SOON = {"retry-after": "0.01"}


class Retrying(Harness):
    """What is tried again."""

    @check("scripted", "http", "retries")
    async def test_retries(self) -> None:
        """A failure that passes is repeated, in calls and in streams before their first chunk."""
        for way in self.calls(self.provider("http://127.0.0.1:9"), self.hello):
            broken = reply(b"", ending="reset", status=503, headers=SOON)
            for fails in ((503, 429), (500,), (None,)):
                answers = [broken if status is None else self.vendor.refuse(status, headers=SOON) for status in fails]
                async with self.asking(*answers, Script(text="ok"), max_retries=2) as (provider, server):
                    response = await self.calls(provider, self.hello)[way]()
                    expect_equal(response.text, "ok", f"{way}: the answer after {fails}")
                    expect_equal(len(server.requests), len(fails) + 1, f"{way}: requests, where {fails} failed")

    @check("scripted", "http", "retries")
    async def test_retries_end(self) -> None:
        """``max_retries`` counts the calls after the first; then the last error is raised."""
        for retries in (0, 1):
            async with self.asking(self.vendor.refuse(503, headers=SOON), max_retries=retries) as (provider, server):
                for call in self.calls(provider, self.hello).values():
                    await provider_error(call, "a vendor that stays overloaded")
                wanted = (1 + retries) * len(self.calls(provider, self.hello))
                expect_equal(len(server.requests), wanted, f"requests with max_retries={retries}")

    @check("scripted", "http")
    async def test_no_retry(self) -> None:
        """What waiting does not cure is not repeated."""
        for status in (400, 401, 403, 404, 422):
            async with self.asking(self.vendor.refuse(status), max_retries=2) as (provider, server):
                for call in self.calls(provider, self.hello).values():
                    await provider_error(call, f"status {status}")
                expect_equal(len(server.requests), len(self.calls(provider, self.hello)), f"requests after {status}")

    @check("scripted", "http", "retries")
    async def test_retry_after_is_kept(self) -> None:
        """A retry waits as long as Retry-After says; a pause of more than a minute is the caller's to decide."""
        async with self.asking(
            self.vendor.refuse(429, headers={"retry-after": "0.7"}), Script(text="ok"), max_retries=1
        ) as (
            provider,
            server,
        ):
            began = time.perf_counter()
            await provider.chat(self.hello)
            took = time.perf_counter() - began
            expect(took >= 0.65, f"Retry-After: 0.7 was not waited for: the next request came after {took:.2f} s")  # noqa: PLR2004 - seconds
            expect_equal(len(server.requests), 2, "requests")
        async with self.asking(self.vendor.refuse(429, headers={"retry-after": "3600"}), max_retries=2) as (
            provider,
            server,
        ):
            for call in self.calls(provider, self.hello).values():
                error = await provider_error(call, "Retry-After: 3600")
                expect_equal(error.retry_after, 3600.0, ".retry_after")
            expect_equal(len(server.requests), len(self.calls(provider, self.hello)), "requests with Retry-After: 3600")

    @check("scripted", "http", "streaming")
    async def test_no_retry_after_a_chunk(self) -> None:
        """Once a chunk has been delivered nothing is repeated, whatever happens then."""
        events = self.vendor.events(Script(text="Hello there."))
        start = events[: self.vendor.complete_after(events) - 1]
        for what, made in (
            ("a reset", self.vendor.pieces(start, ending="reset", pause=0.01)),
            ("an error event", self.vendor.pieces([*start, self.vendor.error_event(503, "no")], pause=0.01)),
        ):
            async with self.asking(made, Script(text="Hello again."), max_retries=2) as (provider, server):
                texts: list[str] = []
                with suppress(TakoError):
                    async for text in provider.stream(self.hello).text:
                        texts.append(text)  # noqa: PERF401 - kept although the stream fails
                expect_equal(len(server.requests), 1, f"requests, where {what} came after {texts}")
                expect("again" not in "".join(texts), f"after {what} the reply began anew: {texts}")
                expect(issubclass(ProviderError, TakoError) and texts, f"no chunk came before {what}")
