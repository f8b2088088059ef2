"""Vendors' wires, written by hand: ten rich turns of each, as a whole reply and as a stream."""

from __future__ import annotations

from typing import Any

import msgspec

from tako.testing.dialects.messages import block_events
from tako.testing.dialects.messages import event as message_event
from tako.testing.eventstream import CONTENT_TYPE, event
from tako.testing.server import Reply, reply, sse

Json = dict[str, Any]
Turn = tuple[str, list[Json]]
"""The vendor's word for the end, and the blocks."""


class Claude:
    """Anthropic's API."""

    turns: tuple[Turn, ...] = (
        (
            "tool_use",
            [
                {"type": "thinking", "thinking": "Hm.", "signature": "c2VhbA=="},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "Rome"}},
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "srvtoolu_1",
                    "content": [{"encrypted_content": "E"}],
                },
                {"type": "text", "text": "Dry.", "citations": [{"type": "of_next_year", "cited_text": "dry"}]},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
                {
                    "type": "tool_use",
                    "id": "toolu_2",
                    "name": "weather",
                    "input": {},
                    "caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"},
                },
            ],
        ),
        ("end_turn", [{"type": "thinking", "thinking": "", "signature": "czI="}, {"type": "text", "text": "Two."}]),
        (
            "pause_turn",
            [
                {"type": "text", "text": "I search. "},
                {"type": "server_tool_use", "id": "srvtoolu_3", "name": "code_execution", "input": {"code": "1"}},
            ],
        ),
        (
            "end_turn",
            [
                {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_3", "content": {"stdout": "1"}},
                {"type": "text", "text": "It is "},
                {"type": "text", "text": "one."},
            ],
        ),
        (
            "tool_use",
            [
                {"type": "redacted_thinking", "data": "UkVE"},
                {"type": "mcp_tool_use", "id": "mcptoolu_5", "name": "f", "server_name": "s", "input": {}},
                {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_5", "is_error": False, "content": []},
                {"type": "tool_use", "id": "toolu_5", "name": "weather", "input": {}, "toolset_name": "sky"},
            ],
        ),
        (
            "pause_turn",
            [{"type": "thinking", "thinking": "Long.", "signature": "czY="}, {"type": "text", "text": "So "}],
        ),
        ("end_turn", [{"type": "text", "text": "it goes."}]),
        ("end_turn", [{"type": "container_upload", "file_id": "file_8"}, {"type": "text", "text": "See there."}]),
        ("max_tokens", [{"type": "hologram", "beam": {"depth": [1, {"a": None}]}}, {"type": "text", "text": "cut o"}]),
        ("end_turn", [{"type": "text", "text": "The end."}]),
    )

    def blocks(self, body: Json) -> list[tuple[str, Json]]:
        return [(message["role"], block) for message in body["messages"] for block in _listed(message["content"])]

    def full_reply(self, finish_word: str, blocks: list[Json]) -> Reply:
        fields = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "usage": {}}
        return reply(json={**fields, "content": blocks, "stop_reason": finish_word})

    def stream(self, finish_word: str, blocks: list[Json]) -> Reply:
        events = [message_event("message_start", message={"id": "m", "model": "claude", "usage": {}})]
        for n, block in enumerate(blocks):
            events += block_events(n, block, _halves)
        return reply(
            [*events, message_event("message_delta", delta={"stop_reason": finish_word}), message_event("message_stop")]
        )


class Converse:
    """Bedrock."""

    turns: tuple[Turn, ...] = (
        (
            "tool_use",
            [
                {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2VhbA=="}}},
                {"text": "I look."},
                {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Rome"}}},
                {"toolUse": {"toolUseId": "tooluse_2", "name": "weather", "input": {}}},
            ],
        ),
        ("end_turn", [{"reasoningContent": {"redactedContent": "UkVE"}}, {"text": "Two."}]),
        (
            "end_turn",
            [{"citationsContent": {"content": [{"text": "Dry."}], "citations": [{"title": "T", "source": "s"}]}}],
        ),
        (
            "end_turn",
            [
                {"toolUse": {"toolUseId": "srv_4", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
                {
                    "toolResult": {
                        "toolUseId": "srv_4",
                        "content": [{"json": {"a": 1}}],
                        "type": "nova_grounding_result",
                    }
                },
                {"text": "Found."},
            ],
        ),
        ("max_tokens", [{"text": "cut o"}]),
        ("pause_turn", [{"text": "One. "}, {"text": "Another"}]),
        ("end_turn", [{"hologram": {"depth": [1, {"a": "b"}]}}, {"text": "Odd."}]),
        ("tool_use", [{"toolUse": {"toolUseId": "tooluse_8", "name": "weather", "input": {"city": "Oslo"}}}]),
        (
            "end_turn",
            [{"reasoningContent": {"reasoningText": {"text": "Last.", "signature": "czk="}}}, {"text": "Ah."}],
        ),
        ("end_turn", [{"text": "The end."}]),
    )

    def blocks(self, body: Json) -> list[tuple[str, Json]]:
        return [(message["role"], block) for message in body["messages"] for block in message["content"]]

    def full_reply(self, finish_word: str, blocks: list[Json]) -> Reply:
        return reply(
            json={
                "output": {"message": {"role": "assistant", "content": blocks}},
                "stopReason": finish_word,
                "usage": {},
            }
        )

    def stream(self, finish_word: str, blocks: list[Json]) -> Reply:
        frames = [event("messageStart", {"role": "assistant"})]
        for n, block in enumerate(blocks):
            start, deltas = self._pieces(block)
            if start is not None:
                frames.append(event("contentBlockStart", {"contentBlockIndex": n, "start": start}))
            frames += [event("contentBlockDelta", {"contentBlockIndex": n, "delta": delta}) for delta in deltas]
            frames.append(event("contentBlockStop", {"contentBlockIndex": n}))
        frames += [event("messageStop", {"stopReason": finish_word}), event("metadata", {"usage": {}})]
        return reply(frames, headers=CONTENT_TYPE)

    def _pieces(self, block: Json) -> tuple[Json | None, list[Json]]:
        [(kind, value)] = block.items()
        match kind:
            case "text":
                return None, [{"text": piece} for piece in _halves(value)]
            case "toolUse":
                text = msgspec.json.encode(value["input"]).decode()
                start = {name: field for name, field in value.items() if name != "input"}
                return {kind: start}, [{kind: {"input": piece}} for piece in _halves(text)]
            case "toolResult":
                start = {name: field for name, field in value.items() if name != "content"}
                return {kind: start}, [{kind: value["content"]}]
            case "reasoningContent" if "reasoningText" in value:
                thought = value["reasoningText"]
                texts = [{kind: {"text": piece}} for piece in _halves(thought["text"])]
                return None, [*texts, {kind: {"signature": thought["signature"]}}]
            case "citationsContent":
                return None, [{"text": value["content"][0]["text"]}, *({"citation": one} for one in value["citations"])]
            case _:
                return None, [block]


class Gemini:
    """Gemini on Vertex AI."""

    turns: tuple[Turn, ...] = (
        (
            "STOP",
            [
                {"text": "Hm.", "thought": True},
                {"functionCall": {"name": "weather", "args": {"city": "Rome"}}, "thoughtSignature": "c2VhbA=="},
                {"functionCall": {"id": "fc_2", "name": "weather", "args": {}}},
            ],
        ),
        ("STOP", [{"text": "Two.", "thoughtSignature": "czI="}]),
        (
            "STOP",
            [
                {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "czM="},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
                {"text": "One."},
            ],
        ),
        (
            "STOP",
            [
                {
                    "toolCall": {"id": "t4", "toolType": "GOOGLE_SEARCH", "args": {"q": "Rome"}},
                    "thoughtSignature": "czQ=",
                },
                {"toolResponse": {"id": "t4", "toolType": "GOOGLE_SEARCH", "response": {"a": 1}}},
                {"text": "Found."},
            ],
        ),
        ("CONTINUATION", [{"text": "It goes"}]),
        ("STOP", [{"text": " on.", "thoughtSignature": "czY="}]),
        ("STOP", [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}, "thoughtSignature": "czc="}]),
        (
            "STOP",
            [
                {"hologram": {"depth": [1, {"a": "b"}]}},
                {"text": "Odd."},
                {"functionCall": {"id": "unsigned", "name": "weather", "args": {}}},
            ],
        ),
        ("MAX_TOKENS", [{"text": "cut o"}, {"text": "", "thoughtSignature": "czk="}]),
        ("STOP", [{"text": "The end."}]),
    )

    def blocks(self, body: Json) -> list[tuple[str, Json]]:
        return [(content["role"], part) for content in body["contents"] for part in content["parts"]]

    def full_reply(self, finish_word: str, blocks: list[Json]) -> Reply:
        return reply(json=self._chunk(blocks, finish_word))

    def stream(self, finish_word: str, blocks: list[Json]) -> Reply:
        return reply(sse(*(self._chunk([block]) for block in blocks), self._chunk([], finish_word), done=False))

    def _chunk(self, parts: list[Json], finish_word: str = "") -> Json:
        ending = {"finishReason": finish_word} if finish_word else {}
        token = {"continuationToken": "dG9rZW4="} if finish_word == "CONTINUATION" else {}
        role = {"role": "assistant" if not parts else "model"}
        return {"candidates": [{"content": {**role, "parts": parts}, **ending, **token}]}


def _listed(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _halves(text: str) -> list[str]:
    return [piece for piece in (text[: len(text) // 2], text[len(text) // 2 :]) if piece]


WIRES: dict[str, Any] = {"anthropic": Claude(), "bedrock": Converse(), "vertex": Gemini(), "gemini": Gemini()}
