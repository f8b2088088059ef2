"""Callables as workers and as coordinators, and the plans that these write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from tako.providers import PythonProvider

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tako import ChatRequest, Conductor
    from tako.conductor.events import RunResult


def plan(*tasks: str, join: str = "all", then: str = "halt", **more: Any) -> str:
    """What a coordinator writes: tasks are as in "code: Write it"."""
    workers = [
        {"name": name, "task": task.strip(), **more} for name, _, task in (text.partition(":") for text in tasks)
    ]
    return json.dumps({"workers": workers, "join_strategy": join, "next_step": then})


class Worker:
    """A worker that keeps what it was asked; ``before`` it answers it awaits that."""

    def __init__(
        self,
        text: str = "fine",
        *,
        before: Callable[[], Awaitable[Any]] = anyio.lowlevel.checkpoint,
        error: BaseException | None = None,
        **facts: Any,
    ) -> None:
        self.text, self.before, self.error = text, before, error
        self.requests: list[ChatRequest] = []
        self.provider = PythonProvider(f"worker-{text}", self.chat, **facts)

    async def chat(self, request: ChatRequest) -> dict[str, Any]:
        self.requests.append(request)
        await self.before()
        if self.error is not None:
            raise self.error
        return {"text": self.text, "input_tokens": 3, "output_tokens": 1}


class Lead:
    """A coordinator that says these things in turn."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.heard: list[ChatRequest] = []
        self.provider = PythonProvider("lead", self.chat)

    async def chat(self, request: ChatRequest) -> dict[str, Any]:
        self.heard.append(request)
        return {"text": self.texts.pop(0), "input_tokens": 11, "output_tokens": 5}


def run(conductor: Conductor, prompt: Any = "Do it", backend: str = "asyncio") -> RunResult:
    async def main() -> RunResult:
        return await conductor.run(prompt)

    return anyio.run(main, backend=backend)
