"""The pace: budgets of a minute that are held and used, by one run or several, on a clock that no machine drives."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
import tako_map
from tako_map.driver import Driver
from tako_map.input.rows import Row
from tako_map.limits.budget import Budget
from tako_map.limits.pace import Pace
from tako_map.limits.quota import LeaseRequest, Quota, QuotaClient

from tako import ChatResponse, Message, Usage, errors, providers

if TYPE_CHECKING:
    from tako import ChatRequest

MINUTE = 60.0


class Vendor:
    """Allows a number of calls (or tokens) per minute: in any sliding minute, or in each minute of the clock."""

    def __init__(self, kind: str, allowed: int, *, tokens: int = 1, seed: int = 1) -> None:
        self.kind = kind
        self.allowed = allowed
        self.tokens = tokens
        self.accepted: list[float] = []
        self.refused: list[float] = []
        self.random = random.Random(seed)
        self._past: deque[float] = deque()

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Reply after a delay, sometimes a long one; refuse calls above the limit, with the time to wait."""
        await asyncio.sleep(self.random.uniform(0.005, 0.08) if self.random.random() < 0.99 else 0.5)
        now = asyncio.get_running_loop().time()
        while self._past and (now - self._past[0] >= MINUTE or (self.kind == "fixed" and self._before(now))):
            self._past.popleft()
        if (len(self._past) + 1) * self.tokens > self.allowed:
            self.refused.append(now)
            wait = MINUTE - (now - self._past[0] if self.kind == "sliding" else now % MINUTE)
            raise errors.RateLimitError("slow down", status_code=429, retry_after=wait)
        self._past.append(now)
        self.accepted.append(now)
        await asyncio.sleep(self.random.uniform(0.05, 2.0))
        return ChatResponse(Message.assistant("ok"), usage=Usage(self.tokens - self.tokens // 3, self.tokens // 3))

    def share(self) -> float:
        """Return which part of the limit has been used, up to the last call."""
        return len(self.accepted) * self.tokens / (self.allowed * self.accepted[-1] / MINUTE)

    def _before(self, now: float) -> bool:
        return self._past[0] // MINUTE != now // MINUTE


class Machine:
    """Runs rows with a quota that takes some milliseconds to reach."""

    def __init__(self, quota: Quota, chat: Any, *, concurrency: int = 64, **limits: float) -> None:
        self.done: list[Any] = []
        self.pace = Pace(concurrency)
        self.quota = quota
        self.lease_requests = 0
        self._random = random.Random(7)
        self.quota_client = QuotaClient(self.get_lease, self.pace, **limits)
        self._driver = Driver(chat, self.deliver, pace=self.pace, budget=Budget(self.quota_client))

    async def get_lease(self, request: LeaseRequest) -> Any:
        self.lease_requests += 1
        await asyncio.sleep(self._random.uniform(0.001, 0.02))
        lease = self.quota.lease(request)
        await asyncio.sleep(self._random.uniform(0.001, 0.02))
        return lease

    def deliver(self, result: tako_map.Result) -> None:
        assert result.error is None, result.error
        self.done.append(result.key)

    async def run(self, rows: int) -> None:
        async with self.quota_client.open(shared=True):
            await self._driver.run(iter([Row(i, i, "a question") for i in range(rows)]))


@pytest.mark.parametrize("kind", ["sliding", "fixed"])
@pytest.mark.parametrize("runs", [1, 3])
def test_nine_tenths_of_500_a_minute_are_used_and_less_than_a_hundredth_is_refused(
    kind: str, runs: int, run_jumping: Any
) -> None:
    vendor, rows = Vendor(kind, 500), 1600  # a bit more than three minutes

    async def main() -> list[Machine]:
        quota = Quota(asyncio.get_running_loop().time)
        machines = [Machine(quota, vendor.chat, rpm=500) for _ in range(runs)]
        await asyncio.gather(*(machine.run(rows // runs) for machine in machines))
        return machines

    machines = run_jumping(main())
    for machine in machines:
        assert sorted(machine.done) == list(range(rows // runs))
        assert machine.lease_requests < 16 * vendor.accepted[-1]  # a lease covers many calls, and few requests get none
    assert len(vendor.refused) < 0.01 * (len(vendor.refused) + len(vendor.accepted))
    assert vendor.share() >= 0.9


@pytest.mark.parametrize("kind", ["sliding", "fixed"])
def test_nine_tenths_of_a_token_budget_are_used_although_the_length_of_answers_is_unknown(
    kind: str, run_jumping: Any
) -> None:
    vendor, rows = Vendor(kind, 90_000, tokens=150), 1900

    async def main() -> None:
        await Machine(Quota(asyncio.get_running_loop().time), vendor.chat, tpm=90_000).run(rows)

    run_jumping(main())
    assert len(vendor.refused) < 0.01 * (len(vendor.refused) + len(vendor.accepted))
    assert vendor.share() >= 0.9


def test_many_calls_a_second_need_few_lease_requests(run_jumping: Any) -> None:
    vendor, rows = Vendor("sliding", 30_000), 10_000

    async def main() -> Machine:
        machine = Machine(Quota(asyncio.get_running_loop().time), vendor.chat, concurrency=2000, rpm=30_000)
        machine.pace.limit = 2000.0  # as it is after a while
        await machine.run(rows)
        return machine

    machine = run_jumping(main())
    assert machine.lease_requests < rows / 20
    assert vendor.share() >= 0.9
    assert not vendor.refused


def test_a_run_in_this_process_keeps_to_its_budget(run_jumping: Any) -> None:
    times: list[float] = []

    async def chat(_: ChatRequest) -> str:
        times.append(asyncio.get_running_loop().time())
        return "ok"

    async def main() -> int:
        run = tako_map.run([str(i) for i in range(101)], providers.PythonProvider("at-once", chat), rpm=6000)
        return len([result async for result in run])

    assert run_jumping(main()) == 101
    assert times[-1] - times[0] == pytest.approx(1.0, abs=0.05)  # a hundred a second


def test_all_runs_wait_for_a_vendor_s_pause(run_jumping: Any) -> None:
    calls: list[tuple[float, str]] = []

    def vendor(name: str) -> Any:
        async def chat(_: ChatRequest) -> ChatResponse:
            now = asyncio.get_running_loop().time()
            calls.append((now, name))
            if name == "first" and sum(1 for _, caller in calls if caller == "first") == 5:
                raise errors.RateLimitError("slow down", status_code=429, retry_after=30.0)
            await asyncio.sleep(0.5)
            return ChatResponse(Message.assistant("ok"))

        return chat

    async def main() -> None:
        quota = Quota(asyncio.get_running_loop().time)
        first = Machine(quota, vendor("first"), concurrency=2, rpm=120)
        second = Machine(quota, vendor("second"), concurrency=2)  # a run without a budget learns of pauses too
        await asyncio.gather(first.run(60), second.run(60))

    run_jumping(main())
    refused = [when for when, name in calls if name == "first"][4]
    in_pause = [caller for when, caller in calls if refused + 2.0 < when < refused + 30.0]
    assert in_pause == []
    assert {caller for when, caller in calls if when >= refused + 30.0} == {"first", "second"}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def delays_of(quota: Quota, run: str, calls: int = 1000, **more: Any) -> list[float]:
    return quota.lease(LeaseRequest(run, call_tokens=[1.0] * calls, **more)).delays


def test_leases_are_even_and_a_second_ahead() -> None:
    clock = Clock()
    quota = Quota(clock)
    delays = delays_of(quota, "a", rpm=6000 / 0.98)
    assert delays == pytest.approx([0.01 * i for i in range(len(delays))])
    assert delays[-1] == pytest.approx(1.0, abs=0.011)
    assert delays_of(quota, "a", rpm=6000 / 0.98) == []
    clock.now = 0.6
    assert delays_of(quota, "a", rpm=6000 / 0.98)


def test_a_run_asks_again_for_a_lease_that_is_far_ahead() -> None:
    clock = Clock()
    quota = Quota(clock)
    assert delays_of(quota, "a", 1, rpm=6 / 0.98) == [0.0]
    times: list[float] = []
    while clock.now < 59.9:
        lease = quota.lease(LeaseRequest("a", rpm=6 / 0.98, call_tokens=[1.0]))
        times += [clock.now + delay for delay in lease.delays]
        assert lease.retry_after <= 0.25
        clock.now += lease.retry_after or 0.01
    assert times == pytest.approx([10.0, 20.0, 30.0, 40.0, 50.0, 60.0], abs=0.3)


def test_runs_take_turns_and_do_not_wait_for_one_that_has_ended() -> None:
    clock = Clock()
    quota = Quota(clock)
    leased = {"a": 0, "b": 0, "c": 0}
    while clock.now < 60.0:
        for run in leased if clock.now < 30.0 else ("a", "b"):
            leased[run] += len(delays_of(quota, run, rpm=600))
        clock.now += 0.02
    assert leased["a"] == pytest.approx(leased["b"], abs=12)
    assert leased["c"] == pytest.approx(leased["a"] * 0.4, abs=12)  # a third of one half, and a half of the other
    assert sum(leased.values()) == pytest.approx(0.98 * 600, abs=12)


def test_a_run_without_a_lease_keeps_its_turn_while_it_exchanges_pauses() -> None:
    clock = Clock()
    quota = Quota(clock)
    assert delays_of(quota, "a", rpm=600) != []
    assert delays_of(quota, "b", rpm=600) == []
    assert delays_of(quota, "b", 0, rpm=600) == []
    clock.now = 0.7
    assert delays_of(quota, "a", rpm=600) == []
    assert delays_of(quota, "b", rpm=600) != []


def test_the_lowest_limit_applies_while_its_run_lasts() -> None:
    clock = Clock()
    quota = Quota(clock)

    def in_ten_seconds(runs: dict[str, float]) -> int:
        end, count = clock.now + 10.0, 0
        while clock.now < end:
            count += sum(len(delays_of(quota, run, rpm=rpm)) for run, rpm in runs.items())
            clock.now += 0.02
        return count

    assert 98 <= in_ten_seconds({"a": 600.0, "b": 6000.0}) <= 98 + 20
    clock.now += 10.0
    assert 980 <= in_ten_seconds({"b": 6000.0}) <= 980 + 2 * 98  # with a free second before, and one ahead


def test_unused_tokens_make_room_and_extra_tokens_are_waited_for() -> None:
    clock = Clock()
    quota = Quota(clock)
    tpm = 60_000 / 0.98  # a thousand a second
    assert quota.lease(LeaseRequest("a", tpm=tpm, call_tokens=[3000.0, 1.0])).delays == [0.0]
    assert quota.lease(LeaseRequest("a", tpm=tpm, call_tokens=[1.0])).delays == []
    assert quota.lease(LeaseRequest("a", tpm=tpm, call_tokens=[1.0], extra_tokens=-3000.0)).delays == [0.0]
    assert quota.lease(LeaseRequest("a", tpm=tpm, call_tokens=[1.0], extra_tokens=2000.0)).delays == []
    clock.now = 2.1
    assert quota.lease(LeaseRequest("a", tpm=tpm, call_tokens=[1.0])).delays != []


def test_concurrency_goes_down_by_half_once_a_round_and_up_by_one_a_round(run_jumping: Any) -> None:
    async def main() -> None:
        pace = Pace(64)
        assert pace.limit == 16
        for _ in range(5):
            await asyncio.sleep(0.1)
            pace.note_error(errors.RateLimitError("slow down"), 0.0)  # all calls began together
        assert pace.limit == 8
        for _ in range(8):
            pace.note_success()
        assert pace.limit == pytest.approx(9, abs=0.1)

    run_jumping(main())
