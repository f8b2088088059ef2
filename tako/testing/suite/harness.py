"""What all checks stand on: the author's declarations, a provider before a scripted vendor, and the outcome."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tako.errors import TakoError
from tako.hooks.layers import FAILED
from tako.testing.dialects import find_dialect
from tako.testing.dialects.dialect import Dialect
from tako.testing.server import Server
from tako.testing.suite.check import ABILITIES, CHECKS, CheckFailed, NotApplicable, expect
from tako.testing.summary import Report, Result
from tako.types import ChatRequest, Message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    from tako.provider import Provider
    from tako.testing.dialects.dialect import Answer
    from tako.testing.suite.check import Check
    from tako.types import ChatResponse, Chunk

T = TypeVar("T")

SECRET = "sk-conformance-c0ffee5ca1ab1e"  # noqa: S105 - nobody's


class Live(Dialect):
    """In the place of a vendor that cannot be scripted."""

    name = "none"
    http = False

    @contextmanager
    def serve(self, *answers: Answer) -> Generator[Server, None, None]:
        """Serve nothing."""
        yield Server([])


class Harness:
    """What an author declares, and what checks use."""

    dialect: ClassVar[str | Dialect | None] = None
    """What the scripted server speaks: a name, an object of the author's, or None where nothing can be scripted."""
    not_applicable: ClassVar[Mapping[str, str]] = {}
    """Abilities that the provider lacks, or single checks that do not apply, each with the reason."""
    environment: ClassVar[Mapping[str, str]] = {}
    """Environment variables that are set during each check."""
    secret: ClassVar[str] = SECRET
    """The key that ``provider`` should use; checks look for it in places where it must not be."""
    patience: ClassVar[float] = 30.0
    """Seconds after which a check gives up on what does not happen; what happens late passes all the same."""
    hello: ClassVar[ChatRequest] = ChatRequest([Message.user("Say hello.")])
    """A request to which any answer will do; where nothing can be scripted, one with an answer that stays the same."""
    report: ClassVar[Report]

    def provider(self, base_url: str, **options: Any) -> Provider:
        """Make the provider with its vendor at this address; the author's to write.

        ``options`` are those of HttpOptions that a check needs: pass them on.
        """
        raise TypeError(f"{type(self).__name__} has no method provider(self, base_url, **options)")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__module__.startswith("tako.testing.suite"):
            return
        tampered = cls.tampered()
        if tampered:
            raise TypeError(f"{cls.__name__}: {', '.join(tampered)} can't be overridden or deleted; a check that does"
                            " not apply is stated in not_applicable, with a reason")  # fmt: skip
        unknown = cls.not_applicable.keys() - CHECKS.keys() - ABILITIES.keys()
        if unknown:
            raise TypeError(f"{cls.__name__}: not_applicable names {sorted(unknown)}, which is no check and no ability")
        for name, reason in cls.not_applicable.items():
            if not (isinstance(reason, str) and len(reason.split()) > 1):
                raise TypeError(f"{cls.__name__}: not_applicable says of {name!r} only {reason!r}; give the reason")
        cls.report = Report(cls.__name__)

    @classmethod
    def tampered(cls) -> list[str]:
        """Name the checks that are not the suite's own any more."""
        names: list[str] = []
        for name, check in CHECKS.items():
            method = getattr(cls, f"test_{name}", None)
            code = getattr(method, "__closure__", None) or ()
            if not any(cell.cell_contents is check for cell in code):
                names.append(f"test_{name}")
        machinery = ("run_check", "reason_against", "tampered", "_expect_applicable", "_set_environment")
        return names + [name for name in machinery if _function(cls, name) is not _function(Harness, name)]

    @property
    def vendor(self) -> Dialect:
        """The dialect, as an object."""
        return Live() if self.dialect is None else find_dialect(self.dialect)

    @property
    def streaming(self) -> bool:
        """Whether replies come in pieces."""
        return "streaming" not in self.not_applicable

    def reason_against(self, check: Check) -> str | None:
        """Say why a check does not apply, or None."""
        needs = [check.name, *check.needs]
        if "bytes" in needs and not self.vendor.of_bytes:  # a wire without HTTP has none, unless its dialect says so
            needs.append("http")
        return next((self.not_applicable[name] for name in needs if name in self.not_applicable), None)

    def _expect_applicable(self, check: Check) -> None:
        stated = self.reason_against(check)
        if stated is not None:
            raise NotApplicable(stated)

    def run_check(self, check: Check) -> None:
        """Run one check and note its outcome in the report."""
        started = time.perf_counter()
        outcome, reason = "failed", ""
        try:
            self._expect_applicable(check)
            with self._set_environment():
                self._run(check)
            outcome = "passed"
        except NotApplicable as error:
            outcome, reason = "not applicable", str(error)
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".replace(self.secret, "***")
            raise
        finally:
            self.report.add(
                Result(check.name, check.group, check.promise, outcome, reason, time.perf_counter() - started)
            )

    def _run(self, check: Check) -> None:
        """Run a check in a thread that nobody waits for if it never ends: a provider may block its event loop."""
        limit = 10 * self.patience
        future: Future[None] = Future()
        in_daemon(lambda: asyncio.run(within(limit, check.body(self), "the check")), future)
        try:
            future.result(limit + self.patience)
        except TimeoutError as error:
            if future.done():  # it came from within
                raise
            raise CheckFailed(f"the check never ends: something blocks its event loop (after {limit:g} s)") from error

    def observe(self, name: str, value: str) -> None:
        """Note for the summary what has been seen of the provider."""
        self.report.observed[name] = value

    @asynccontextmanager
    async def scripted_provider(
        self, *answers: Answer, **options: Any
    ) -> AsyncGenerator[tuple[Provider, Server], None]:
        """Stand the provider before a vendor that gives these answers in turn, the last one for ever."""
        with self.vendor.serve(*answers) as server:
            provider = self.provider(server.url, **options)
            self.report.provider = provider.id
            self.report.dialect = self.vendor.name
            try:
                yield provider, server
            finally:
                await provider.aclose()
                if server.failures:  # the vendor's side went wrong, which explains whatever the provider made of it
                    raise server.failures[0]

    async def responses_by_way(self, provider: Provider, request: ChatRequest) -> dict[str, ChatResponse]:
        """Answer a request whole, and in pieces that are folded."""
        responses = {"chat": await provider.chat(request)}
        if self.streaming:
            responses["stream"] = await provider.stream(request).response()
        return responses

    def calls_by_way(self, provider: Provider, request: ChatRequest) -> dict[str, Callable[[], Any]]:
        """Return the ways of asking, not asked yet."""
        calls: dict[str, Callable[[], Any]] = {"chat": lambda: provider.chat(request)}
        if self.streaming:
            calls["stream"] = lambda: provider.stream(request).response()
        return calls

    @contextmanager
    def _set_environment(self) -> Generator[None, None, None]:
        before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


async def chunks_of(provider: Provider, request: ChatRequest) -> list[Chunk]:
    """Stream, and keep every chunk."""
    async with provider.stream(request) as stream:
        return [chunk async for chunk in stream]


async def error_of(call: Callable[[], Any], subject: str) -> TakoError:
    """Return the error that a call raises; fails where it succeeds, or raises what is none of tako's."""
    try:
        answer = await call()
    except TakoError as error:
        if str(error.args[0] if error.args else "").startswith(FAILED):
            bare = type(error.__cause__).__name__
            raise CheckFailed(
                f"{subject}: a bare {bare} came out, which tako had to make a ProviderError of"
            ) from error
        return error
    except Exception as error:
        raise CheckFailed(f"{subject}: a bare {type(error).__name__} came out, not a TakoError: {error}") from error
    raise CheckFailed(f"{subject}: it passed for a success: {getattr(answer, 'message', answer)!r}")


async def settle(seconds: float, condition: Callable[[], bool], subject: str) -> None:
    """Wait until something holds; fails where it takes longer."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:  # noqa: ASYNC110 - another thread changes what is looked at
        await asyncio.sleep(0.005)
    expect(condition(), subject)


async def within(seconds: float, work: Any, subject: str) -> Any:
    """Wait for work; fails where it takes longer."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await work
    except TimeoutError as error:
        if not limit.expired():  # it came from within
            raise
        raise CheckFailed(f"{subject} took longer than {seconds:g} s") from error


def in_daemon(work: Callable[[], T], future: Future[T]) -> None:
    """Run work in a thread of its own that doesn't keep the program from ending; ``future`` gets its result."""
    context = copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(work))
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()


async def in_thread(work: Callable[[], T]) -> T:
    """Run work in another thread, which isn't waited for at the end as those of ``asyncio.to_thread`` are."""
    future: Future[T] = Future()
    in_daemon(work, future)
    return await asyncio.wrap_future(future)


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and see it out."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _function(cls: type, name: str) -> Any:
    method = getattr(cls, name)
    return getattr(method, "__func__", method)
