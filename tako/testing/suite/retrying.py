"""Retries: of what passes, as often as allowed, and never once a chunk has been delivered."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tako.errors import ProviderError, TakoError
from tako.testing.script import Script
from tako.testing.server import reply
from tako.testing.suite.check import CheckFailed, check, expect, expect_equal
from tako.testing.suite.errors import provider_error
from tako.testing.suite.harness import Harness

if TYPE_CHECKING:
    from tako.testing.server import Piece

SOON = {"retry-after": "0.01"}
PAUSE = 0.5
"""Seconds: longer than the first pause of tako's own, so that it is the vendor's that was kept."""


class Retrying(Harness):
    """What is tried again."""

    @check("scripted", "http", "retries")
    async def test_retries(self) -> None:
        """A failure that passes is repeated, in calls and in streams before their first chunk."""
        ways = self.calls_by_way(self.provider("http://127.0.0.1:9"), self.hello)
        cases = [(way, fails) for way in ways for fails in ((503, 429), (500,), (None,))]
        await asyncio.gather(*[self._after_failures(way, fails) for way, fails in cases])

    async def _after_failures(self, way: str, fails: tuple[int | None, ...]) -> None:
        broken = reply(b"", ending="reset", status=503, headers=SOON)
        answers = [broken if status is None else self.vendor.refuse(status, headers=SOON) for status in fails]
        async with self.scripted_provider(*answers, Script(text="ok"), max_retries=2) as (provider, server):
            try:
                response = await self.calls_by_way(provider, self.hello)[way]()
            except ProviderError as error:
                raise CheckFailed(f"{way}: {fails} failed and wasn't tried again: {error}") from error
            expect_equal(response.text, "ok", f"{way}: the answer after {fails}")
            expect_equal(len(server.requests), len(fails) + 1, f"{way}: requests, where {fails} failed")

    @check("scripted", "http", "retries")
    async def test_retries_end(self) -> None:
        """``max_retries`` counts the calls after the first; then the last error is raised."""
        for retries in (0, 1):
            async with self.scripted_provider(self.vendor.refuse(503, headers=SOON), max_retries=retries) as (
                provider,
                server,
            ):
                for call in self.calls_by_way(provider, self.hello).values():
                    await provider_error(call, "a vendor that stays overloaded")
                expected = (1 + retries) * len(self.calls_by_way(provider, self.hello))
                expect_equal(len(server.requests), expected, f"requests with max_retries={retries}")

    @check("scripted", "http")
    async def test_no_retry(self) -> None:
        """What waiting does not cure is not repeated."""
        for status in (400, 401, 403, 404, 422):
            async with self.scripted_provider(self.vendor.refuse(status), max_retries=2) as (provider, server):
                for call in self.calls_by_way(provider, self.hello).values():
                    await provider_error(call, f"status {status}")
                expect_equal(
                    len(server.requests), len(self.calls_by_way(provider, self.hello)), f"requests after {status}"
                )

    @check("scripted", "http", "retries")
    async def test_retry_after_is_kept(self) -> None:
        """A retry waits as long as Retry-After says; a pause of more than a minute is the caller's to decide."""
        async with self.scripted_provider(
            self.vendor.refuse(429, headers={"retry-after": str(PAUSE)}), Script(text="ok"), max_retries=1
        ) as (
            provider,
            server,
        ):
            began = time.perf_counter()
            await provider.chat(self.hello)
            seconds = time.perf_counter() - began
            expect(
                seconds >= 0.9 * PAUSE, f"Retry-After: {PAUSE} wasn't waited for: the reply came after {seconds:.2f} s"
            )
            expect_equal(len(server.requests), 2, "requests")
        async with self.scripted_provider(self.vendor.refuse(429, headers={"retry-after": "3600"}), max_retries=2) as (
            provider,
            server,
        ):
            for call in self.calls_by_way(provider, self.hello).values():
                error = await provider_error(call, "Retry-After: 3600")
                expect_equal(error.retry_after, 3600.0, ".retry_after")
            expect_equal(
                len(server.requests), len(self.calls_by_way(provider, self.hello)), "requests with Retry-After: 3600"
            )

    @check("scripted", "bytes", "streaming")
    async def test_no_retry_after_a_chunk(self) -> None:
        """Once a chunk has been delivered nothing is repeated, whatever happens then."""
        events = self.vendor.events(Script(text="Hello there."))
        start = events[: self.vendor.complete_after(events) - 1]
        error = self.vendor.error_event(503, "no")
        for failure in ("a reset", "an error event"):
            texts: list[str] = []
            patience = time.monotonic() + self.patience

            def delivered(texts: list[str] = texts, patience: float = patience) -> bool:
                return bool(texts) or time.monotonic() > patience

            rest: dict[str, list[Piece]] = {"a reset": [], "an error event": [error]}
            scripted = self.vendor.pieces(
                [*start, delivered, *rest[failure]], ending="end" if rest[failure] else "reset"
            )
            async with self.scripted_provider(scripted, Script(text="Hello again."), max_retries=2) as (
                provider,
                server,
            ):
                with suppress(TakoError):
                    async for text in provider.stream(self.hello).text:
                        texts.append(text)  # noqa: PERF401 - kept although the stream fails
                expect_equal(len(server.requests), 1, f"requests, where {failure} came after {texts}")
                expect("again" not in "".join(texts), f"after {failure} the reply began anew: {texts}")
                expect(issubclass(ProviderError, TakoError) and texts, f"no chunk came before {failure}")
