"""Requests and tokens per minute: when each call may start, for all runs that share a budget.

``Quota`` hands out leases and never waits, so it can be in this process or an actor on a cluster, where all runs with
one budget use the same one. ``QuotaClient`` waits for the calls of one run, and gets leases for many of them at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

from msgspec import Struct

if TYPE_CHECKING:
    from tako_map.limits.pace import Pace

MARGIN = 0.98
"""The part of a budget that is used: clocks and networks differ."""
AHEAD = 1.0
"""Seconds ahead that a lease may cover: enough for many calls, and a pause still reaches all runs soon."""
LATE = 1.0
"""Seconds that a call may start late without losing its place in the minute; the margin has as many."""
LONGEST_RETRY = 0.25
"""The most seconds after which a run without a lease asks again."""
SHORTEST_RETRY = 0.02
"""The least."""
GRACE = 1.0
"""Seconds that a run may miss its turn by before the others go on without it."""
EXPIRY = 5.0
"""Seconds without a request after which a run no longer counts."""
EXCHANGE = 1.0
"""Seconds between two requests of a run that has no calls, so that it learns of pauses."""
SLACK = 0.25
"""Seconds that a pause has to be longer by to be a new one: messages take time."""
MAX_CALLS = 1000
"""The most calls in one request."""


class LeaseRequest(Struct, frozen=True):
    """What a run asks for. ``call_tokens`` are the estimated tokens of its waiting calls, in order.

    ``rpm`` and ``tpm`` are the run's own limits. ``extra_tokens`` is by how much earlier calls were above (or below)
    their estimates. ``pause`` is the seconds that the vendor told this run to wait.
    """

    run: str
    rpm: float | None = None
    tpm: float | None = None
    call_tokens: list[float] = []
    extra_tokens: float = 0.0
    pause: float = 0.0


class Lease(Struct, frozen=True):
    """When the first calls may start, in seconds from now. If none may, ``retry_after`` says when to ask again.

    ``pause`` is the seconds for which no run may start a call.
    """

    delays: list[float]
    retry_after: float
    pause: float


GetLease = Callable[[LeaseRequest], Awaitable[Lease]]


class Quota:
    """Spreads calls evenly over the minute, in the order in which runs ask. The lowest limit of all runs applies.

    Its state may be lost with a machine. A new one starts with a call at once, and spreads the next ones evenly again.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._next_request = self._next_token = self._paused_until = clock()
        self._runs: dict[str, tuple[float, LeaseRequest]] = {}
        self._turns: dict[str, float] = {}  # runs that got no lease, in order, and until when the others wait for them

    def lease(self, request: LeaseRequest) -> Lease:
        """Return when a run's first calls may start; runs that got no lease earlier go first."""
        now = self._clock()
        self._runs[request.run] = now, request
        self._runs = {run: entry for run, entry in self._runs.items() if now - entry[0] < EXPIRY}
        per_request, per_token = self._seconds_per("rpm"), self._seconds_per("tpm")
        self._next_token += request.extra_tokens * per_token
        if now + request.pause > self._paused_until + SLACK:
            self._paused_until = now + request.pause
        pause = max(0.0, self._paused_until - now)
        if not request.call_tokens:
            return Lease([], LONGEST_RETRY, pause)
        early = self._next_start() - now - AHEAD / 2
        if early > 0 or not self._has_turn(request.run, now):
            retry_after = min(LONGEST_RETRY, max(early, SHORTEST_RETRY))
            self._turns[request.run] = now + retry_after + GRACE  # a run that is in the line keeps its place
            return Lease([], retry_after, pause)
        self._turns.pop(request.run, None)
        delays: list[float] = []
        for tokens in request.call_tokens:
            start = max(now, self._next_start())
            if delays and start > now + AHEAD:
                break
            self._next_request = max(self._next_request, start - LATE) + per_request
            self._next_token = max(self._next_token, start - LATE) + tokens * per_token
            delays.append(start - now)
        return Lease(delays, 0.0, pause)

    def _next_start(self) -> float:
        """Return when the next call may start."""
        return max(self._next_request, self._next_token, self._paused_until)

    def _has_turn(self, run: str, now: float) -> bool:
        """Return whether it's a run's turn. A run that missed its own loses it."""
        self._turns = {other: until for other, until in self._turns.items() if until >= now}
        return next(iter(self._turns), run) == run

    def _seconds_per(self, limit: str) -> float:
        """Return the seconds for each request ("rpm") or token ("tpm"), by the lowest limit of all runs."""
        limits = [value for _, request in self._runs.values() if (value := getattr(request, limit))]
        return 60.0 / (min(limits) * MARGIN) if limits else 0.0


class QuotaClient:
    """The calls of one run that wait for leases. ``is_limited`` says whether they have to."""

    def __init__(self, get_lease: GetLease, pace: Pace, *, rpm: float | None = None, tpm: float | None = None) -> None:
        self.is_limited = bool(rpm or tpm)
        self._get_lease = get_lease
        self._pace = pace
        self._limits = rpm, tpm
        self._run = uuid4().hex
        self._extra_tokens = 0.0
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._serving: asyncio.Task[None] | None = None
        self._has_news = asyncio.Event()

    async def wait(self, tokens: float) -> None:
        """Wait until a call with so many tokens, by estimate, may start. Raises what ``get_lease`` raises."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((tokens, turn))
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        await turn

    def correct(self, tokens: float) -> None:
        """Count the tokens that a call used beyond its estimate; less than 0 if it used fewer."""
        self._extra_tokens += tokens

    def share_pause(self) -> None:
        """Let other runs know at once that the vendor wants a pause."""
        self._has_news.set()

    @asynccontextmanager
    async def open(self, *, shared: bool) -> AsyncGenerator[None, None]:
        """Exchange pauses with other runs if the quota is shared; ends all requests at the end."""
        tasks = [asyncio.create_task(self._share())] if shared else []
        try:
            yield
        finally:
            tasks += [self._serving] if self._serving is not None else []
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _share(self) -> None:
        while True:
            await self._exchange([])
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_news.wait(), EXCHANGE)
            self._has_news.clear()

    async def _serve(self) -> None:
        """Get leases as long as calls wait, and let each call start at its time."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                lease = await self._exchange([tokens for tokens, _ in islice(self._waiting, MAX_CALLS)])
                now = loop.time()
                for delay in lease.delays:
                    loop.call_at(now + delay, _release, self._waiting.popleft()[1])
                await asyncio.sleep(lease.delays[-1] - AHEAD / 2 if lease.delays else lease.retry_after)
        except BaseException as error:  # noqa: BLE001 - the waiting calls raise it
            for _, turn in self._waiting:
                if not turn.done():
                    turn.set_exception(error)
        finally:
            self._serving = None

    async def _exchange(self, call_tokens: list[float]) -> Lease:
        """Get one lease, and exchange the pauses that this run and the others know of."""
        pace, time = self._pace, asyncio.get_running_loop().time
        extra_tokens, self._extra_tokens = self._extra_tokens, 0.0
        pause = max(0.0, pace.paused_until - time())
        lease = await self._get_lease(LeaseRequest(self._run, *self._limits, call_tokens, extra_tokens, pause))
        if time() + lease.pause > pace.paused_until + SLACK:
            pace.paused_until = time() + lease.pause
        return lease


def _release(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
