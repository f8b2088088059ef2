"""Requests and tokens a minute: which call may be made when, for all runs that share a budget.

``Quota`` decides and never waits, so that it can stand in this process or be an actor on a cluster, where all runs with
one budget ask the same one. ``Leases`` waits, for the calls of one run, and asks for many of them at once.
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
    from tako_map.pace import Pace

MARGIN = 0.98
"""The part of a budget that is used: clocks and networks differ."""
AHEAD = 1.0
"""Seconds ahead for which places are given: many for one question, and a pause still reaches everybody soon."""
LATE = 1.0
"""Seconds by which a call may come late without losing its place in the minute; the margin has as many."""
AGAIN = 0.25
"""Seconds after which a run that got no place asks again, at the latest."""
SOON = 0.02
"""Seconds after which it asks again at the soonest."""
GRACE = 1.0
"""Seconds by which a run may miss its turn before the others go on without it."""
ABSENT = 5.0
"""Seconds without a word after which a run no longer counts."""
SHARE = 1.0
"""Seconds between two exchanges of a run that asks for nothing."""
SLACK = 0.25
"""Seconds by which a pause has to be longer to be another one: a message takes its time, back and forth."""
MOST = 1000
"""Calls that one question may be about."""


class Ask(Struct, frozen=True):
    """A run's question. ``wants`` are the tokens of calls that wait, in order; ``used`` those beyond earlier wants.

    ``rpm`` and ``tpm`` are the run's own limits, ``pause`` the seconds for which the vendor has told it to wait.
    """

    run: str
    rpm: float | None = None
    tpm: float | None = None
    wants: list[float] = []
    used: float = 0.0
    pause: float = 0.0


class Grant(Struct, frozen=True):
    """The answer: in how many seconds the first calls may be made; where none may, when to ask again.

    ``pause`` is for how many seconds nobody should call.
    """

    delays: list[float]
    again: float
    pause: float


Asker = Callable[[Ask], Awaitable[Grant]]


class Quota:
    """Spreads calls evenly over the minute, in the order in which runs ask. Of several runs' limits the lowest hold.

    What it knows may be lost with a machine: a new one starts with a call at once, and goes on as evenly.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._next_request = self._next_token = self._paused_until = clock()
        self._runs: dict[str, tuple[float, Ask]] = {}
        self._turns: dict[str, float] = {}  # runs that were sent away, in order, and until when they are waited for

    def ask(self, ask: Ask) -> Grant:
        """Give places to a run's first calls; none before those that were sent away earlier have had theirs."""
        now = self._clock()
        self._runs[ask.run] = now, ask
        self._runs = {run: seen for run, seen in self._runs.items() if now - seen[0] < ABSENT}
        per_request, per_token = self._seconds("rpm"), self._seconds("tpm")
        self._next_token += ask.used * per_token
        if now + ask.pause > self._paused_until + SLACK:
            self._paused_until = now + ask.pause
        pause = max(0.0, self._paused_until - now)
        if not ask.wants:
            return Grant([], AGAIN, pause)
        early = self._next() - now - AHEAD / 2
        if early > 0 or not self._first(ask.run, now):
            again = min(AGAIN, max(early, SOON))
            self._turns[ask.run] = now + again + GRACE  # keeps its place where it has one
            return Grant([], again, pause)
        self._turns.pop(ask.run, None)
        delays: list[float] = []
        for tokens in ask.wants:
            at = max(now, self._next())
            if delays and at > now + AHEAD:
                break
            self._next_request = max(self._next_request, at - LATE) + per_request
            self._next_token = max(self._next_token, at - LATE) + tokens * per_token
            delays.append(at - now)
        return Grant(delays, 0.0, pause)

    def _next(self) -> float:
        """Return when the next call may be made."""
        return max(self._next_request, self._next_token, self._paused_until)

    def _first(self, run: str, now: float) -> bool:
        """Say whether it is a run's turn; who has missed its own is no longer waited for."""
        self._turns = {other: until for other, until in self._turns.items() if until >= now}
        return next(iter(self._turns), run) == run

    def _seconds(self, name: str) -> float:
        """Return the seconds for each request or token, by the lowest limit of the runs that are there."""
        limits = [limit for _, ask in self._runs.values() if (limit := getattr(ask, name))]
        return 60.0 / (min(limits) * MARGIN) if limits else 0.0


class Leases:
    """The calls of one run that wait for their places in the minute. ``held`` says whether they have to."""

    def __init__(self, ask: Asker, pace: Pace, *, rpm: float | None = None, tpm: float | None = None) -> None:
        self.held = bool(rpm or tpm)
        self._ask = ask
        self._pace = pace
        self._limits = rpm, tpm
        self._run = uuid4().hex
        self._used = 0.0
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._asking: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def turn(self, tokens: float) -> None:
        """Wait until a call that is taken for so many tokens may be made. Raises what asking raises."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((tokens, place))
        if self._asking is None:
            self._asking = asyncio.create_task(self._serve())
        await place

    def correct(self, tokens: float) -> None:
        """Take note that so many more tokens were used than a call was taken for."""
        self._used += tokens

    def tell(self) -> None:
        """Let the others know at once that the vendor wants a pause."""
        self._news.set()

    @asynccontextmanager
    async def open(self, *, shared: bool) -> AsyncGenerator[None, None]:
        """Exchange pauses with other runs, where there may be some; ask no more afterwards."""
        tasks = [asyncio.create_task(self._share())] if shared else []
        try:
            yield
        finally:
            tasks += [self._asking] if self._asking is not None else []
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _share(self) -> None:
        while True:
            await self._exchange([])
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), SHARE)
            self._news.clear()

    async def _serve(self) -> None:
        """Ask for those who wait, as long as there are any, and let each go when its time has come."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                grant = await self._exchange([tokens for tokens, _ in islice(self._waiting, MOST)])
                now = loop.time()
                for delay in grant.delays:
                    loop.call_at(now + delay, _let_go, self._waiting.popleft()[1])
                await asyncio.sleep(grant.delays[-1] - AHEAD / 2 if grant.delays else grant.again)
        except BaseException as error:  # noqa: BLE001 - it is raised where the calls are made
            for _, place in self._waiting:
                if not place.done():
                    place.set_exception(error)
        finally:
            self._asking = None

    async def _exchange(self, wants: list[float]) -> Grant:
        """Ask once; what the others know of pauses holds here, and the other way round."""
        pace, time = self._pace, asyncio.get_running_loop().time
        used, self._used = self._used, 0.0
        grant = await self._ask(Ask(self._run, *self._limits, wants, used, max(0.0, pace.paused_until - time())))
        if time() + grant.pause > pace.paused_until + SLACK:
            pace.paused_until = time() + grant.pause
        return grant


def _let_go(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_result(None)
