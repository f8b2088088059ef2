"""Four vendors at one task: what each is asked, what is watched, and whom one that fails does not stop."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from tako import Capabilities, Conductor
from tako.conductor.events import Planned, WorkerDelta, WorkerEnded, WorkerStarted
from tako.errors import ProviderError, ProviderTimeoutError, StreamTruncatedError
from tako.providers import OpenAI
from tako.testing.server import reply, serve
from tako.testing.waiting import until

from .callables import plan
from .vendors import ROLES, Vendors, collect, completion, completions, lines, result_of

if TYPE_CHECKING:
    from tako.conductor.events import Event, RunResult


def test_four_vendors_work_at_one_task_and_are_watched(vendors: Vendors) -> None:
    events = asyncio.run(collect(vendors.conductor()))
    assert isinstance(events[0], Planned)
    assert [assignment.name for assignment in events[0].plan.workers] == list(ROLES)
    for index, role in enumerate(ROLES):
        own = [event for event in events if getattr(event, "role", "") == role]
        kinds = [event.kind for event in own]
        assert kinds == ["worker_start", *["worker_delta"] * (len(kinds) - 2), "worker_end"]
        assert {getattr(event, "worker", None) for event in own} == {index}
        ended = own[-1]
        assert isinstance(ended, WorkerEnded)
        assert ended.result.text == "".join(event.text for event in own if isinstance(event, WorkerDelta))
    result = result_of(events)
    assert result.text == "All is done."
    assert [one.text for one in result.steps[0].results] == ["x = 1", "2 + 2 = 4", "Once upon", "Guilty."]
    assert result.complete
    assert len(events) == 1 + 4 + (2 + 2 + 2 + 1) + 4 + 1


def test_a_worker_without_streaming_is_asked_by_chat_and_the_others_stream(vendors: Vendors) -> None:
    asyncio.run(collect(vendors.conductor()))
    assert "stream" not in vendors.requests_to("/mistral/chat/completions")[0]
    for path in ("/openai/chat/completions", "/v1/messages", "/api/chat"):
        assert vendors.requests_to(path)[0]["stream"] is True


def test_the_coordinator_gets_roles_schema_and_results(vendors: Vendors) -> None:
    asyncio.run(collect(vendors.conductor(system="Answer in French.")))
    first, second = vendors.requests_to("/lead/chat/completions")
    fields = first["response_format"]["json_schema"]["schema"]["properties"]["workers"]["items"]["properties"]
    assert fields["name"] == {"type": "string", "enum": list(ROLES)}
    assert "code, math, prose, law" in first["messages"][0]["content"]
    assert "Answer in French." in first["messages"][0]["content"]
    assert "response_format" not in second
    prompt = second["messages"][-1]["content"]
    for text in ("x = 1", "2 + 2 = 4", "Once upon", "Guilty."):
        assert text in prompt


def test_a_coordinator_without_json_mode_is_not_held_to_a_schema(vendors: Vendors) -> None:
    conductor = vendors.conductor()
    assert conductor.coordinator is not None
    conductor.coordinator._user_capabilities = Capabilities()
    asyncio.run(collect(conductor))
    assert "response_format" not in vendors.requests_to("/lead/chat/completions")[0]


def test_one_that_is_refused_and_one_that_dies_half_way_do_not_stop_the_others(vendors: Vendors) -> None:
    vendors.answers["/v1/messages"] = reply(json={"error": {"type": "overloaded_error", "message": "busy"}}, status=529)
    vendors.answers["/api/chat"] = reply([lines("Once ").pieces[0]], ending="cut")
    events = asyncio.run(collect(vendors.conductor()))
    code, math, prose, law = result_of(events).steps[0].results
    assert (code.state, math.state, prose.state, law.state) == ("done", "failed", "failed", "done")
    assert math.error.status_code == 529
    assert isinstance(prose.error, StreamTruncatedError)
    assert prose.partial == "Once "
    assert [event.text for event in events if isinstance(event, WorkerDelta) and event.role == "prose"] == ["Once "]
    results = vendors.requests_to("/lead/chat/completions")[1]["messages"][-1]["content"]
    assert "busy" in results
    assert "so far: Once" in results
    until(lambda: vendors.server.open == 0)


def test_one_that_is_late_is_given_up_and_its_connection_closed(vendors: Vendors) -> None:
    vendors.plans = [plan("prose: Do prose", then="summarise"), "Without it."]
    vendors.answers["/api/chat"] = reply([], ending="hang")
    result = result_of(asyncio.run(collect(vendors.conductor(worker_timeout=0.2))))
    [prose] = result.steps[0].results
    assert isinstance(prose.error, ProviderTimeoutError)
    assert "'prose' took longer than worker_timeout=0.2 s" in str(prose.error)
    assert result.text == "Without it."
    until(lambda: vendors.server.open == 0)


def test_any_takes_the_first_that_succeeds_and_stops_the_rest(vendors: Vendors) -> None:
    events: list[Event] = []

    def others_are_at_work() -> bool:
        spoken = any(isinstance(event, WorkerDelta) and event.role == "code" for event in events)
        failed = any(isinstance(event, WorkerEnded) and event.role == "math" for event in events)
        return spoken and failed and len(vendors.requests_to("/api/chat")) == 1

    vendors.plans = [plan(*[f"{role}: go" for role in ROLES], join="any")]
    vendors.answers["/openai/chat/completions"] = completions("never", ending="hang")
    vendors.answers["/v1/messages"] = reply(json={"error": {"message": "no"}}, status=400)
    vendors.answers["/api/chat"] = reply(lines("late").pieces, delay=lambda: False)
    vendors.answers["/mistral/chat/completions"] = reply(json=completion("First."), delay=others_are_at_work)

    async def main() -> None:
        async with vendors.conductor() as conductor, conductor.stream("Do it all") as run:
            async for event in run:
                events.append(event)  # noqa: PERF401 - the server looks at them meanwhile

    asyncio.run(main())
    result = result_of(events)
    assert result.text == "First."
    states = {one.role: one.state for one in result.steps[0].results}
    assert states == {"code": "stopped", "math": "failed", "prose": "stopped", "law": "done"}
    started = [event.worker for event in events if isinstance(event, WorkerStarted)]
    ended = [event.worker for event in events if isinstance(event, WorkerEnded)]
    assert sorted(started) == sorted(ended) == [0, 1, 2, 3]
    assert set(result.usage_by_role) == {"law", "coordinator"}
    until(lambda: vendors.server.open == 0)


def test_fail_fast_ends_the_run_with_the_error(vendors: Vendors) -> None:
    vendors.answers["/v1/messages"] = reply(json={"error": {"message": "no such thing"}}, status=404)
    vendors.answers["/openai/chat/completions"] = completions("never", ending="hang")
    events: list[Event] = []

    async def watch(conductor: Conductor) -> None:
        async for event in conductor.stream("Do it"):
            events.append(event)  # noqa: PERF401 - the run raises, and what came before stays

    async def main() -> None:
        async with vendors.conductor(fail_fast=True) as conductor:
            with pytest.raises(ProviderError, match="no such thing") as caught:
                await watch(conductor)
            assert caught.value.status_code == 404
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert sum(event.kind == "worker_start" for event in events) == sum(event.kind == "worker_end" for event in events)
    assert events[-1].kind == "worker_end"
    until(lambda: vendors.server.open == 0)


def test_each_vendors_usage_stands_under_its_role(vendors: Vendors) -> None:
    result = result_of(asyncio.run(collect(vendors.conductor())))
    assert {role: (one.input_tokens, one.output_tokens) for role, one in result.usage_by_role.items()} == {
        "code": (10, 2),
        "math": (20, 2),
        "prose": (30, 2),
        "law": (7, 2),
        "coordinator": (14, 4),
    }
    assert result.usage.total == 10 + 20 + 30 + 7 + 14 + 12


def test_events_and_results_are_values(vendors: Vendors) -> None:
    events = asyncio.run(collect(vendors.conductor()))
    encoded = [json.loads(msgspec.json.encode(event, enc_hook=str)) for event in events]
    assert [one["kind"] for one in encoded] == [event.kind for event in events]


def test_two_hundred_workers_at_once_stay_within_bounds() -> None:
    count, pieces = 200, 20
    roles = [f"w{n}" for n in range(count)]
    answer = completions(*["word "] * pieces)
    most_open = most_tasks = 0

    def all_are_there() -> bool:
        nonlocal most_open
        most_open = max(most_open, server.open)
        return server.connections >= count

    answer.pieces.insert(1, all_are_there)
    with serve(answer) as server:
        # the limit is for busy machines: two hundred connections have taken longer than the usual ten seconds
        common = {"base_url": server.url, "api_key": "k", "max_retries": 0, "connect_timeout": 60}
        conductor = Conductor({role: OpenAI(role, **common) for role in roles}, max_fanout=count)

        async def main() -> RunResult:
            nonlocal most_tasks
            async with conductor, conductor.stream("Go") as run:
                async for _ in run:
                    most_tasks = max(most_tasks, len(asyncio.all_tasks()))
                result = await run.result()
                assert len(asyncio.all_tasks()) == 1
            return result

        result = asyncio.run(main())
        until(lambda: server.open == 0)
    assert [(one.text, one.error) for one in result.steps[0].results] == [("word " * pieces, None)] * count
    assert most_open == server.connections == count
    assert most_tasks <= 2 * count + 2  # one for each worker, another while it connects
    assert len(result.usage_by_role) == count
