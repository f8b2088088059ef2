"""The coordinator's part: what it is told and asked, what comes of what it says, and what workers make of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tako import Capabilities, ChatRequest, Conductor, ContentPart, Message, Tool
from tako.errors import ProviderError, ResponseError
from tako.providers import PythonProvider

from .callables import Lead, Worker, plan, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import ChatResponse, Provider


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
    ("broken", "reason"),
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
        (plan("a: "), "the task of 'a' is empty"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"workers": ' + "9" * 5000 + "}", "too many digits"),
        ("", "no JSON object"),
    ],
)
def test_a_malformed_plan_goes_back_once_and_twice_is_an_error(broken: str, reason: str) -> None:
    lead = Lead(broken, plan("a: go"))
    assert run(Conductor({"a": Worker().provider}, lead.provider)).text == "fine"
    complaint = lead.heard[1].messages[-1]
    assert reason in complaint.text
    assert complaint.role == "user"
    assert lead.heard[1].messages[-2] == Message.assistant(broken or "(nothing)")
    with pytest.raises(ResponseError, match="twice") as caught:
        run(Conductor({"a": Worker().provider}, Lead(broken, broken).provider))
    assert caught.value.body == broken
    assert caught.value.provider == "python"


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
    messages = [Message.user([image, ContentPart.text("What is it?")])]
    run(Conductor({"a": seeing.provider, "b": blind.provider}, lead.provider), messages)
    assert seeing.requests[0].messages[0].parts == [image, ContentPart.text("look")]
    assert blind.requests[0].messages == [Message.user("guess")]
    assert image in lead.heard[0].messages[1].parts


def test_files_go_along_to_workers_that_can_read_or_hear_them_and_text_to_all() -> None:
    able = Capabilities(supports_documents=True, supports_streaming=False)
    reader, other = Worker("A", capabilities=able), Worker("B")
    pdf, sound = ContentPart.file("application/pdf", "JVBERi0="), ContentPart.file("audio/wav", "AAAA")
    text = ContentPart.file("text/plain", "aGk=")
    lead = Lead(plan("a: read", "b: guess"))
    messages = [Message.user([pdf, sound, text, ContentPart.text("What is it?")])]
    run(Conductor({"a": reader.provider, "b": other.provider}, lead.provider), messages)
    assert reader.requests[0].messages[0].parts == [pdf, text, ContentPart.text("read")]
    assert other.requests[0].messages[0].parts == [text, ContentPart.text("guess")]


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
