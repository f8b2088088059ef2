"""What a model's family refuses is left out of a template's values, too."""

from __future__ import annotations

from typing import Any

import pytest
from tako_http_generic import EXAMPLES, HttpGeneric

from tako import ChatRequest, Message
from tako.testing.server import reply, serve

PREFILL = [Message.user("Hi"), Message.assistant("{")]
ANSWERS: dict[str, Any] = {
    "openai": {"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]},
    "anthropic": {"content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn"},
}


@pytest.mark.parametrize("shape", sorted(ANSWERS))
@pytest.mark.parametrize(
    ("model", "sent", "turns"),
    [
        ("databricks-claude-sonnet-4-5", {"temperature": 0.2}, 2),
        ("anthropic/claude-opus-4.7", {}, 1),
        ("m", {"temperature": 0.2, "top_p": 0.9}, 2),
    ],
)
def test_a_claude_behind_a_described_endpoint(
    monkeypatch: pytest.MonkeyPatch, shape: str, model: str, sent: dict[str, float], turns: int
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "k-12345")
    with serve(reply(json=ANSWERS[shape])) as server:
        provider = HttpGeneric.from_file(EXAMPLES / f"{shape}.toml", model, url=server.url)
        response = provider.blocking.chat(ChatRequest(PREFILL, temperature=0.2, top_p=0.9))
        body = server.requests[0].json
    assert {name: body[name] for name in ("temperature", "top_p") if name in body} == sent
    assert len(body["messages"]) == turns
    assert len(response.notices) == (2 - len(sent)) + (2 - turns)
