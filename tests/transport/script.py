"""What is asked, and what is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.providers import OpenAI
from tako.testing.server import reply, sse

if TYPE_CHECKING:
    from tako.testing.server import Server

BODY = {"id": "c", "model": "m-1", "choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}
ANSWER = reply(json=BODY)
STREAM = reply(sse({"choices": [{"delta": {"content": "ok"}}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}))
HANGING = reply(sse({"choices": [{"delta": {"content": "ok"}}]}, done=False), ending="hang")


def provider(server: Server, **options: Any) -> OpenAI:
    return OpenAI("m", api_key="k", base_url=server.url, **{"max_retries": 0, **options})
