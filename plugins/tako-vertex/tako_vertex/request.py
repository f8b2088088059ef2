"""A ChatRequest as the body of generateContent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.encoding import merge_extra, speak_as_user
from tako.kit.tools import encode_tools
from tako.types import ChatRequest, JsonSchema
from tako_vertex.parts import TOKEN
from tako_vertex.turns import Conversation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.translator import PartContext, Translator
    from tako.types import Tool

THINKING_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""Tokens that stand for an effort on Gemini 2.5 (https://ai.google.dev/gemini-api/docs/openai#thinking)."""
THINKING_LEVELS = frozenset({"minimal", "low", "medium", "high"})
"""The words of Gemini 3 and later (https://cloud.google.com/vertex-ai/generative-ai/docs/thinking)."""
MOST_STOPS = 5

_GENERATION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_LABEL = re.compile(r"[\w-]{0,63}")


def encode_request(request: ChatRequest, model: str, translator: Translator, context: PartContext) -> dict[str, Any]:
    """Make the body of a request; what cannot be carried is noted in the context."""
    generation = generation_of(model)
    conversation = Conversation(newest=generation >= (3, 0))
    system, contents = conversation.of(request, translator, context)
    if not contents:
        speak_as_user(system, context)
        system, contents = [], [{"role": "user", "parts": system}]
    body: dict[str, Any] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if conversation.token is not None:
        body[TOKEN] = conversation.token
    context.path = ""
    body.update(_tools(request, context))
    config = dict(_generation_config(request, context, generation))
    if config:
        body["generationConfig"] = config
    if request.metadata and (labels := dict(_labels(request.metadata, context))):
        body["labels"] = labels
    if request.parallel_tool_calls is not None:
        text = "Gemini decides itself whether it calls in parallel; parallel_tool_calls was left out"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "parallel_tool_calls")
    return merge_extra(body, request.extra)


def generation_of(model: str) -> tuple[int, int]:
    """Read a model's generation from its name; one that tells none, as a tuned model's, is taken for a 2.5."""
    found = _GENERATION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (2, 5)


def _tools(request: ChatRequest, context: PartContext) -> Iterator[tuple[str, Any]]:
    choice = request.tool_choice
    if not request.tools:
        if choice is not None:
            context.notice(notices.UNSUPPORTED_PARAMETER, "tool_choice was left out: there are no tools", "tool_choice")
        return
    declared = encode_tools(request, context, _declaration, strict=False)
    functions = [block for block in declared if "name" in block]
    own = [block for block in declared if "name" not in block]
    if declared:
        yield "tools", [*([{"functionDeclarations": functions}] if functions else []), *own]
    if choice is not None:
        mode = {"auto": "AUTO", "none": "NONE", "required": "ANY"}.get(choice)
        calling = {"mode": mode} if mode else {"mode": "ANY", "allowedFunctionNames": [choice]}
        yield "toolConfig", {"functionCallingConfig": calling}


def _declaration(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        **({"description": tool.description} if tool.description else {}),
        **({"parametersJsonSchema": tool.input_schema} if tool.input_schema else {}),
    }


def _generation_config(
    request: ChatRequest, context: PartContext, generation: tuple[int, int]
) -> Iterator[tuple[str, Any]]:
    for value, name in (
        (request.temperature, "temperature"),
        (request.top_p, "topP"),
        (request.max_tokens, "maxOutputTokens"),
        (request.seed, "seed"),
    ):
        if value is not None:
            yield name, value
    if request.stop:
        if len(request.stop) > MOST_STOPS:
            context.notice(notices.CHANGED_PARAMETER, f"only the first {MOST_STOPS} stop sequences went out", "stop")
        yield "stopSequences", request.stop[:MOST_STOPS]
    if request.response_format is not None:
        yield "responseMimeType", "application/json"
        if isinstance(request.response_format, JsonSchema):
            yield "responseJsonSchema", request.response_format.schema
    if request.reasoning is not None and (thinking := _thinking(request.reasoning, context, generation)):
        yield "thinkingConfig", thinking


def _thinking(wanted: int | str, context: PartContext, generation: tuple[int, int]) -> dict[str, Any] | None:
    """Ask for thinking, and to see it. Budgets are for every thinking model, levels for Gemini 3 and later."""
    word = wanted.lower() if isinstance(wanted, str) else None
    if generation < (2, 5):
        context.notice(notices.UNSUPPORTED_PARAMETER, "this model does not think", "reasoning")
        return None
    if word in THINKING_LEVELS and generation >= (3, 0):
        return {"thinkingLevel": word.upper(), "includeThoughts": True}
    budget = wanted if isinstance(wanted, int) else THINKING_BUDGETS.get(word or "")
    if budget is None:
        context.notice(notices.UNSUPPORTED_PARAMETER, f"reasoning {wanted!r} is no level and no budget", "reasoning")
        return None
    return {"thinkingBudget": budget, **({"includeThoughts": True} if budget else {})}


def _labels(metadata: dict[str, str], context: PartContext) -> Iterator[tuple[str, str]]:
    """Take what a label may be: short, in lower case, of letters, digits, underscores and dashes."""
    for key, given in metadata.items():
        value = str(given)
        small = key == key.lower() and value == value.lower()
        if small and key[:1].isalpha() and _LABEL.fullmatch(key) and _LABEL.fullmatch(value):
            yield key, value
        else:
            context.notice(notices.UNSUPPORTED_PARAMETER, "Google takes no such label", f"metadata.{key}")
