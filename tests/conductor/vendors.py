"""Four vendors on one loopback server, told apart by path, and a coordinator that is a fifth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tako import Capabilities, Conductor
from tako.conductor.events import Final
from tako.providers import Anthropic, Mistral, Ollama, OpenAI
from tako.testing.server import Received, Reply, Server, reply, sse

from .callables import plan

if TYPE_CHECKING:
    from tako import Provider
    from tako.conductor.events import Event, RunResult

ROLES = ("code", "math", "prose", "law")
EVERYONE = plan(*[f"{role}: Do {role}" for role in ROLES], then="summarise")


def completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    return {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }


def completions(*texts: str, ending: Any = "end") -> Reply:
    deltas = [{"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": len(texts)}}
    events = deltas if ending == "hang" else [*deltas, last, usage]
    return reply(sse(*events, done=ending == "end"), ending=ending)


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
    chunks = [{"model": "l", "message": {"role": "assistant", "content": text}, "done": False} for text in texts]
    end = {"model": "l", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    chunks.append({**end, "prompt_eval_count": 30, "eval_count": len(texts)})
    return reply([json.dumps(one).encode() + b"\n" for one in chunks])


class Vendors:
    """What each vendor answers; tests put in their own. The coordinator's are taken in turn."""

    def __init__(self) -> None:
        self.server: Server
        self.plans: list[str] = [EVERYONE, "All is done."]
        self.answers: dict[str, Reply] = {
            "/openai/chat/completions": completions("x = ", "1"),
            "/v1/messages": messages_api("2 + 2 ", "= 4"),
            "/api/chat": lines("Once ", "upon"),
            "/mistral/chat/completions": reply(json=completion("Guilty.")),
        }

    def __call__(self, received: Received) -> Reply:
        if received.path.startswith("/lead"):
            return reply(json=completion(self.plans.pop(0)))
        return self.answers[received.path]

    def requests_to(self, path: str) -> list[Any]:
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


async def collect(conductor: Conductor, prompt: Any = "Do it all") -> list[Event]:
    async with conductor, conductor.stream(prompt) as run:
        return [event async for event in run]


def result_of(events: list[Event]) -> RunResult:
    final = events[-1]
    assert isinstance(final, Final)
    return final.result
