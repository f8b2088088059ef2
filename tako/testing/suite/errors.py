"""Failures: every status has its class, before and within a reply, and nothing goes where it was not sent."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from tako.errors import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    ResponseError,
    ServerError,
    TransportError,
)
from tako.testing.script import Script
from tako.testing.server import reply, serve
from tako.testing.suite.check import CheckFailed, check, expect, expect_equal
from tako.testing.suite.harness import Harness, error_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tako.testing.server import Reply

CLASSES: dict[int, type[ProviderError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: ServerError,
    409: ServerError,
    422: BadRequestError,
    429: RateLimitError,
    500: ServerError,
    502: ServerError,
    503: OverloadedError,
    529: OverloadedError,
}
IN_STREAMS = (400, 401, 403, 404, 429, 500, 503)


class Errors(Harness):
    """What can go wrong."""

    @check("scripted", "http")
    async def test_error_classes(self) -> None:
        """Every status is the error of its class, with the status, the provider, the model and the vendor's words."""
        replies: list[Reply] = []
        async with self.scripted_provider(lambda _: replies[-1], max_retries=0) as (provider, _):
            for status, cls in CLASSES.items():
                replies.append(self.vendor.refuse(status, "the vendor's words"))
                for way, call in self.calls_by_way(provider, self.hello).items():
                    error = await provider_error(call, f"{way}: status {status}")
                    expect_equal(type(error), cls, f"{way}: the class of status {status}")
                    expect_equal(error.status_code, status, f"{way}: .status_code")
                    expect_equal((error.provider, error.model), (provider.name, provider.model), f"{way}: who failed")
                    expect_equal(
                        error.retryable,
                        issubclass(cls, (RateLimitError, ServerError)),
                        f"{way}: .retryable of {status}",
                    )
                    expect("the vendor's words" in str(error), f"{way}: the vendor's message isn't in {str(error)!r}")

    @check("scripted", "http")
    async def test_error_bodies(self) -> None:
        """An error is of its class whatever its body is: a page, plain text, nothing, or broken JSON."""
        for body in ("<html><body>Bad Gateway</body></html>", "upstream connect error", "", '{"error": {"mess'):
            for status in (403, 500):
                async with self.scripted_provider(reply(body, status=status), max_retries=0) as (provider, _):
                    for way, call in self.calls_by_way(provider, self.hello).items():
                        error = await provider_error(call, f"{way}: status {status} with the body {body!r}")
                        expect_equal(type(error), CLASSES[status], f"{way}: status {status} with the body {body!r}")

    @check("scripted", "http")
    async def test_retry_after(self) -> None:
        """Retry-After is read in seconds and as a date, and retry-after-ms in milliseconds; nonsense is None."""
        written = datetime.now(UTC)
        date = format_datetime(written + timedelta(seconds=100), usegmt=True)
        cases = {"retry-after": ("7", 7.0), "retry-after-ms": ("1500", 1.5), "Retry-After": (date, 100.0)}
        for name, (value, expected) in cases.items():
            async with self.scripted_provider(self.vendor.refuse(429, headers={name: value}), max_retries=0) as (
                provider,
                _,
            ):
                for way, call in self.calls_by_way(provider, self.hello).items():
                    error = await provider_error(call, f"{way}: 429 with {name}: {value}")
                    seconds = error.retry_after
                    passed = 1.0 + (datetime.now(UTC) - written).total_seconds() if value == date else 0.0
                    expect(
                        seconds is not None and expected - passed <= seconds <= expected,
                        f"{way}: .retry_after of {name}: {value} is {seconds}",
                    )
        async with self.scripted_provider(self.vendor.refuse(429, headers={"retry-after": "soon"}), max_retries=0) as (
            provider,
            _,
        ):
            error = await provider_error(lambda: provider.chat(self.hello), "429 with Retry-After: soon")
            expect_equal(error.retry_after, None, ".retry_after of nonsense")

    @check("scripted", "http")
    async def test_not_json(self) -> None:
        """A reply of status 200 that is none (a page, nothing, noise) is a ResponseError, never an empty success."""
        page = {"content-type": "text/html"}
        for scripted in (
            reply("<html>Sign in to the WiFi</html>", headers=page),
            reply("", headers=page),
            reply(b"\x00\xff\x00 noise \n\n", headers={"content-type": self.vendor.content_type}),
        ):
            async with self.scripted_provider(scripted, max_retries=0) as (provider, _):
                for way, call in self.calls_by_way(provider, self.hello).items():
                    subject = f"{way}: {scripted.pieces} with status 200"
                    expect(
                        isinstance(await provider_error(call, subject), ResponseError), f"{subject} is no ResponseError"
                    )

    @check("scripted", "bytes")
    async def test_error_replies(self) -> None:
        """An error in a reply of status 200 is raised, by its code, whole or where a stream was asked for."""
        replies: list[Reply] = []
        coded = self.vendor.refusal(401, "the same") != self.vendor.refusal(500, "the same")
        async with self.scripted_provider(lambda _: replies[-1], max_retries=0) as (provider, _):
            for status in (401, 429, 500):
                replies.append(reply(json=self.vendor.refusal(status, "the vendor's words")))
                for way, call in self.calls_by_way(provider, self.hello).items():
                    subject = f"{way}: the error of {status} in a reply of status 200"
                    error = await provider_error(call, subject)
                    if coded and "bare_errors" not in self.vendor.traits:
                        expect_equal(type(error), CLASSES[status], f"the class of {subject}")
                        expect("the vendor's words" in str(error), f"the message of {subject} is lost: {error}")

    @check("scripted", "bytes", "streaming")
    async def test_error_events(self) -> None:
        """An error that a stream reports is of the class that its code has, at once or midway, with its message."""
        start = self.vendor.events(Script(text="Hello there."))
        start = start[: self.vendor.complete_after(start) - 1]
        replies: list[Reply] = []
        async with self.scripted_provider(lambda _: replies[-1], max_retries=0) as (provider, _):
            for status, before in [(status, before) for status in IN_STREAMS for before in ([], start)]:
                replies.append(self.vendor.pieces([*before, self.vendor.error_event(status, "the vendor's words")]))
                subject = f"an error event of {status} after {len(before)} events"
                error = await provider_error(lambda: provider.stream(self.hello).response(), subject)
                if "bare_errors" not in self.vendor.traits:  # else nothing says which it is
                    expect_equal(type(error), CLASSES[status], f"the class of {subject}")
                expect("the vendor's words" in str(error), f"the message of {subject} is lost: {error}")

    @check("scripted", "http")
    async def test_redirects(self) -> None:
        """A redirect is never followed: prompt and key go to nobody else."""
        replies: list[Reply] = []
        with serve(reply(json={})) as elsewhere:
            async with self.scripted_provider(lambda _: replies[-1], max_retries=0) as (provider, _):
                for status in (301, 302, 303, 307, 308):
                    replies.append(reply("", status=status, headers={"location": f"{elsewhere.url}/v1"}))
                    for way, call in self.calls_by_way(provider, self.hello).items():
                        await provider_error(call, f"{way}: a redirect ({status})")
            expect_equal(len(elsewhere.requests), 0, "requests that followed a redirect")

    @check("scripted", "http")
    async def test_unreachable(self) -> None:
        """A server that is not there is a TransportError."""
        with serve(reply(json={})) as gone:
            url = gone.url
        provider = self.provider(url, max_retries=0)
        for way, call in self.calls_by_way(provider, self.hello).items():
            error = await provider_error(call, f"{way}: nobody listens")
            expect(isinstance(error, TransportError), f"{way}: nobody listens is a {type(error).__name__}")
        await provider.aclose()

    @check("scripted", "http")
    async def test_errors_pickle(self) -> None:
        """An error survives pickling with all of its facts, as worker processes need it."""
        async with self.scripted_provider(self.vendor.refuse(429, headers={"retry-after": "7"}), max_retries=0) as (
            provider,
            _,
        ):
            for way, call in self.calls_by_way(provider, self.hello).items():
                error = await provider_error(call, f"{way}: status 429")
                again: ProviderError = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
                facts = [(type(one), str(one), one.status_code, one.retry_after) for one in (error, again)]
                expect_equal(facts[1], facts[0], f"{way}: a pickled error")


async def provider_error(call: Callable[[], Any], subject: str) -> ProviderError:
    """Return the ProviderError that a call raises."""
    error = await error_of(call, subject)
    if not isinstance(error, ProviderError):
        raise CheckFailed(f"{subject}: a {type(error).__name__} is no ProviderError: {error}")
    return error
