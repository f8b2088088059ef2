"""Reading plans: out of fences and prose, in time, and with a reason where there is none."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tako.conductor.plan import MalformedPlanError, read_next, read_plan

from .callables import plan


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
    expected = plan("a: Explain ```python\nprint({1: 2})\n``` to me")
    steps = read_plan(text.replace("{}", expected).replace("{{", "{").replace("}}", "}"), ["a"], [])
    assert steps.workers[0].task.startswith("Explain ```python\nprint({1: 2})")


def calls_to_read(text: str) -> int:
    """Count the calls, of Python and of C, that it takes to find that a text is no plan."""
    count_of_calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal count_of_calls
        count_of_calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        with pytest.raises(MalformedPlanError):
            read_plan(text, ["a"], [])
    finally:
        sys.setprofile(None)
    return count_of_calls


@pytest.mark.parametrize(("repeated", "before"), [("{", ""), ("```json\n", ""), ("\n", "```"), ('{"workers": ', "")])
def test_the_length_of_a_text_does_not_multiply_the_work_of_reading_it(repeated: str, before: str) -> None:
    """As many calls, each over the text once, for a hundred pieces as for a hundred thousand."""
    gc.disable()
    try:
        assert calls_to_read(before + repeated * 100_000) <= calls_to_read(before + repeated * 100) + 10
    finally:
        gc.enable()


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
