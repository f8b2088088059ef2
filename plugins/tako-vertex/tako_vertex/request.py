"""A ChatRequest as the body of generateContent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.encoding import merge_extra, note_system_as_user
from tako.kit.families import EFFORTS, Rules, changed, effort_for, left_out, sampling
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
DYNAMIC = -1
"""The budget of a model that decides itself how much it thinks."""
MOST_STOPS = 5

_LABEL = re.compile(r"[\w-]{0,63}")


def encode_request(
    request: ChatRequest, model: str, translator: Translator, context: PartContext, *, labels: bool = True
) -> dict[str, Any]:
    """Make the body of a request; what cannot be carried is noted in the context. ``labels``: the API has them."""
    rules = gemini_rules(model)
    request = adapt(request, context, GEMINI, model)
    conversation = Conversation(newest=bool(rules.efforts), prefill=rules.prefill)
    system, contents = conversation.of(request, translator, context)
    if not contents:
        note_system_as_user(system, context)
        system, contents = [], [{"role": "user", "parts": system}]
    body: dict[str, Any] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if conversation.token is not None:
        body[TOKEN] = conversation.token
    context.path = ""
    body.update(_tools(request, context))
    config = dict(_generation_config(request, rules, context))
    if config:
        body["generationConfig"] = config
    if request.metadata and (made := dict(_labels(request.metadata, context, there=labels))):
        body["labels"] = made
    if request.parallel_tool_calls is not None:
        text = "Gemini decides itself whether it calls in parallel; parallel_tool_calls was left out"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "parallel_tool_calls")
    return merge_extra(body, request.extra)


def _tools(request: ChatRequest, context: PartContext) -> Iterator[tuple[str, Any]]:
    choice = request.tool_choice
    if not request.tools:
        if choice is not None:
            context.notice(
                notices.UNSUPPORTED_PARAMETER, "tool_choice was left out: the request has no tools", "tool_choice"
            )
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


def _generation_config(request: ChatRequest, rules: Rules, context: PartContext) -> Iterator[tuple[str, Any]]:
    for name, value in sampling(request, rules, context, thinking=request.reasoning is not None):
        yield {"temperature": "temperature", "top_p": "topP"}[name], value
    if request.max_tokens is not None:
        yield "maxOutputTokens", request.max_tokens
    if request.seed is not None:
        yield "seed", request.seed
    if request.stop:
        if len(request.stop) > MOST_STOPS:
            context.notice(notices.CHANGED_PARAMETER, f"only the first {MOST_STOPS} stop sequences went out", "stop")
        yield "stopSequences", request.stop[:MOST_STOPS]
    tools = request.tools or request.extra.get("tools")
    if request.response_format is not None and (rules.json_beside_tools or not tools):
        yield "responseMimeType", "application/json"
        if isinstance(request.response_format, JsonSchema):
            yield "responseJsonSchema", request.response_format.schema
    elif request.response_format is not None:
        text = "response_format was left out: Gemini before 3 gives no JSON beside tools"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, "response_format")
    if request.reasoning is not None and (thought := _thinking(request.reasoning, rules, context)):
        yield "thinkingConfig", thought


def _thinking(wanted: int | str, rules: Rules, context: PartContext) -> dict[str, Any]:
    """Ask for thinking, and to see it: by a level from Gemini 3 on, by a budget in tokens before."""
    word = wanted.lower() if isinstance(wanted, str) else "none" if wanted == 0 else None
    if not rules.thinks:
        return left_out(context, "this model doesn't think")
    if (word is not None and word not in EFFORTS) or (isinstance(wanted, int) and wanted < DYNAMIC):
        return left_out(context, f"{wanted!r} isn't a level or a budget")
    if rules.budgets is None and wanted == DYNAMIC:
        return {"includeThoughts": True}
    if rules.budgets is None:
        level = effort_for(wanted if word is None else word, rules.efforts, context)
        return {"thinkingLevel": level.upper(), **({} if word == "none" else {"includeThoughts": True})}
    budget = _budget(wanted if word is None else word, rules, context)
    return {"thinkingBudget": budget, **({"includeThoughts": True} if budget and word != "none" else {})}


def _budget(wanted: int | str, rules: Rules, context: PartContext) -> int:
    """Return the budget that stands for an effort, or the nearest to one in tokens that the model takes."""
    least, most = rules.budgets or (0, 0)
    tokens = 0 if wanted == "none" else THINKING_BUDGETS[wanted] if isinstance(wanted, str) else wanted
    if tokens == DYNAMIC or (tokens == 0 and rules.stoppable):
        return tokens
    budget = min(max(tokens, least), most)
    if budget != tokens and (wanted == "none" or not isinstance(wanted, str)):
        changed(context, f"a budget of {tokens} tokens was sent as {budget}: the model takes {least} to {most}")
    return budget


def _labels(metadata: dict[str, str], context: PartContext, *, there: bool) -> Iterator[tuple[str, str]]:
    """Take what a label may be: short, in lower case, of letters, digits, underscores and dashes."""
    for key, given in metadata.items():
        value = str(given)
        small = key == key.lower() and value == value.lower()
        if there and small and key[:1].isalpha() and _LABEL.fullmatch(key) and _LABEL.fullmatch(value):
            yield key, value
        else:
            context.notice(
                notices.UNSUPPORTED_PARAMETER,
                "Google doesn't accept that label" if there else "the API has no labels",
                f"metadata.{key}",
            )
