"""A lease is fetched once for all, ahead of its end, and a fetch that fails harms only who has nothing."""

import asyncio
import threading

import pytest

from tako.errors import AuthenticationError, TransportError
from tako.kit.lease import REFUSAL_LIFETIME, RETRY_INTERVAL, Lease, Stage, send_with_renewal

HANG = 120.0
NAME = "tako-test-lease"


class Source:
    """Gives values 1, 2, 3, ... which are good for 100 seconds, and replaced from the 80th on; or raises."""

    def __init__(self):
        self.now = 0.0
        self.fetches = 0
        self.failure = None
        self.only = None
        self.began, self.gate = threading.Event(), threading.Event()
        self.gate.set()
        self.lease = Lease(self.fetch, self.stage, name=NAME, clock=lambda: self.now)

    def fetch(self, old):
        self.fetches += 1
        self.began.set()
        assert self.gate.wait(HANG)
        if self.failure is not None:
            raise self.failure
        return self.only or Value(self.fetches, self.now)

    def stage(self, value):
        age = self.now - value.since
        return Stage.GOOD if age < 80 else Stage.ENDING if age < 100 else Stage.ENDED

    async def hundred(self):
        """Return what a hundred callers get who all ask before an answer may come."""
        self.gate.clear()
        calls = [asyncio.ensure_future(self.lease.get()) for _ in range(100)]
        await asyncio.sleep(0)
        self.gate.set()
        got = await asyncio.gather(*calls, return_exceptions=True)
        return {value.number if isinstance(value, Value) else type(value) for value in got}

    async def landed(self):
        while threads := [thread for thread in threading.enumerate() if thread.name == NAME]:
            await asyncio.to_thread(threads[0].join, HANG)


class Value:
    def __init__(self, number, since):
        self.number, self.since = number, since


@pytest.fixture
def source():
    return Source()


def scenario(test):
    """Run an asynchronous test."""

    def run(source):
        asyncio.run(test(source))

    run.__name__ = test.__name__
    return run


@scenario
async def test_a_hundred_cold_callers_fetch_once(source):
    assert await source.hundred() == {1}
    assert await source.hundred() == {1}
    assert source.fetches == 1


@scenario
async def test_what_has_ended_is_replaced_once_for_all_who_wait(source):
    await source.lease.get()
    source.now = 100.0
    assert await source.hundred() == {2}
    assert source.fetches == 2


@scenario
async def test_near_its_end_it_is_replaced_while_calls_go_on(source):
    await source.lease.get()
    source.now = 80.0
    source.gate.clear()
    for _ in range(10):
        assert (await source.lease.get()).number == 1  # although the fetch cannot end
    source.gate.set()
    await source.landed()
    assert (await source.lease.get()).number == 2
    assert source.fetches == 2


@pytest.mark.parametrize("failure", [TransportError("down"), AuthenticationError("gone")])
def test_an_early_fetch_that_fails_harms_nobody_and_is_tried_again_after_a_while(source, failure):
    async def main():
        await source.lease.get()
        source.now, source.failure = 80.0, failure
        for _ in range(3):
            assert await source.hundred() == {1}
            await source.landed()
        assert source.fetches == 2
        source.now += RETRY_INTERVAL
        await source.lease.get()
        await source.landed()
        assert source.fetches == 3

    asyncio.run(main())


@scenario
async def test_a_refusal_answers_all_who_come_within_a_second(source):
    source.failure = AuthenticationError("revoked")
    assert await source.hundred() == {AuthenticationError}
    source.now += REFUSAL_LIFETIME - 0.1
    assert await source.hundred() == {AuthenticationError}
    assert source.fetches == 1
    source.now += 0.1
    source.failure = None
    assert await source.hundred() == {2}


@scenario
async def test_a_source_that_is_out_of_reach_is_asked_again_at_once(source):
    source.failure = TransportError("down")
    assert await source.hundred() == {TransportError}
    source.failure = None
    assert await source.hundred() == {2}


@scenario
async def test_a_refused_value_is_replaced_once_however_late_the_refusals_come(source):
    refused = await source.lease.get()
    assert {(await source.lease.replace(refused)).number for _ in range(100)} == {2}
    assert source.fetches == 2


@scenario
async def test_where_there_is_no_other_value_the_source_is_not_asked_again_at_once(source):
    source.only = await source.lease.get()
    assert {await source.lease.replace(source.only) for _ in range(100)} == {source.only}
    assert source.fetches == 2
    source.now += REFUSAL_LIFETIME
    source.only = None
    assert (await source.lease.replace(source.lease.held)).number == 3


@scenario
async def test_callers_do_not_share_the_error_object(source):
    source.failure = AuthenticationError("revoked")
    errors = await asyncio.gather(*[source.lease.get() for _ in range(10)], return_exceptions=True)
    assert len({id(error) for error in errors}) == 10
    assert {type(error) for error in errors} == {AuthenticationError}


@pytest.mark.parametrize(("others", "sent"), [(True, 2), (False, 1)])
def test_a_refused_request_is_sent_once_more_if_there_are_other_credentials(others, sent):
    tries = []

    async def send():
        tries.append(1)
        raise AuthenticationError("refused")

    async def renewed(refusal):
        assert refusal.args == ("refused",)
        return others

    with pytest.raises(AuthenticationError, match="refused"):
        asyncio.run(send_with_renewal(send, renewed))
    assert len(tries) == sent
