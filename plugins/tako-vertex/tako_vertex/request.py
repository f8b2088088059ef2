"""A ChatRequest as the body of generateContent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.encoding import merge_extra, note_system_as_user
from tako.kit.families import EFFORTS, Rules, effort_for, note_changed, note_left_out, sampling
from tako.kit.schemas import GEMINI, adapt
from tako.kit.tools import encode_tools
from tako.types import ChatRequest, JsonSchema
from tako_vertex.parts import TOKEN, gemini_rules
from tako_vertex.turns import Conversation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.translator import PartContext, Translator
    from tako.types import Tool

THINKING_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 32_768, "max": 32_768}
"""Tokens that stand for an effort on Gemini 2.5 (https://ai.google.dev/gemini-api/docs/openai#thinking)."""
DYNAMIC_BUDGET = -1
"""The budget with which the model decides how much it thinks."""
MAX_STOPS = 5

_LABEL = re.compile(r"[\w-]{0,63}")


def encode_request(
    request: ChatRequest, model: str, translator: Translator, context: PartContext, *, labels: bool = True
) -> dict[str, Any]:
    """Return the body of a request. The context gets a notice for what's left out. ``labels``: the API has them."""
    rules = gemini_rules(model)
    request = adapt(request, context, GEMINI, model)
    conversation = Conversation(is_gemini_3=bool(rules.efforts), can_prefill=rules.prefill)
    system, contents = conversation.encode(request, translator, context)
    if not contents:
        note_system_as_user(system, context)
        system, contents = [], [{"role": "user", "parts": system}]
    body: dict[str, Any] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if conversation.token is not None:
        body[TOKEN] = conversation.token
    context.path = ""
    body.update(_tool_fields(request, context))
    config = dict(_generation_config(request, rules, context))
    if config:
        body["generationConfig"] = config
    if request.metadata and (accepted_labels := dict(_valid_labels(request.metadata, context, supported=labels))):
        body["labels"] = accepted_labels
    if request.parallel_tool_calls is not None:
        text = "parallel_tool_calls was left out: Gemini decides whether it calls in parallel"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "parallel_tool_calls")
    return merge_extra(body, request.extra)


def _tool_fields(request: ChatRequest, context: PartContext) -> Iterator[tuple[str, Any]]:
    choice = request.tool_choice
    if not request.tools:
        if choice is not None:
            context.notice(
                notices.UNSUPPORTED_PARAMETER, "tool_choice was left out: the request has no tools", "tool_choice"
            )
        return
    declared = encode_tools(request, context, _declaration, strict=False)
    functions = [block for block in declared if "name" in block]
    vendor_tools = [block for block in declared if "name" not in block]
    if declared:
        yield "tools", [*([{"functionDeclarations": functions}] if functions else []), *vendor_tools]
    if choice is not None:
        mode = {"auto": "AUTO", "none": "NONE", "required": "ANY"}.get(choice)
        calling_config = {"mode": mode} if mode else {"mode": "ANY", "allowedFunctionNames": [choice]}
        yield "toolConfig", {"functionCallingConfig": calling_config}


def _declaration(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        **({"description": tool.description} if tool.description else {}),
        **({"parametersJsonSchema": tool.input_schema} if tool.input_schema else {}),
    }


def _generation_config(request: ChatRequest, rules: Rules, context: PartContext) -> Iterator[tuple[str, Any]]:
    for name, value in sampling(request, rules, context, thinking=request.reasoning is not None):
        yield {"temperature": "temperature", "top_p": "topP"}[name], value
    if request.max_tokens is not None:
        yield "maxOutputTokens", request.max_tokens
    if request.seed is not None:
        yield "seed", request.seed
    if request.stop:
        if len(request.stop) > MAX_STOPS:
            context.notice(notices.CHANGED_PARAMETER, f"only the first {MAX_STOPS} stop sequences were sent", "stop")
        yield "stopSequences", request.stop[:MAX_STOPS]
    tools = request.tools or request.extra.get("tools")
    if request.response_format is not None and (rules.json_beside_tools or not tools):
        yield "responseMimeType", "application/json"
        if isinstance(request.response_format, JsonSchema):
            yield "responseJsonSchema", request.response_format.schema
    elif request.response_format is not None:
        text = "response_format was left out: Gemini before 3 has no JSON mode with tools"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "response_format")
    if request.reasoning is not None and (thinking_config := _thinking_config(request.reasoning, rules, context)):
        yield "thinkingConfig", thinking_config


def _thinking_config(requested: int | str, rules: Rules, context: PartContext) -> dict[str, Any]:
    """Ask for thinking and its text. Gemini 3 and later take a level, earlier models a budget in tokens."""
    effort = requested.lower() if isinstance(requested, str) else "none" if requested == 0 else None
    if not rules.thinks:
        return note_left_out(context, "this model doesn't think")
    if (effort is not None and effort not in EFFORTS) or (isinstance(requested, int) and requested < DYNAMIC_BUDGET):
        return note_left_out(context, f"{requested!r} isn't a level or a budget")
    if rules.budgets is None and requested == DYNAMIC_BUDGET:
        return {"includeThoughts": True}
    if rules.budgets is None:
        level = effort_for(requested if effort is None else effort, rules.efforts, context)
        return {"thinkingLevel": level.upper(), **({} if effort == "none" else {"includeThoughts": True})}
    budget = _thinking_budget(requested if effort is None else effort, rules, context)
    return {"thinkingBudget": budget, **({"includeThoughts": True} if budget and effort != "none" else {})}


def _thinking_budget(requested: int | str, rules: Rules, context: PartContext) -> int:
    """Return the budget for an effort, or the nearest number of tokens that the model accepts."""
    minimum, maximum = rules.budgets or (0, 0)
    tokens = 0 if requested == "none" else THINKING_BUDGETS[requested] if isinstance(requested, str) else requested
    if tokens == DYNAMIC_BUDGET or (tokens == 0 and rules.stoppable):
        return tokens
    budget = min(max(tokens, minimum), maximum)
    if budget != tokens and (requested == "none" or not isinstance(requested, str)):
        note_changed(
            context, f"a budget of {tokens} tokens was sent as {budget}: the model takes {minimum} to {maximum}"
        )
    return budget


def _valid_labels(metadata: dict[str, str], context: PartContext, *, supported: bool) -> Iterator[tuple[str, str]]:
    """Yield the valid labels: short, in lower case, of letters, digits, underscores and dashes."""
    for key, raw in metadata.items():
        value = str(raw)
        is_lower_case = key == key.lower() and value == value.lower()
        if supported and is_lower_case and key[:1].isalpha() and _LABEL.fullmatch(key) and _LABEL.fullmatch(value):
            yield key, value
        else:
            context.notice(
                notices.UNSUPPORTED_PARAMETER,
                "Google doesn't accept that label" if supported else "the API has no labels",
                f"metadata.{key}",
            )
