"""What is asked wrong, and closing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tako import ChatRequest, Conductor, Message
from tako.errors import ConfigurationError
from tako.providers import PythonProvider

from .callables import Lead, Worker


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
        ({"workers": {"a": "openai:gpt-5"}}, "worker 'a' is a str, not a Provider: use tako.get_provider"),
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
