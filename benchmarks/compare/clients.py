"""The clients to compare: each returns a complete reply, and streams text. Clients that aren't installed are skipped.

``httpx`` is the floor: it sends a request and reads JSON, and does nothing else.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell me about foxes."}]
PROMPT = MESSAGES[1]["content"]


class Client(ABC):
    """One client. Each measurement makes a new one. ``module`` is what it imports."""

    module = ""

    @abstractmethod
    def __init__(self, base_url: str) -> None:
        """Make the client, with its connections."""

    @abstractmethod
    async def chat(self, model: str) -> str:
        """Return the text of a complete reply."""

    @abstractmethod
    def stream(self, model: str) -> AsyncIterator[str]:
        """Yield the pieces of text."""


class Httpx(Client):
    """httpx alone, with no limit on connections."""

    module = "httpx"

    def __init__(self, base_url: str) -> None:
        import httpx

        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self.client = httpx.AsyncClient(base_url=base_url, timeout=60, limits=limits, trust_env=False)

    async def chat(self, model: str) -> str:
        reply = await self.client.post("/chat/completions", json={"model": model, "messages": MESSAGES})
        return str(reply.json()["choices"][0]["message"]["content"])

    async def stream(self, model: str) -> AsyncIterator[str]:
        body = {"model": model, "messages": MESSAGES, "stream": True}
        async with self.client.stream("POST", "/chat/completions", json=body) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    text = json.loads(line[6:])["choices"][0]["delta"].get("content")
                    if text:
                        yield text


class Tako(Client):
    """tako."""

    module = "tako"

    def __init__(self, base_url: str) -> None:
        import tako

        self.provider = tako.providers.OpenAI("chat", base_url=base_url, api_key="none", api="chat")

    async def chat(self, model: str) -> str:
        return (await self.provider.chat(PROMPT, system="Be brief.", model=model)).text

    async def stream(self, model: str) -> AsyncIterator[str]:
        async with self.provider.stream(PROMPT, system="Be brief.", model=model) as stream:
            async for text in stream.text:
                yield text


class OpenAI(Client):
    """OpenAI's SDK."""

    module = "openai"

    def __init__(self, base_url: str) -> None:
        import openai

        self.client = openai.AsyncOpenAI(base_url=base_url, api_key="none", timeout=120)

    async def chat(self, model: str) -> str:
        reply: Any = await self.client.chat.completions.create(model=model, messages=MESSAGES)
        return str(reply.choices[0].message.content)

    async def stream(self, model: str) -> AsyncIterator[str]:
        chunks: Any = await self.client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
        async for chunk in chunks:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content


class Litellm(Client):
    """litellm."""

    module = "litellm"

    def __init__(self, base_url: str) -> None:
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no download
        import litellm

        self.call = litellm.acompletion
        self.options = {"api_base": base_url, "api_key": "none", "messages": MESSAGES, "timeout": 120}

    async def chat(self, model: str) -> str:
        reply: Any = await self.call(model=f"openai/{model}", **self.options)
        return str(reply.choices[0].message.content)

    async def stream(self, model: str) -> AsyncIterator[str]:
        chunks: Any = await self.call(model=f"openai/{model}", stream=True, **self.options)
        async for chunk in chunks:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content


class Langchain(Client):
    """langchain-openai."""

    module = "langchain_openai"

    def __init__(self, base_url: str) -> None:
        import langchain_openai

        self.base_url = base_url
        self.client_class: Any = langchain_openai.ChatOpenAI
        self.clients: dict[str, Any] = {}

    def client(self, model: str) -> Any:
        """Return the client of a model; make it only once."""
        if model not in self.clients:
            self.clients[model] = self.client_class(model=model, base_url=self.base_url, api_key="none", timeout=120)
        return self.clients[model]

    async def chat(self, model: str) -> str:
        return str((await self.client(model).ainvoke([("system", "Be brief."), ("user", PROMPT)])).content)

    async def stream(self, model: str) -> AsyncIterator[str]:
        async for chunk in self.client(model).astream([("system", "Be brief."), ("user", PROMPT)]):
            if chunk.content:
                yield str(chunk.content)


CLIENTS: dict[str, type[Client]] = {cls.module: cls for cls in (Httpx, Tako, OpenAI, Litellm, Langchain)}
