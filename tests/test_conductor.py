"""The Conductor: plans, workers on four wires, limits, failures, and what is left when a run is left."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tako import Capabilities, ChatRequest, Conductor, ContentPart, Delta, End, Message, Tool, Usage
from tako.conductor.events import Final, Planned, WorkerDelta, WorkerEnded, WorkerStarted
from tako.conductor.plan import MalformedPlanError, read_next, read_plan
from tako.conductor.running import AHEAD
from tako.errors import ConfigurationError, ProviderError, ProviderTimeoutError, ResponseError, TakoError
from tako.providers import Anthropic, Mistral, Ollama, OpenAI, PythonProvider
from tako.testing.server import Received, Reply, Server, reply, serve, sse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from tako import ChatResponse, Provider
    from tako.conductor.events import Event, RunResult

ROLES = ("code", "math", "prose", "law")


def plan(*tasks: str, join: str = "all", then: str = "halt", **more: Any) -> str:
    """What a coordinator writes: tasks are as in "code: Write it"."""
    workers = [{"name": name, "task": task.strip(), **more} for name, _, task in (it.partition(":") for it in tasks)]
    return json.dumps({"workers": workers, "join_strategy": join, "next_step": then})


EVERYONE = plan(*[f"{role}: Do {role}" for role in ROLES], then="summarise")


# --- four vendors on one loopback server, told apart by path


def said(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    return {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }


def completions(*texts: str, ending: Any = "end", pause: float = 0.0) -> Reply:
    deltas = [{"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": len(texts)}}
    events = deltas if ending == "hang" else [*deltas, last, usage]
    return reply(sse(*events, done=ending == "end"), ending=ending, pause=pause)


def messages_api(*texts: str) -> Reply:
    def event(kind: str, **fields: Any) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()

    start = {"id": "a", "model": "claude", "role": "assistant", "content": [], "usage": {"input_tokens": 20}}
    return reply(
        [
            event("message_start", message=start),
            event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
            *[event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}) for text in texts],
            event("content_block_stop", index=0),
            event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": len(texts)}),
            event("message_stop"),
        ]
    )


def lines(*texts: str) -> Reply:
    made = [{"model": "l", "message": {"role": "assistant", "content": text}, "done": False} for text in texts]
    end = {"model": "l", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    made.append({**end, "prompt_eval_count": 30, "eval_count": len(texts)})
    return reply([json.dumps(one).encode() + b"\n" for one in made])


class Vendors:
    """What each vendor answers; tests put in their own. The coordinator's are taken in turn."""

    def __init__(self) -> None:
        self.server: Server
        self.plans: list[str] = [EVERYONE, "All is done."]
        self.answers: dict[str, Reply] = {
            "/openai/chat/completions": completions("x = ", "1"),
            "/v1/messages": messages_api("2 + 2 ", "= 4"),
            "/api/chat": lines("Once ", "upon"),
            "/mistral/chat/completions": reply(json=said("Guilty.")),
        }

    def __call__(self, received: Received) -> Reply:
        if received.path.startswith("/lead"):
            return reply(json=said(self.plans.pop(0)))
        return self.answers[received.path]

    def asked(self, path: str) -> list[Any]:
        return [received.json for received in self.server.requests if received.path == path]

    def conductor(self, **options: Any) -> Conductor:
        url = self.server.url
        common: dict[str, Any] = {"api_key": "k", "max_retries": 0}
        workers: dict[str, Provider] = {
            "code": OpenAI("gpt", base_url=f"{url}/openai", **common),
            "math": Anthropic("claude", base_url=url, **common),
            "prose": Ollama("llama", base_url=url, max_retries=0),
            "law": Mistral(
                "mistral", base_url=f"{url}/mistral", capabilities=Capabilities(supports_streaming=False), **common
            ),
        }
        return Conductor(workers, OpenAI("lead", base_url=f"{url}/lead", **common), **options)


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    made = Vendors()
    with serve(made) as made.server:
        yield made


async def collect(conductor: Conductor, prompt: Any = "Do it all") -> list[Event]:
    async with conductor, conductor.stream(prompt) as run:
        return [event async for event in run]


def result_of(events: list[Event]) -> RunResult:
    final = events[-1]
    assert isinstance(final, Final)
    return final.result


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
    assert "stream" not in vendors.asked("/mistral/chat/completions")[0]
    for path in ("/openai/chat/completions", "/v1/messages", "/api/chat"):
        assert vendors.asked(path)[0]["stream"] is True


def test_the_coordinator_gets_roles_schema_and_results(vendors: Vendors) -> None:
    asyncio.run(collect(vendors.conductor(system="Answer in French.")))
    first, second = vendors.asked("/lead/chat/completions")
    assert first["response_format"]["json_schema"]["schema"]["properties"]["workers"]["items"]["properties"][
        "name"
    ] == {
        "type": "string",
        "enum": list(ROLES),
    }
    assert "code, math, prose, law" in first["messages"][0]["content"]
    assert "Answer in French." in first["messages"][0]["content"]
    assert "response_format" not in second
    told = second["messages"][-1]["content"]
    for text in ("x = 1", "2 + 2 = 4", "Once upon", "Guilty."):
        assert text in told


def test_a_coordinator_without_json_mode_is_not_held_to_a_schema(vendors: Vendors) -> None:
    conductor = vendors.conductor()
    assert conductor.coordinator is not None
    conductor.coordinator._given_capabilities = Capabilities()
    asyncio.run(collect(conductor))
    assert "response_format" not in vendors.asked("/lead/chat/completions")[0]


def test_one_that_fails_and_one_that_is_late_do_not_stop_the_others(vendors: Vendors) -> None:
    vendors.answers["/v1/messages"] = reply(json={"error": {"type": "overloaded_error", "message": "busy"}}, status=529)
    vendors.answers["/api/chat"] = reply([lines("Once ").pieces[0]], ending="hang")
    events = asyncio.run(collect(vendors.conductor(worker_timeout=0.5)))
    code, math, prose, law = result_of(events).steps[0].results
    assert (code.state, law.state) == ("done", "done")
    assert math.state == "failed"
    assert math.error.status_code == 529
    assert isinstance(prose.error, ProviderTimeoutError)
    assert "worker_timeout=0.5" in str(prose.error)
    assert prose.partial == "Once "
    assert 0.5 <= prose.seconds < 2
    told = vendors.asked("/lead/chat/completions")[1]["messages"][-1]["content"]
    assert "busy" in told
    assert "so far: Once" in told
    until(lambda: vendors.server.open == 0)


def test_any_takes_the_first_that_succeeds_and_stops_the_rest(vendors: Vendors) -> None:
    tasks = [f"{role}: go" for role in ROLES]
    vendors.plans = [plan(*tasks, join="any")]
    vendors.answers["/openai/chat/completions"] = completions("never", ending="hang")
    vendors.answers["/v1/messages"] = reply(json={"error": {"message": "no"}}, status=400)
    vendors.answers["/api/chat"] = reply(lines("late").pieces, delay=5)
    vendors.answers["/mistral/chat/completions"] = reply(json=said("First."), delay=0.3)
    began = time.monotonic()
    events = asyncio.run(collect(vendors.conductor()))
    assert time.monotonic() - began < 3
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


# --- leaving


async def speaks(run: Any) -> None:
    """Watch until a worker says something."""
    while (await anext(run)).kind != "worker_delta":
        pass


async def by_cancelling(conductor: Conductor) -> None:
    seen = asyncio.Event()

    async def watch() -> None:
        async for event in conductor.stream("Do it"):
            if event.kind == "worker_delta":
                seen.set()

    task = asyncio.create_task(watch())
    await seen.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def by_a_deadline(conductor: Conductor) -> None:
    with anyio.move_on_after(0.3) as scope:
        async for _ in conductor.stream("Do it"):
            pass
    assert scope.cancelled_caught


async def by_leaving_the_block(conductor: Conductor) -> None:
    async with conductor.stream("Do it") as run:
        await speaks(run)
    assert len(asyncio.all_tasks()) == 1
    with pytest.raises(TakoError, match="left before its end"):
        await run.result()


async def by_a_break_alone(conductor: Conductor) -> None:
    async for event in conductor.stream("Do it"):
        if event.kind == "worker_delta":
            break
    gc.collect()
    await asyncio.sleep(0.2)  # the loop closes what was collected, in a task of its own


@pytest.mark.parametrize("leave", [by_cancelling, by_a_deadline, by_leaving_the_block, by_a_break_alone])
def test_leaving_early_leaves_no_task_and_no_connection(vendors: Vendors, leave: Callable[[Conductor], Any]) -> None:
    for path in ("/openai/chat/completions", "/mistral/chat/completions"):
        vendors.answers[path] = completions("never", ending="hang")
    vendors.answers["/v1/messages"] = reply(messages_api("never").pieces[:3], ending="hang")
    vendors.answers["/api/chat"] = reply(lines("never").pieces[:1], ending="hang")

    async def main() -> None:
        async with vendors.conductor() as conductor:
            await leave(conductor)
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    until(lambda: vendors.server.open == 0)
    assert len(vendors.server.requests) == 5


def test_a_deadline_of_the_watchers_own_around_one_event_does_no_harm(vendors: Vendors) -> None:
    """A task group held across `yield` would break here: its scope would begin inside the watcher's."""
    vendors.answers["/openai/chat/completions"] = completions("a", "b", pause=0.05)

    async def main() -> list[str]:
        kinds: list[str] = []
        async with vendors.conductor() as conductor, conductor.stream("Do it") as run:
            while not kinds or kinds[-1] != "final":
                with anyio.fail_after(5):
                    kinds.append((await anext(run)).kind)
                with anyio.move_on_after(0.001):
                    await anyio.sleep(1)
        return kinds

    assert asyncio.run(main())[0] == "plan"


def test_nothing_is_asked_before_the_first_event_is(vendors: Vendors) -> None:
    async def main() -> None:
        async with vendors.conductor() as conductor:
            run = conductor.stream("Do it")
            await asyncio.sleep(0.05)
            assert len(asyncio.all_tasks()) == 1
            await run.aclose()

    asyncio.run(main())
    assert vendors.server.requests == []


def test_a_program_that_ends_in_the_middle_of_a_run_ends(vendors: Vendors) -> None:
    vendors.answers["/openai/chat/completions"] = completions("never", ending="hang")

    async def main() -> None:
        run = conductor.stream("Do it")
        while (await anext(run)).kind != "worker_delta":
            pass
        kept.append(run)  # alive until the loop is closed

    conductor = vendors.conductor()
    kept: list[Any] = []
    asyncio.run(main())
    until(lambda: vendors.server.open == 0)


def test_a_run_whose_tasks_are_cancelled_behind_its_back_is_no_short_success(vendors: Vendors) -> None:
    vendors.answers["/openai/chat/completions"] = completions("never", ending="hang")

    async def main() -> None:
        async with vendors.conductor() as conductor:
            run = conductor.stream("Do it")
            await speaks(run)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            with pytest.raises(TakoError, match="the run was cancelled"):
                await run.result()

    asyncio.run(main())


# --- callables as workers: limits that are counted


class Worker:
    """A worker that counts how many of its kind work at once."""

    now = most = 0

    def __init__(
        self, text: str = "fine", *, seconds: float = 0.01, error: Exception | None = None, **facts: Any
    ) -> None:
        self.text, self.seconds, self.error = text, seconds, error
        self.requests: list[ChatRequest] = []
        self.provider = PythonProvider(f"worker-{text}", self.chat, stream=facts.pop("stream", None), **facts)

    async def chat(self, request: ChatRequest) -> dict[str, Any]:
        self.requests.append(request)
        Worker.now += 1
        Worker.most = max(Worker.most, Worker.now)
        try:
            await anyio.sleep(self.seconds)
            if self.error is not None:
                raise self.error
            return {"text": self.text, "input_tokens": 3, "output_tokens": 1}
        finally:
            Worker.now -= 1


@contextmanager
def counting() -> Iterator[type[Worker]]:
    Worker.now = Worker.most = 0
    yield Worker
    assert Worker.now == 0


class Lead:
    """A coordinator that says these things in turn."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.heard: list[ChatRequest] = []
        self.provider = PythonProvider("lead", self.chat)

    def chat(self, request: ChatRequest) -> dict[str, Any]:
        self.heard.append(request)
        return {"text": self.texts.pop(0), "input_tokens": 11, "output_tokens": 5}


def run(conductor: Conductor, prompt: Any = "Do it", backend: str = "asyncio") -> RunResult:
    async def main() -> RunResult:
        return await conductor.run(prompt)

    return anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("limit", [1, 3, 4])
def test_never_more_workers_at_once_than_the_limit(limit: int, backend: str) -> None:
    lead = Lead(plan(*["a: go"] * 12))
    with counting() as counted:
        result = run(Conductor({"a": Worker().provider}, lead.provider, max_fanout=limit), backend=backend)
    assert counted.most == limit
    assert len(result.steps[0].results) == 12


def test_on_trio_a_run_is_streamed_and_left_the_same() -> None:
    async def endless(request: ChatRequest) -> AsyncGenerator[str, None]:
        while True:
            yield "more "
            await anyio.sleep(0.001)

    async def main() -> None:
        worker = PythonProvider("w", lambda _: "", stream=endless)
        conductor = Conductor({"a": worker, "b": worker})
        with trio.fail_after(5):
            async with conductor.stream("Go") as run:
                async for event in run:
                    if event.kind == "worker_delta":
                        break
            with trio.move_on_after(0.1) as scope:
                async with conductor.stream("Go") as run:
                    async for _ in run:
                        pass
            assert scope.cancelled_caught
            timed = Conductor({"a": worker}, worker_timeout=0.1)
            with pytest.raises(ProviderTimeoutError):
                await timed.run("Go")

    trio.run(main)


def test_the_timeout_is_each_workers_own_and_begins_when_it_does() -> None:
    lead = Lead(plan(*["a: go"] * 5))
    result = run(Conductor({"a": Worker(seconds=0.1).provider}, lead.provider, max_fanout=1, worker_timeout=0.3))
    assert [one.state for one in result.steps[0].results] == ["done"] * 5


def test_a_slow_watcher_holds_the_workers_back_and_is_no_timeout_of_theirs() -> None:
    produced = 0

    async def stream(request: ChatRequest) -> AsyncGenerator[Delta | End, None]:
        nonlocal produced
        for _ in range(1000):
            produced += 1
            yield Delta("x")
        yield End()

    async def main() -> RunResult:
        conductor = Conductor({"a": PythonProvider("a", lambda _: "", stream=stream)}, worker_timeout=0.3)
        async with conductor.stream("Go") as run:
            while (await anext(run)).kind != "worker_delta":
                pass
            await asyncio.sleep(0.6)
            assert produced <= AHEAD + 5
            return await run.result()

    result = asyncio.run(main())
    assert result.text == "x" * 1000


def test_a_bug_in_a_worker_is_that_workers_failure(vendor: Callable[..., type[Provider]]) -> None:
    def tako_chat(provider: Provider) -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            raise ZeroDivisionError("a bug")

        return chat

    buggy = vendor("buggy", tako_chat=tako_chat)("m")
    result = run(Conductor({"bad": buggy, "good": Worker().provider}))
    bad, good = result.steps[0].results
    assert result.text == "fine"
    assert isinstance(bad.error, ProviderError)
    assert isinstance(bad.error.__cause__, ZeroDivisionError)
    assert good.state == "done"
    with pytest.raises(ProviderError, match="ZeroDivisionError: a bug"):
        run(Conductor({"bad": buggy}, Lead(plan("bad: go")).provider, fail_fast=True))


# --- the coordinator's part


def test_without_a_coordinator_everyone_is_asked_the_same() -> None:
    a, b = Worker("one"), Worker("two")
    request = ChatRequest([Message.system("Be kind."), Message.user("Hello")], temperature=0.5, stop=["."])
    result = run(Conductor({"a": a.provider, "b": b.provider}), request)
    assert result.text == "a:\none\n\nb:\ntwo"
    assert a.requests == b.requests == [request]
    assert run(Conductor({"a": a.provider}), "Hello").text == "one"


def test_if_nobody_succeeds_the_first_error_is_raised() -> None:
    failing = Worker(error=ValueError("out of paper")).provider
    with pytest.raises(ProviderError, match="out of paper"):
        run(Conductor({"a": failing, "b": failing}))


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("I would rather answer it myself.", "no JSON object"),
        ('{"workers": [{"name": "a", "task": "go"', "JSON is broken"),
        ('{"workers": []}', "names no workers"),
        ('{"workers": [{"name": "a"}]}', "task"),
        ('{"workers": "a"}', "workers"),
        ('{"tasks": []}', "workers"),
        (plan("nobody: go"), "no worker 'nobody'; the workers are a"),
        (plan("a: go", tools=["hammer"]), "no tool 'hammer'"),
        (plan("a: go", join="most"), "join_strategy"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("", "no JSON object"),
    ],
)
def test_a_malformed_plan_goes_back_once_and_twice_is_an_error(broken: str, why: str) -> None:
    lead = Lead(broken, plan("a: go"))
    assert run(Conductor({"a": Worker().provider}, lead.provider)).text == "fine"
    told = lead.heard[1].messages[-1]
    assert why in told.text
    assert told.role == "user"
    assert lead.heard[1].messages[-2] == Message.assistant(broken or "(nothing)")
    with pytest.raises(ResponseError, match="twice") as caught:
        run(Conductor({"a": Worker().provider}, Lead(broken, broken).provider))
    assert caught.value.body == broken
    assert caught.value.provider == "python"


@pytest.mark.parametrize(
    "text",
    [
        "```json\n{}\n```",
        "```\n{}```",
        "Sure! Here {{is}} the plan:\n```json\n{}\n```\nShall I go on?",
        "{}",
        " {} I hope this helps {{really}}",
        "```JSON\r\n{}\r\n```\n",
    ],
)
def test_fences_and_prose_around_a_plan_are_stripped(text: str) -> None:
    wanted = plan("a: Explain ```python\nprint({1: 2})\n``` to me")
    found = read_plan(text.replace("{}", wanted).replace("{{", "{").replace("}}", "}"), ["a"], [])
    assert found.workers[0].task.startswith("Explain ```python\nprint({1: 2})")


def test_reading_a_plan_takes_linear_time() -> None:
    for text in ("```" + "\n" * 1_000_000, "{" * 1_000_000, "```json\n" * 200_000, '{"workers": ' * 1000):
        began = time.monotonic()
        with pytest.raises(MalformedPlanError):
            read_plan(text, ["a"], [])
        assert time.monotonic() - began < 1


@given(st.text(), st.text())
def test_any_text_is_a_plan_or_says_why_not(before: str, after: str) -> None:
    for text in (before, before + plan("a: go") + after):
        try:
            assert read_plan(text, ["a"], []).workers
        except MalformedPlanError as problem:
            assert str(problem)  # noqa: PT017 - either is right


def test_an_answer_that_quotes_a_plan_is_an_answer() -> None:
    quoting = 'This configuration does it:\n```json\n{"workers": 4, "threads": 2}\n```'
    assert read_next(quoting, ["a"], []) is None
    assert read_next("It is 42.", ["a"], []) is None
    assert read_next(plan("a: go"), ["a"], []) == read_plan(plan("a: go"), ["a"], [])
    for broken in ('{"workers": [', '```json\n{"workers": 4}\n```', plan("b: go")):
        with pytest.raises(MalformedPlanError):
            read_next(broken, ["a"], [])


def test_a_coordinator_may_plan_again_and_is_fed_back_once_in_every_step() -> None:
    first, second = plan("a: first", then="summarise"), plan("a: second", then="summarise")
    worker = Worker()
    lead = Lead("nonsense", first, '{"workers": [', second, '{"workers": [', "The end.")
    result = run(Conductor({"a": worker.provider}, lead.provider))
    assert result.text == "The end."
    assert [request.messages[0].text for request in worker.requests] == ["first", "second"]
    assert len(result.steps) == 2
    roles = [message.role.value for message in lead.heard[-1].messages]
    assert roles == ["system", *["user", "assistant"] * 5, "user"]


def test_halt_makes_the_results_the_answer_and_asks_no_more() -> None:
    lead = Lead(plan("a: one", "b: two", then="halt"))
    result = run(Conductor({"a": Worker("A").provider, "b": Worker("B").provider}, lead.provider))
    assert result.text == "a:\nA\n\nb:\nB"
    assert len(lead.heard) == 1


def test_in_a_later_step_twice_malformed_is_an_error_too() -> None:
    lead = Lead(plan("a: on", then="summarise"), '{"workers": [', '{"workers": 5}')
    with pytest.raises(ResponseError, match="twice"):
        run(Conductor({"a": Worker().provider}, lead.provider))
    assert "in plain text" in lead.heard[2].messages[-1].text


@pytest.mark.parametrize("last", [plan("a: on", then="summarise"), '{"workers": ['])
def test_max_steps_ends_a_run_that_plans_for_ever(last: str) -> None:
    again = plan("a: on", then="summarise")
    lead = Lead(again, again, last)
    result = run(Conductor({"a": Worker().provider}, lead.provider, max_steps=2))
    assert (result.complete, result.text, len(result.steps)) == (False, "fine", 2)
    assert "another plan" in lead.heard[1].messages[-1].text
    assert "another plan" not in lead.heard[2].messages[-1].text


def test_tools_are_handed_to_those_that_the_plan_names() -> None:
    a, b = Worker("A"), Worker("B")
    tasks = [{"name": "a", "task": "cut", "tools": ["saw"]}, {"name": "b", "task": "look"}]
    lead = Lead(json.dumps({"workers": tasks, "next_step": "halt"}))
    request = ChatRequest([Message.user("Build")], tools=[Tool("saw", "cuts"), Tool("nail")], temperature=0.1)
    run(Conductor({"a": a.provider, "b": b.provider}, lead.provider), request)
    assert [tool.name for tool in a.requests[0].tools] == ["saw"]
    assert b.requests[0].tools == lead.heard[0].tools == []
    assert a.requests[0].temperature == lead.heard[0].temperature == 0.1
    assert "- saw: cuts" in lead.heard[0].messages[0].text


def test_calls_of_tools_are_reported_to_the_coordinator() -> None:
    calls = {"text": "", "tool_calls": [{"name": "saw", "args": {"deep": True}}]}
    worker = PythonProvider("a", lambda _: calls)
    lead = Lead(plan("a: cut", tools=["saw"], then="summarise"), "It is cut.")
    result = run(Conductor({"a": worker}, lead.provider), ChatRequest([Message.user("Build")], tools=[Tool("saw")]))
    assert 'calls saw with {"deep":true}' in lead.heard[1].messages[-1].text
    response = result.steps[0].results[0].response
    assert response is not None
    assert response.tool_calls[0].name == "saw"


def test_images_go_along_to_workers_that_can_see() -> None:
    seeing, blind = Worker("A", capabilities=Capabilities(supports_vision=True, supports_streaming=False)), Worker("B")
    image = ContentPart.image("image/png", "AAAA")
    lead = Lead(plan("a: look", "b: guess"))
    asked = [Message.user([image, ContentPart.text("What is it?")])]
    run(Conductor({"a": seeing.provider, "b": blind.provider}, lead.provider), asked)
    assert seeing.requests[0].messages[0].parts == [image, ContentPart.text("look")]
    assert blind.requests[0].messages == [Message.user("guess")]
    assert image in lead.heard[0].messages[1].parts


# --- what is asked wrong


def test_ask_sends_one_request_and_an_unknown_role_names_the_known_ones() -> None:
    worker = Worker("hi")
    conductor = Conductor({"code": worker.provider, "math": worker.provider})
    assert asyncio.run(conductor.ask("math", "Hello")).text == "hi"
    with pytest.raises(ConfigurationError, match=r"no worker has the role 'law' \(roles: code, math\)"):
        asyncio.run(conductor.ask("law", "Hello"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_steps": 0}, "max_steps"),
        ({"max_fanout": -1}, "max_fanout"),
        ({"max_fanout": 2.5}, "max_fanout"),
        ({"max_fanout": True}, "max_fanout"),
        ({"worker_timeout": 0}, "worker_timeout"),
        ({"worker_timeout": "soon"}, "worker_timeout"),
        ({"workers": {}}, "at least one worker"),
        ({"workers": {"a": "openai:gpt-5"}}, "worker 'a' is a str, not a Provider"),
        ({"coordinator": "openai:gpt-5"}, "coordinator is a str"),
        ({"workers": {"coordinator": Worker().provider}, "coordinator": Worker().provider}, "coordinator's own"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Conductor(**{"workers": {"a": Worker().provider}, **options})


@pytest.mark.parametrize(
    "fields",
    [{"model": "m"}, {"extra": {"a": 1}}, {"response_format": "json"}, {"stop": ["x"]}, {"tool_choice": "none"}],
)
def test_what_a_split_request_cannot_say_is_refused_and_never_dropped(fields: dict[str, Any]) -> None:
    conductor = Conductor({"a": Worker().provider}, Lead().provider)
    with pytest.raises(ConfigurationError, match=next(iter(fields))):
        conductor.stream(ChatRequest([Message.user("Hello")], **fields))


def test_all_providers_are_closed_even_where_one_fails_to() -> None:
    closed: list[str] = []

    class Closing(PythonProvider):
        async def aclose(self) -> None:
            closed.append(self.id)
            if self.id == "b":
                raise OSError("stuck")

    a, b, c = (Closing(name, lambda _: "") for name in "abc")
    with pytest.raises(OSError, match="stuck"):
        asyncio.run(Conductor({"a": a, "again": a, "b": b}, c).aclose())
    assert sorted(closed) == ["a", "b", "c"]


# --- usage and cost

PRICES: dict[str, Any] = {"usd_per_input_mtok": 2.5, "usd_per_output_mtok": 10.0}
COUNTS = st.tuples(st.integers(0, 10_000), st.integers(1, 10_000))


@given(
    plans=st.lists(st.lists(st.tuples(st.sampled_from("abc"), COUNTS), min_size=1, max_size=5), min_size=1, max_size=3),
    lead_counts=COUNTS,
    priced=st.booleans(),
    failing=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_the_usage_and_cost_of_a_run_are_the_sums_of_its_replies(
    plans: list[list[tuple[str, tuple[int, int]]]], lead_counts: tuple[int, int], *, priced: bool, failing: bool
) -> None:
    replies: list[Usage] = []
    texts = iter([*[plan(*[f"{role}: {json.dumps(n)}" for role, n in p], then="summarise") for p in plans], "Done."])

    def lead(_: ChatRequest) -> dict[str, Any]:
        replies.append(Usage(*lead_counts))
        return {"text": next(texts), "input_tokens": lead_counts[0], "output_tokens": lead_counts[1]}

    def work(request: ChatRequest) -> dict[str, Any]:
        counts = json.loads(request.messages[0].text)
        if failing and counts[0] % 2:
            raise ValueError("odd")
        replies.append(Usage(*counts))
        return {"text": "ok", "input_tokens": counts[0], "output_tokens": counts[1]}

    known = Capabilities(supports_streaming=False, **(PRICES if priced else {}))
    workers: dict[str, Provider] = {role: PythonProvider(role, work, capabilities=known) for role in "abc"}
    coordinator = PythonProvider("lead", lead, capabilities=Capabilities(supports_streaming=False, **PRICES))
    result = run(Conductor(workers, coordinator))
    assert result.usage == sum(replies, Usage())
    assert result.usage == sum(result.usage_by_role.values(), Usage())
    worked = any(one.response for step in result.steps for one in step.results)
    if priced or not worked:
        parts = [Decimal(one.input_tokens) * Decimal("2.5") + Decimal(one.output_tokens) * 10 for one in replies]
        assert result.cost is not None
        assert result.cost.total == sum(parts) / 1_000_000
    else:
        assert result.cost is None
        assert result.cost_by_role["coordinator"] is not None


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


# --- many


def test_two_hundred_workers_at_once_stay_within_bounds() -> None:
    count, pieces = 200, 20
    role = [f"w{n}" for n in range(count)]
    texts = ["word "] * pieces
    with serve(completions(*texts, pause=0.02)) as server:
        conductor = Conductor(
            {name: OpenAI(name, base_url=server.url, api_key="k", max_retries=0) for name in role}, max_fanout=count
        )
        most_open = most_tasks = 0

        async def main() -> RunResult:
            nonlocal most_open, most_tasks
            async with conductor, conductor.stream("Go") as run:
                async for _ in run:
                    most_open = max(most_open, server.open)
                    most_tasks = max(most_tasks, len(asyncio.all_tasks()))
                result = await run.result()
                assert len(asyncio.all_tasks()) == 1
            return result

        result = asyncio.run(main())
        until(lambda: server.open == 0)
    assert [one.text for one in result.steps[0].results] == ["word " * pieces] * count
    assert most_open == server.connections == count
    assert most_tasks <= 2 * count + 2  # one for each worker, another while it connects
    assert len(result.usage_by_role) == count


def until(holds: Any) -> None:
    limit = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.01)
