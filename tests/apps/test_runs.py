"""Runs: rounds of a model that calls functions, on every provider, whole and streamed."""

from __future__ import annotations

import asyncio
import gc
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako import ChatRequest, ChatResponse, ContentPart, Delta, FinishReason, Message, RunLimitError, Tool, Usage
from tako.errors import ConfigurationError, ServerError
from tako.parts import ImagePart, ToolCallPart, ToolResultPart
from tako.runs import RoundEnd, RunEnd, ToolEnd, ToolStart
from tako.testing.script import Call, Script
from tako.types import Cost

from .conftest import WIRES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def weather(city: str) -> str:
    """Return the weather."""
    return f"{city}: sun"


async def clock() -> dict[str, int]:
    """Return the time."""
    return {"hour": 12}


def calls(*named: tuple[str, Any], finish: FinishReason = FinishReason.TOOL_CALLS, dollars: int | None = 1) -> Any:
    parts = [ToolCallPart(f"c{i}", name, args) for i, (name, args) in enumerate(named)]
    cost = Cost(output=Decimal(dollars)) if dollars is not None else None
    return ChatResponse(Message.assistant([*parts]), finish, Usage(10, 5), cost=cost)


DONE = ChatResponse(Message.assistant("Sunny."), usage=Usage(20, 5), cost=Cost(output=Decimal(1)))
TWO = calls(("weather", {"city": "Paris"}), ("clock", {}))


@pytest.mark.parametrize("name", WIRES)
def test_functions_are_called_and_their_results_go_back_on_every_provider(
    name: str, scripted: Callable[..., Any]
) -> None:
    first = Script(calls=(Call("weather", {"city": "Paris"}, "id-1"), Call("clock", {}, "id-2")))
    with scripted(name, first, Script(text="Sunny."), first, Script(text="Sunny.")) as (provider, server):
        result = provider.blocking.run("Weather?", tools=[weather, clock])

        async def stream() -> list[Any]:
            return [event async for event in provider.run("Weather?", tools=[weather, clock]).stream()]

        events = asyncio.run(stream())
        sent = [request.body.decode() for request in server.requests]
    assert result.text == "Sunny."
    assert result.rounds == 2
    assert result.usage == Usage(22, 14)
    assert [part.result for part in result.messages[2].parts] == ["Paris: sun", {"hour": 12}]  # type: ignore[union-attr]
    assert "Paris: sun" in sent[1]
    assert events[-1].result.messages == result.messages
    assert "".join(event.text or "" for event in events if isinstance(event, Delta)) == "Sunny."


def test_events_say_what_happens_in_order(saying: Callable[..., Any]) -> None:
    provider, _ = saying(TWO, DONE)

    async def stream() -> list[Any]:
        return [event async for event in provider.run("Weather?", tools=[weather, clock]).stream()]

    kinds = [type(event) for event in asyncio.run(stream()) if not isinstance(event, Delta)]
    assert kinds == [RoundEnd, ToolStart, ToolStart, ToolEnd, ToolEnd, RoundEnd, RunEnd]


def test_the_result_has_all_messages_and_the_usage_and_cost_of_all_rounds(saying: Callable[..., Any]) -> None:
    provider, seen = saying(TWO, DONE)
    result = provider.blocking.run("Weather?", tools=[weather, clock], system="Be brief.", temperature=0)
    assert result.usage == Usage(30, 10)
    assert result.cost == Cost(output=Decimal(2))
    assert [message.role for message in result.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert seen[1].messages == result.messages[:-1]
    assert [request.temperature for request in seen] == [0, 0]
    provider, _ = saying(calls(("clock", {}), dollars=None), DONE)
    assert provider.blocking.run("Weather?", tools=[clock]).cost is None


def test_calls_of_one_round_run_at_once_and_plain_functions_in_threads(saying: Callable[..., Any]) -> None:
    meeting = threading.Barrier(2, timeout=20)
    threads: list[Any] = []

    def meet(n: int) -> int:
        threads.append(threading.current_thread())
        meeting.wait()
        return n

    provider, _ = saying(calls(("meet", {"n": 1}), ("meet", {"n": 2})), DONE)
    result = provider.blocking.run("Meet", tools=[meet])
    assert [part.result for part in result.messages[2].parts] == [1, 2]
    assert len(set(threads)) == 2


def test_a_run_ends_at_max_rounds_with_all_messages(saying: Callable[..., Any]) -> None:
    provider, seen = saying(calls(("clock", {})))
    with pytest.raises(RunLimitError, match="max_rounds=3") as caught:
        provider.blocking.run("Weather?", tools=[clock], max_rounds=3)
    assert len(seen) == 3
    assert caught.value.usage == Usage(30, 15)
    assert [message.role for message in caught.value.messages] == ["user", *["assistant", "tool"] * 3]
    provider, seen = saying(DONE)
    assert provider.blocking.run("Weather?", max_rounds=1).text == "Sunny."


def test_a_run_ends_at_max_cost_before_it_calls_anything_more(saying: Callable[..., Any]) -> None:
    called: list[int] = []

    def count() -> None:
        called.append(1)

    provider, seen = saying(calls(("count", {})))
    with pytest.raises(RunLimitError, match=r"the run has cost \$3, more than max_cost=2") as caught:
        provider.blocking.run("Go", tools=[count], max_cost=2)
    assert (len(seen), len(called), caught.value.cost) == (3, 2, Cost(output=Decimal(3)))
    provider, seen = saying(calls(("count", {}), dollars=None))
    with pytest.raises(RunLimitError, match="isn't known"):
        provider.blocking.run("Go", tools=[count], max_cost=2)


def test_approve_decides_in_order_before_any_call(saying: Callable[..., Any]) -> None:
    questions: list[str] = []
    performed: list[str] = []

    def do(action: str) -> str:
        assert len(questions) == 4
        performed.append(action)
        return "done"

    verdicts = {"yes": True, "no": False, "words": "Not on Sundays.", "nothing": None}

    async def approve(call: ToolCallPart) -> Any:
        questions.append(call.args["action"])
        return verdicts[call.args["action"]]

    for approver in (approve, lambda call: verdicts[call.args["action"]] if not questions.append(call) else None):
        questions.clear()
        performed.clear()
        provider, _ = saying(calls(*(("do", {"action": name_of_action}) for name_of_action in verdicts)), DONE)
        result = provider.blocking.run("Go", tools=[do], approve=approver)
        parts: list[Any] = list(result.messages[2].parts)
        assert performed == ["yes"]
        assert [part.result for part in parts] == [
            "done",
            *["the call wasn't approved"],
            "Not on Sundays.",
            parts[3].result,
        ]
        assert [part.is_error for part in parts] == [False, True, True, True]


def test_a_call_that_was_cut_is_never_made(saying: Callable[..., Any]) -> None:
    def boom(**args: Any) -> None:
        raise AssertionError

    for finish in (FinishReason.LENGTH, FinishReason.CONTENT_FILTER):
        provider, seen = saying(calls(("boom", {}), finish=finish))
        result = provider.blocking.run("Go", tools=[boom])
        assert (result.response.finish_reason, len(seen), len(result.messages)) == (finish, 1, 2)


def test_a_run_that_is_cancelled_cancels_its_functions(saying: Callable[..., Any]) -> None:
    async def cancel() -> None:
        waiting, left = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            waiting.set()
            try:
                await asyncio.sleep(60)
            finally:
                left.set()

        provider, _ = saying(calls(("wait", {})), DONE)
        run = asyncio.create_task(provider.run("Go", tools=[wait]).result())
        await waiting.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert left.is_set()

    asyncio.run(cancel())


def test_approve_may_wait_and_call_the_blocking_face(saying: Callable[..., Any]) -> None:
    judge, _ = saying("yes")
    provider, _ = saying(calls(("clock", {})), DONE)
    result = provider.blocking.run(
        "Go", tools=[clock], approve=lambda call: judge.blocking.chat(call.name).text == "yes"
    )
    assert result.messages[2].parts[0].result == {"hour": 12}


def test_texts_and_parts_go_to_the_model_together(saying: Callable[..., Any]) -> None:
    def look() -> tuple[Any, ...]:
        return "A dot:", ContentPart.image("image/png", "ZG90")

    provider, _ = saying(calls(("look", {})), DONE)
    [part] = provider.blocking.run("Go", tools=[look]).messages[2].parts
    assert part.result == [ContentPart.text("A dot:"), ContentPart.image("image/png", "ZG90")]


def test_a_pause_goes_on_by_itself(saying: Callable[..., Any]) -> None:
    pause = ChatResponse(Message.assistant("Searching…"), FinishReason.PAUSE, Usage(1, 1))
    provider, seen = saying(pause, DONE)
    result = provider.blocking.run("Go")
    assert (result.text, result.rounds) == ("Sunny.", 2)
    assert seen[1].messages == [Message.user("Go"), pause.message]


def test_a_forced_tool_is_forced_once(saying: Callable[..., Any]) -> None:
    for choice, after in (("clock", None), ("required", None), ("auto", "auto"), ("none", "none")):
        provider, seen = saying(calls(("clock", {})), DONE)
        provider.blocking.run("Go", tools=[clock], tool_choice=choice)
        assert [request.tool_choice for request in seen] == [choice, after]


def test_an_unknown_tool_is_an_error_for_the_model(saying: Callable[..., Any]) -> None:
    provider, _ = saying(calls(("clok", {})), DONE)
    result = provider.blocking.run("Go", tools=[clock])
    text = "there is no tool 'clok'; the tools are clock"
    assert result.messages[2].parts == [ToolResultPart("c0", text, is_error=True)]


def test_files_in_results_go_out(scripted: Callable[..., Any]) -> None:
    def draw() -> list[Any]:
        return [ContentPart.text("Here"), ImagePart("image/png", "iVBORw0KGgo=")]

    with scripted("anthropic", Script(calls=(Call("draw", {}, "id-1"),)), Script(text="Nice.")) as (provider, server):
        assert provider.blocking.run("Draw", tools=[draw]).text == "Nice."
        assert "iVBORw0KGgo=" in server.requests[-1].body.decode()


def test_a_run_is_awaited_as_often_as_you_like_and_made_once(saying: Callable[..., Any]) -> None:
    provider, seen = saying(TWO, DONE)

    async def twice() -> None:
        run = provider.run("Go", tools=[weather, clock])
        assert await asyncio.create_task(run.result()) is await run is await run.result()
        with pytest.raises(ConfigurationError, match="has already begun"):
            async for _ in run.stream():
                pass
        left = provider.run("Go", tools=[weather, clock])
        async for _ in left.stream():
            break
        with pytest.raises(ConfigurationError, match="has already begun"):
            await left

    asyncio.run(twice())
    assert len(seen) <= 3


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_rounds": 0}, "max_rounds is 0"),
        ({"max_rounds": True}, "max_rounds is True"),
        ({"max_cost": 0}, "max_cost is 0"),
        ({"max_cost": "1"}, "max_cost is '1'"),
        ({"approve": 5}, "approve is an int"),
        ({"tools": [Tool("plain")]}, "tool 'plain' has no function"),
        ({"tools": [5]}, "tools[0] is an int, not a Tool"),
        ({"temprature": 0}, "temprature"),
    ],
)
def test_what_a_run_cant_be_is_refused_before_anything_is_sent(
    options: dict[str, Any], text: str, saying: Callable[..., Any]
) -> None:
    provider, seen = saying(DONE)
    with pytest.raises(ConfigurationError) as caught:
        provider.blocking.run("Go", **options)
    assert text in str(caught.value)
    assert not seen


def test_what_ends_a_program_ends_a_run(saying: Callable[..., Any]) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    provider, _ = saying(calls(("leave", {})), DONE)
    with pytest.raises(SystemExit):
        provider.blocking.run("Go", tools=[leave])


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt("stop"), BaseExceptionGroup("", [SystemExit(3)])])
def test_a_function_that_ends_the_program_stops_the_others_and_leaves_nothing_to_complain_of(
    error: BaseException, saying: Callable[..., Any]
) -> None:
    async def leave() -> None:
        raise error

    async def wait() -> None:
        await asyncio.Event().wait()

    provider, _ = saying(calls(("wait", {}), ("leave", {})), DONE)

    async def run() -> None:
        complaints: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        with pytest.raises(type(error)):
            await provider.run("Go", tools=[leave, wait])
        gc.collect()  # asyncio complains when a task goes
        assert complaints == []

    asyncio.run(run())


@pytest.mark.parametrize("blocking", [False, True])
def test_a_function_that_raises_what_closes_or_cancels_has_failed_and_the_run_goes_on(
    blocking: bool, saying: Callable[..., Any]
) -> None:
    def closing() -> None:
        raise GeneratorExit

    def yielding() -> Iterator[int]:
        yield 1
        raise GeneratorExit

    def cancelled() -> None:
        raise asyncio.CancelledError

    async def gone() -> None:
        raise asyncio.CancelledError

    names = ("closing", "yielding", "cancelled", "gone", "weather")
    provider, seen = saying(calls(*[(name, {"city": "Rome"} if name == "weather" else {}) for name in names]), DONE)
    tools = [closing, yielding, cancelled, gone, weather]
    result = (
        provider.blocking.run("Go", tools=tools) if blocking else asyncio.run(provider.run("Go", tools=tools).result())
    )
    results = [part.result for part in seen[1].messages[-1].content]
    was_cancelled = "the function was cancelled"
    assert (result.text, results) == (
        "Sunny.",
        ["GeneratorExit", "GeneratorExit", was_cancelled, was_cancelled, "Rome: sun"],
    )


def test_a_run_that_is_cancelled_while_a_function_works_is_cancelled(saying: Callable[..., Any]) -> None:
    async def run() -> None:
        working = asyncio.Event()

        async def wait() -> None:
            working.set()
            await asyncio.Event().wait()

        provider, seen = saying(calls(("wait", {})), DONE)
        task = asyncio.create_task(provider.run("Go", tools=[wait]).result())
        await working.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(seen) == 1

    asyncio.run(run())


def test_an_error_of_the_provider_is_the_runs(saying: Callable[..., Any]) -> None:
    def fail(request: ChatRequest) -> Any:
        raise ServerError("down")

    provider, _ = saying(fail)
    with pytest.raises(ServerError):
        provider.blocking.run("Go")


def test_chat_takes_functions_as_tools_and_defaults_too(saying: Callable[..., Any]) -> None:
    provider, seen = saying(DONE, defaults={"tools": [clock]})
    provider.blocking.chat("Go", tools=[weather])
    provider.blocking.run("Go")
    provider.blocking.chat("Go", tools=(weather, Tool.of(clock)))
    provider.blocking.chat(ChatRequest([Message.user("Go")], tools=(Tool.of(weather),)))
    names = [[tool.name for tool in request.tools] for request in seen]
    assert names == [["weather"], ["clock"], ["weather", "clock"], ["weather"]]
    assert provider.blocking.run(ChatRequest([Message.user("Go")], tools=[Tool.of(clock)])).text == "Sunny."
    assert isinstance(tako.Tool.of(clock), Tool)
